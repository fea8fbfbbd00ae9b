/* An execution's memory serves the next one: what may go along is nothing but the memory. */
#include "unit.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "core/task.h"
#include "fixture.h"

#define DONE                                                                                       \
	{                                                                                          \
		STEP_END_OF_SCRIPT, NULL, 0, 0                                                     \
	}

static const struct fake_step talkative[] = {
	{STEP_STDOUT, "secret output \xe2\x82", 0, 0}, /* the decoder of UTF-8 holds two bytes */
	{STEP_STDERR, "secret errors", 0, 0},
	{STEP_RAW, "Fatal Python error: secret", 0, 0},
	{STEP_RESULT, "\"secret result\"", 0, 0},
	{STEP_RAW, "0123456789", 0, 0},
	{STEP_END,
	 "{\"status\":\"error\",\"has_result\":false,\"error\":{\"type\":\"Secret\","
	 "\"message\":\"secret\"},\"denied_imports\":[\"secret\"],\"limits_hit\":[\"memory\"]}",
	 0, 0},
	DONE,
};
static const struct fake_step silent[] = {DONE};

static psb_sandbox *sandbox;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	return open_fake(only_a, &sandbox, NULL);
}

static int teardown(void **state)
{
	(void)state;
	psb_close(sandbox);
	return fake_counts[0].instances_open + fake_counts[0].templates_open;
}

static psb_outcome *run(const struct fake_step *steps, const char *source)
{
	struct psb_request request;
	psb_outcome *outcome = NULL;

	psb_request_init(&request);
	request.source = source;
	request.source_len = strlen(source);
	request.tag = steps == talkative ? "secret tag" : NULL;
	fake_scripts[0].steps = steps;
	assert_int_equal(psb_execute(sandbox, &request, &outcome, NULL), 0);
	return outcome;
}

static struct task *spare(void)
{
	struct task *task = atomic_load(&sandbox->spare);

	assert_non_null(task);
	return task;
}

static void expect_zeros(const void *memory, size_t len)
{
	const uint8_t *bytes = memory;

	for (size_t i = 0; i < len; i++)
		assert_int_equal(bytes[i], 0);
}

static void nothing_of_a_run_is_in_the_next(void **state)
{
	psb_outcome *first = run(talkative, "secret = 1");
	const struct task *used = spare();
	psb_outcome *second;

	(void)state;
	fake_scripts[0].evidence.signalled = true; /* a crash shows what was stray */
	fake_scripts[0].evidence.signal_number = 11;
	second = run(silent, "x");
	assert_ptr_equal(spare(), used);
	assert_int_equal(psb_outcome_status(first), PSB_ERROR);
	assert_string_equal(psb_outcome_error_type(first), "Secret");
	assert_int_equal(psb_outcome_status(second), PSB_CRASH);
	assert_string_equal(psb_outcome_stdout(second, NULL), "");
	assert_string_equal(psb_outcome_stderr(second, NULL), "");
	assert_null(psb_outcome_result(second, NULL));
	assert_null(psb_outcome_traceback(second));
	assert_null(psb_outcome_tag(second));
	assert_null(strstr(psb_outcome_json(second, NULL), "ecret"));
	psb_outcome_free(first);
	psb_outcome_free(second);
}

static void an_outcome_s_memory_serves_the_next(void **state)
{
	psb_outcome *first = run(talkative, "secret = 1");
	psb_outcome *also = run(talkative, "secret = 2");
	const uintptr_t used = (uintptr_t)first;
	psb_outcome *second;

	(void)state;
	psb_outcome_free(first);
	second = run(silent, "x");
	assert_int_equal((uintptr_t)second, used);
	assert_int_equal(psb_outcome_status(second), PSB_UNKNOWN);
	assert_null(strstr(psb_outcome_json(second, NULL), "ecret"));
	/* They may outlive the sandbox, and are freed in any order. */
	psb_close(sandbox);
	sandbox = NULL;
	assert_string_equal(psb_outcome_error_type(also), "Secret");
	psb_outcome_free(second);
	psb_outcome_free(also);
}

static void more_outcomes_than_are_kept(void **state)
{
	psb_outcome *many[12];

	(void)state;
	for (size_t i = 0; i < 12; i++)
		many[i] = run(talkative, "x");
	for (size_t i = 0; i < 12; i++)
		psb_outcome_free(many[i]);
	many[0] = run(silent, "x");
	assert_null(psb_outcome_tag(many[0]));
	psb_outcome_free(many[0]);
}

static void a_run_that_is_cut_off_ends_with_itself(void **state)
{
	static const struct fake_step cut[] = {{STEP_RAW, "01234567", 0, 0}, DONE};
	static const struct fake_step whole[] = {
		{STEP_RESULT, "1", 0, 0},
		{STEP_END, "{\"status\":\"ok\",\"has_result\":true}", 0, 0},
		DONE};
	psb_outcome *outcome;

	(void)state;
	psb_outcome_free(run(cut, "x"));
	outcome = run(whole, "x");
	assert_int_equal(psb_outcome_status(outcome), PSB_OK);
	assert_string_equal(psb_outcome_result(outcome, NULL), "1");
	psb_outcome_free(outcome);
}

static void what_is_kept_is_wiped(void **state)
{
	static const struct utf8_stream nothing_held;
	const struct task *kept;

	(void)state;
	psb_outcome_free(run(talkative, "secret = 1"));
	kept = spare();
	assert_null(kept->outcome);
	assert_null(kept->run.job);
	assert_int_equal(kept->job.bytes.len, 0);
	assert_true(kept->job.bytes.capacity >= fake_counts[0].request_len);
	expect_zeros(kept->job.bytes.data, fake_counts[0].request_len);
	assert_int_equal(kept->job.options.len, 0);
	expect_zeros(kept->job.options.data, strlen("{\"filename\":\"main.py\""));
	expect_zeros(kept->job.token, sizeof(kept->job.token));
	expect_zeros(kept->job.id, sizeof(kept->job.id));
	expect_zeros(&kept->job.request, sizeof(kept->job.request));
	assert_memory_equal(&kept->run.streams[0].utf8, &nothing_held, sizeof(nothing_held));
}

static void what_is_large_is_not_kept(void **state)
{
	size_t len = 1 << 20;
	char *source = malloc(len + 1);

	(void)state;
	assert_non_null(source);
	memset(source, ' ', len);
	source[len] = '\0';
	psb_outcome_free(run(silent, source));
	assert_true(fake_counts[0].request_len > len);
	assert_null(spare()->job.bytes.data);
	assert_true(spare()->job.options.capacity <= BUFFER_KEPT_BYTES);
	free(source);
}

static void a_refused_call_leaves_nothing_either(void **state)
{
	static const char inputs[] = "[\"no object\"]";
	struct psb_request request;
	psb_outcome *outcome = NULL;

	(void)state;
	psb_request_init(&request);
	request.inputs = inputs;
	request.inputs_len = strlen(inputs);
	assert_int_equal(psb_execute(sandbox, &request, &outcome, NULL), PSB_E_INVALID);
	assert_null(outcome);
	expect_zeros(&spare()->job.request, sizeof(request));
	outcome = run(silent, "x");
	assert_int_equal(psb_outcome_status(outcome), PSB_UNKNOWN);
	psb_outcome_free(outcome);
}

static void asynchronous_jobs_share_it(void **state)
{
	struct psb_request request;
	const struct task *used;
	psb_outcome *outcome = NULL;
	uint64_t job = 0;

	(void)state;
	psb_outcome_free(run(talkative, "secret = 1"));
	used = spare();
	psb_request_init(&request);
	fake_scripts[0].steps = silent;
	assert_int_equal(psb_submit(sandbox, &request, &job, NULL), 0);
	assert_null(atomic_load(&sandbox->spare));
	while (psb_next(sandbox, &outcome, NULL) == 0)
		continue;
	assert_int_equal(psb_outcome_job(outcome), job);
	assert_null(strstr(psb_outcome_json(outcome, NULL), "ecret"));
	psb_outcome_free(outcome);
	assert_ptr_equal(spare(), used);
	assert_int_equal(spare()->number, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(nothing_of_a_run_is_in_the_next),
		T(an_outcome_s_memory_serves_the_next),
		T(more_outcomes_than_are_kept),
		T(a_run_that_is_cut_off_ends_with_itself),
		T(what_is_kept_is_wiped),
		T(what_is_large_is_not_kept),
		T(a_refused_call_leaves_nothing_either),
		T(asynchronous_jobs_share_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
