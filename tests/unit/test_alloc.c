/*
 * Every allocation of a whole session fails once: open, execute, JSON, close. Each time the call
 * must report it (or carry on), and nothing may leak: the wrappers count what is alive.
 */
#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/task.h"
#include "fixture.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
char *__real_realpath(const char *path, char *out);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
char *__wrap_realpath(const char *path, char *out);
void __wrap_free(void *memory);

static bool armed;
static unsigned long countdown;
static bool failed;
static long alive;
static unsigned long calls;

static bool fails_now(void)
{
	calls++;
	if (!armed || failed)
		return false;
	failed = countdown-- == 0;
	return failed;
}

void *__wrap_malloc(size_t size)
{
	void *memory = fails_now() ? NULL : __real_malloc(size);

	alive += memory != NULL;
	return memory;
}

void *__wrap_calloc(size_t count, size_t size)
{
	void *memory = fails_now() ? NULL : __real_calloc(count, size);

	alive += memory != NULL;
	return memory;
}

void *__wrap_realloc(void *old, size_t size)
{
	void *memory = fails_now() ? NULL : __real_realloc(old, size);

	alive += memory && !old;
	return memory;
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	void *memory = fails_now() ? NULL : __real_reallocarray(old, count, size);

	alive += memory && !old;
	return memory;
}

char *__wrap_strdup(const char *text)
{
	char *copy = fails_now() ? NULL : __real_strdup(text);

	alive += copy != NULL;
	return copy;
}

char *__wrap_strndup(const char *text, size_t size)
{
	char *copy = fails_now() ? NULL : __real_strndup(text, size);

	alive += copy != NULL;
	return copy;
}

char *__wrap_realpath(const char *path, char *out)
{
	char *found = fails_now() ? NULL : __real_realpath(path, out);

	alive += found && !out;
	return found;
}

void __wrap_free(void *memory)
{
	alive -= memory != NULL;
	__real_free(memory);
}

static const struct fake_step steps[] = {
	{STEP_STDOUT, "some output \xff", 0, 0},
	{STEP_STDERR, "some more", 0, 0},
	{STEP_RESULT,
	 "{\"a\":1,\"b\":[2,3],\"c\":4,\"d\":5,\"e\":6,\"f\":7,\"g\":8,\"h\":9,"
	 "\"i\":10,\"j\":11}",
	 0, 0},
	{STEP_END,
	 "{\"status\":\"error\",\"has_result\":true,\"error\":{\"type\":\"T\","
	 "\"message\":\"m\",\"traceback\":\"t\"},\"denied_imports\":[\"x\",\"y\"]}",
	 0, 0},
	{STEP_END_OF_SCRIPT, NULL, 0, 0},
};

static int execute_all(psb_sandbox *sandbox)
{
	const struct psb_file file = {"name", NULL, "data", 4};
	const char *env[] = {"A=1", NULL};
	struct psb_request request;
	psb_outcome *outcome = NULL;
	int code;

	psb_request_init(&request);
	request.inputs = "{\"x\":1}";
	request.inputs_len = 7;
	request.files = &file;
	request.file_count = 1;
	request.env = env;
	request.tag = "tag";
	code = run_source(sandbox, &request, &outcome, NULL);
	if (code == 0 && psb_outcome_status(outcome) == PSB_UNAVAILABLE)
		code = PSB_E_MEMORY;
	else if (code == 0 && !psb_outcome_json(outcome, NULL))
		code = PSB_E_MEMORY;
	psb_outcome_free(outcome);
	return code;
}

/* Every kind of member, and a site that replaces some of them. */
static const char policy_text[] =
	"{\"template\":\"documents\",\"name\":\"n\",\"limits\":{\"wall_ms\":5000},"
	"\"imports\":{\"mode\":\"deny\",\"names\":[\"a\",\"b\"]},\"require\":[5,\"memory\"],"
	"\"environment\":{\"allow\":[\"A\",\"B_*\"],\"set\":{\"C\":\"1\",\"D\":\"2\"}}}";
static const char site_text[] =
	"{\"message\":\"m\",\"maxima\":{\"cpu_ms\":100},\"locked\":{\"files\":{\"max_inputs\":9},"
	"\"environment\":{\"allow\":[\"A\",\"B_*\"],\"set\":{\"C\":\"1\",\"D\":\"2\"}},"
	"\"imports\":{\"mode\":\"deny\",\"names\":[\"a\",\"b\"]}}}";
static char site_path[] = "/tmp/psb-alloc-XXXXXX";

static int make_site(void **state)
{
	int fd = mkstemp(site_path);
	bool written = fd >= 0 && write(fd, site_text, strlen(site_text)) > 0;

	(void)state;
	if (fd >= 0)
		(void)close(fd);
	return written ? 0 : -1;
}

static int remove_site(void **state)
{
	(void)state;
	return unlink(site_path);
}

static int session(void)
{
	struct psb_options options;
	psb_sandbox *sandbox = NULL;
	int code;

	psb_options_init(&options);
	options.python = "/bin/sh";
	options.pool_size = 2;
	options.policy = policy_text;
	options.site_policy = site_path;
	options.require = "4,cpu";
	code = sandbox_open_with(&options, only_a, &sandbox, NULL);
	if (code == 0)
		code = execute_all(sandbox);
	psb_close(sandbox);
	return code;
}

static void every_allocation_may_fail(void **state)
{
	unsigned long n = 0;
	unsigned long reported = 0;

	(void)state;
	for (;; n++) {
		long before = alive;
		int code;

		fake_reset();
		fake_scripts[0].steps = steps;
		countdown = n;
		failed = false;
		armed = true;
		code = session();
		armed = false;
		if (alive != before)
			print_message("allocation %lu leaks %ld\n", n, alive - before);
		assert_int_equal(alive, before);
		assert_int_equal(fake_counts[0].instances_open, 0);
		assert_int_equal(fake_counts[0].templates_open, 0);
		if (!failed)
			break;
		assert_true(code == 0 || code == PSB_E_MEMORY);
		reported += code == PSB_E_MEMORY;
	}
	assert_int_equal(session(), 0);
	assert_true(n > 80);
	assert_true(reported > n / 2);
}

static unsigned long calls_of_one(psb_sandbox *sandbox)
{
	unsigned long before = calls;

	assert_int_equal(execute_all(sandbox), 0);
	return calls - before;
}

/* The task with its request, options and frames is the last one's. */
static void an_execution_uses_the_memory_of_the_last(void **state)
{
	psb_sandbox *sandbox = NULL;
	unsigned long without;
	unsigned long with;
	long before;

	(void)state;
	fake_reset();
	fake_scripts[0].steps = steps;
	assert_int_equal(open_fake(only_a, &sandbox, NULL), 0);
	(void)calls_of_one(sandbox);
	before = alive;
	with = calls_of_one(sandbox);
	for (int i = 0; i < 20; i++)
		assert_int_equal(calls_of_one(sandbox), with);
	assert_int_equal(alive, before);
	task_free(atomic_exchange(&sandbox->spare, NULL));
	without = calls_of_one(sandbox);
	assert_int_equal(alive, before);
	assert_true(with + 5 <= without);
	psb_close(sandbox);
}

static int describe(void)
{
	struct psb_options options;
	char *text = NULL;
	int code;

	psb_options_init(&options);
	options.policy = policy_text;
	options.site_policy = site_path;
	code = psb_policy_text(&options, 0, &text, NULL);
	psb_text_free(text);
	return code;
}

static void describing_a_policy_may_fail_anywhere(void **state)
{
	unsigned long n = 0;

	(void)state;
	for (;; n++) {
		long before = alive;
		int code;

		countdown = n;
		failed = false;
		armed = true;
		code = describe();
		armed = false;
		assert_int_equal(alive, before);
		if (!failed)
			break;
		assert_int_equal(code, PSB_E_MEMORY);
	}
	assert_int_equal(describe(), 0);
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_may_fail),
		cmocka_unit_test(an_execution_uses_the_memory_of_the_last),
		cmocka_unit_test(describing_a_policy_may_fail_anywhere),
	};

	return cmocka_run_group_tests(tests, make_site, remove_site);
}
