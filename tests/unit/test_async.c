/* The asynchronous calls over the fake engine: one outcome for each job, whatever happens. */
#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define NEVER_MS 60
#define SOON_MS 5000

static const struct fake_step hello[] = {
	{STEP_STDOUT, "hello", 0, 0},
	{STEP_STDERR, "oops", 0, 0},
	{STEP_END, "{\"status\":\"ok\"}", 0, 0},
	{STEP_END_OF_SCRIPT, NULL, 0, 0},
};
static const struct fake_step silent[] = {{STEP_END_OF_SCRIPT, NULL, 0, 0}};

static psb_sandbox *sandbox;
static struct psb_options options;
static struct psb_request request;

static void reopen(void)
{
	psb_close(sandbox);
	sandbox = NULL;
	assert_int_equal(sandbox_open_with(&options, b_then_a, &sandbox, NULL), 0);
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	psb_options_init(&options);
	options.python = "/bin/sh";
	options.engine = "fake-a";
	options.pool_size = 2;
	psb_request_init(&request);
	request.source = "x = 1";
	request.source_len = 5;
	return sandbox_open_with(&options, b_then_a, &sandbox, NULL);
}

static int teardown(void **state)
{
	(void)state;
	psb_close(sandbox);
	sandbox = NULL;
	return fake_counts[0].instances_open + fake_counts[0].templates_open;
}

static uint64_t submit(void)
{
	uint64_t job = 0;
	struct psb_error err;

	if (psb_submit(sandbox, &request, &job, &err))
		fail_msg("%s", err.message);
	return job;
}

static bool readable(int timeout_ms)
{
	struct pollfd fd = {.fd = psb_fd(sandbox, NULL), .events = POLLIN};

	assert_true(fd.fd >= 0);
	return poll(&fd, 1, timeout_ms) > 0;
}

/* As a host does it: waits for the descriptor, then asks. NULL when nothing comes in time. */
static psb_outcome *fetch(int timeout_ms)
{
	psb_outcome *outcome = NULL;
	uint64_t end = clock_us() + (uint64_t)timeout_ms * 1000;

	while (clock_us() < end) {
		int got;

		if (!readable((int)((end - clock_us()) / 1000)))
			return NULL;
		got = psb_next(sandbox, &outcome, NULL);
		assert_true(got == 0 || got == 1);
		if (got)
			return outcome;
	}
	return NULL;
}

static void expect(uint64_t job, int status)
{
	psb_outcome *outcome = fetch(SOON_MS);

	assert_non_null(outcome);
	assert_int_equal(psb_outcome_job(outcome), job);
	assert_int_equal(psb_outcome_status(outcome), status);
	psb_outcome_free(outcome);
}

static void expect_nothing(void)
{
	psb_outcome *outcome = NULL;

	assert_int_equal(psb_next(sandbox, &outcome, NULL), 0);
	assert_null(outcome);
}

static void a_job_gives_one_outcome(void **state)
{
	psb_outcome *outcome;
	uint64_t job;

	(void)state;
	fake_scripts[0].steps = hello;
	expect_nothing(); /* before anything was submitted */
	request.tag = "mine";
	job = submit();
	assert_int_equal(job, 1);
	outcome = fetch(SOON_MS);
	assert_non_null(outcome);
	assert_int_equal(psb_outcome_job(outcome), 1);
	assert_string_equal(psb_outcome_tag(outcome), "mine");
	assert_int_equal(strlen(psb_outcome_id(outcome)), 32);
	assert_int_equal(psb_outcome_status(outcome), PSB_OK);
	assert_string_equal(psb_outcome_stdout(outcome, NULL), "hello");
	assert_string_equal(psb_outcome_stderr(outcome, NULL), "oops");
	assert_string_equal(psb_outcome_engine(outcome), "fake-a");
	psb_outcome_free(outcome);
	expect_nothing();
	assert_int_equal(submit(), 2);
	expect(2, PSB_OK);
}

static void the_descriptor_is_level_triggered(void **state)
{
	int fd = psb_fd(sandbox, NULL);
	uint64_t job;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(psb_fd(sandbox, NULL), fd);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	expect_nothing(); /* takes in that the pool is ready */
	assert_false(readable(0));
	fake_scripts[0].delay_us = 20000;
	job = submit();
	expect_nothing();
	assert_false(readable(0));
	assert_true(readable(SOON_MS));
	assert_true(readable(0));
	expect(job, PSB_OK);
	expect_nothing();
	assert_false(readable(NEVER_MS));
}

/* An outcome that waits keeps it readable even when the library has nothing to do. */
static void a_waiting_outcome_is_a_reason_to_be_readable(void **state)
{
	psb_outcome *outcome = NULL;
	uint64_t jobs[2];

	(void)state;
	jobs[0] = submit();
	jobs[1] = submit();
	/* Another call brings both to their end. */
	assert_int_equal(psb_execute(sandbox, &request, &outcome, NULL), 0);
	psb_outcome_free(outcome);
	for (int i = 0; i < 2; i++) {
		assert_true(readable(0));
		assert_int_equal(psb_next(sandbox, &outcome, NULL), 1);
		assert_int_equal(psb_outcome_job(outcome), jobs[i]);
		psb_outcome_free(outcome);
	}
	expect_nothing();
	assert_false(readable(NEVER_MS));
}

static void several_run_at_once_but_no_more_than_the_pool(void **state)
{
	(void)state;
	options.pool_size = 3;
	reopen();
	fake_scripts[0].delay_us = 5000;
	for (int i = 0; i < 30; i++)
		(void)submit();
	for (uint64_t i = 1; i <= 30; i++) {
		psb_outcome *outcome = fetch(SOON_MS);

		assert_non_null(outcome);
		psb_outcome_free(outcome);
	}
	assert_int_equal(fake_counts[0].running_most, 3);
	assert_int_equal(fake_counts[0].starts, 30);
}

static void a_full_queue_is_busy(void **state)
{
	struct psb_error err = {0};
	uint64_t job = 77;

	(void)state;
	options.queue_length = 3;
	reopen();
	fake_scripts[0].steps = silent;
	fake_scripts[0].hang = true;
	for (int i = 0; i < 5; i++) /* two run, three wait */
		(void)submit();
	assert_int_equal(psb_submit(sandbox, &request, &job, &err), PSB_E_BUSY);
	assert_int_equal(job, 77);
	assert_non_null(strstr(err.message, "queue_length is 3"));
	assert_non_null(strstr(err.message, "fetch outcomes"));
	assert_int_equal(psb_cancel(sandbox, 5, NULL), 0);
	/* Cancelled, but not fetched: it still takes its place. */
	assert_int_equal(psb_submit(sandbox, &request, &job, &err), PSB_E_BUSY);
	expect(5, PSB_CANCELLED);
	assert_int_equal(submit(), 6);
}

static void a_refused_request_takes_no_place(void **state)
{
	uint64_t job;

	(void)state;
	options.queue_length = 1;
	reopen();
	request.inputs = "[";
	request.inputs_len = 1;
	for (int i = 0; i < 3; i++)
		assert_true(psb_submit(sandbox, &request, &job, NULL) < 0);
	request.inputs = NULL;
	expect(submit(), PSB_OK);
}

static void waiting_too_long_is_unavailable(void **state)
{
	psb_outcome *outcome = NULL;

	(void)state;
	options.queue_timeout_ms = 30;
	reopen();
	fake_scripts[0].steps = silent;
	fake_scripts[0].hang = true;
	for (int i = 0; i < 4; i++)
		(void)submit();
	/* The descriptor alone says when the time is over. */
	for (uint64_t job = 3; job <= 4; job++) {
		outcome = fetch(SOON_MS);
		assert_non_null(outcome);
		assert_int_equal(psb_outcome_job(outcome), job);
		assert_int_equal(psb_outcome_status(outcome), PSB_UNAVAILABLE);
		assert_string_equal(psb_outcome_error_type(outcome), "QueueTimeout");
		assert_non_null(strstr(psb_outcome_error_message(outcome), "waited 30 ms"));
		assert_true(psb_outcome_queue_us(outcome) >= 30000);
		psb_outcome_free(outcome);
	}
	assert_int_equal(psb_execute(sandbox, &request, &outcome, NULL), 0);
	assert_int_equal(psb_outcome_status(outcome), PSB_UNAVAILABLE);
	assert_string_equal(psb_outcome_error_type(outcome), "QueueTimeout");
	psb_outcome_free(outcome);
	assert_int_equal(fake_counts[0].starts, 2);
}

static void cancel_is_idempotent(void **state)
{
	(void)state;
	fake_scripts[0].steps = silent;
	fake_scripts[0].hang = true;
	for (int i = 0; i < 3; i++)
		(void)submit();
	assert_int_equal(psb_cancel(sandbox, 3, NULL), 0); /* waits */
	assert_int_equal(psb_cancel(sandbox, 3, NULL), 0);
	assert_int_equal(psb_cancel(sandbox, 1, NULL), 0); /* runs */
	assert_int_equal(psb_cancel(sandbox, 1, NULL), 0);
	expect(3, PSB_CANCELLED);
	expect(1, PSB_CANCELLED);
	assert_int_equal(psb_cancel(sandbox, 1, NULL), 0); /* long fetched */
	expect_nothing();
	assert_int_equal(psb_cancel(sandbox, 0, NULL), PSB_E_NOT_FOUND);
	assert_int_equal(psb_cancel(sandbox, 4, NULL), PSB_E_NOT_FOUND);
	assert_int_equal(fake_counts[0].starts, 2);
	assert_int_equal(fake_counts[0].last_stop, STOP_CANCELLED);
}

static void an_end_that_came_first_stands(void **state)
{
	uint64_t job = submit();
	psb_outcome *outcome = NULL;
	uint64_t other;

	(void)state;
	/* It has run to its end, but nobody has looked yet. */
	assert_int_equal(psb_execute(sandbox, &request, &outcome, NULL), 0);
	psb_outcome_free(outcome);
	assert_int_equal(psb_cancel(sandbox, job, NULL), 0);
	expect(job, PSB_OK);
	/* Its end frame is there when the cancel comes. */
	other = submit();
	for (int i = 0; i < 3; i++)
		assert_int_equal(psb_cancel(sandbox, other, NULL), 0);
	expect(other, PSB_OK);
}

static void execute_takes_no_other_outcome(void **state)
{
	(void)state;
	fake_scripts[0].delay_us = 3000;
	for (int i = 0; i < 6; i++)
		(void)submit();
	/* The only thread waits here, and all instances belong to jobs: they go on all the same. */
	for (int i = 0; i < 3; i++) {
		psb_outcome *outcome = NULL;

		assert_int_equal(psb_execute(sandbox, &request, &outcome, NULL), 0);
		assert_int_equal(psb_outcome_job(outcome), 0);
		assert_int_equal(psb_outcome_status(outcome), PSB_OK);
		psb_outcome_free(outcome);
	}
	for (uint64_t job = 1; job <= 6; job++)
		expect(job, PSB_OK);
	expect_nothing();
}

static void without_an_engine_every_job_is_unavailable(void **state)
{
	(void)state;
	fake_scripts[0].fail = FAKE_NO_TEMPLATE;
	reopen();
	for (int i = 0; i < 3; i++)
		(void)submit();
	for (uint64_t job = 1; job <= 3; job++)
		expect(job, PSB_UNAVAILABLE);
	fake_scripts[0].fail = FAKE_GOOD; /* later it can */
	expect(submit(), PSB_OK);
}

static void a_template_that_dies_takes_only_its_runs_along(void **state)
{
	(void)state;
	fake_scripts[0].delay_us = 10000;
	for (int i = 0; i < 4; i++)
		(void)submit();
	fake_scripts[0].fail = FAKE_DIES_IN_RUN;
	fake_scripts[0].fail_count = 1;
	expect(1, PSB_UNKNOWN);
	expect(2, PSB_UNKNOWN);
	expect(3, PSB_OK);
	expect(4, PSB_OK);
	assert_int_equal(fake_counts[0].templates, 2);
	assert_int_equal(fake_counts[0].templates_open, 1);
	assert_int_equal(fake_counts[0].starts, 4);
}

static void a_lost_instance_is_unknown(void **state)
{
	(void)state;
	fake_scripts[0].fail = FAKE_NO_PUMP;
	fake_scripts[0].fail_count = 1;
	(void)submit();
	expect(1, PSB_UNKNOWN);
	expect(submit(), PSB_OK);
}

static void files_that_cannot_be_had_are_no_silent_success(void **state)
{
	char folder[] = "/tmp/psb-async-XXXXXX";
	psb_outcome *outcome;

	(void)state;
	assert_non_null(mkdtemp(folder));
	fake_scripts[0].fail = FAKE_NO_WORKSPACE;
	request.output_dir = folder;
	(void)submit();
	outcome = fetch(SOON_MS);
	assert_non_null(outcome);
	assert_int_equal(psb_outcome_status(outcome), PSB_UNKNOWN);
	assert_string_equal(psb_outcome_error_type(outcome), "HostError");
	assert_non_null(strstr(psb_outcome_error_message(outcome), "no workspace"));
	psb_outcome_free(outcome);
	assert_int_equal(rmdir(folder), 0);
}

static void a_silent_engine_is_given_up(void **state)
{
	struct psb_limits limits;

	(void)state;
	psb_limits_init(&limits);
	limits.wall_ms = 50;
	request.limits = &limits;
	fake_scripts[0].steps = silent;
	fake_scripts[0].hang = true;
	fake_scripts[0].deaf = true;
	(void)submit();
	expect(1, PSB_TIMEOUT); /* woken by the timer alone */
}

struct seen {
	bool inside_next;
	int outside;
	char text[64];
	size_t len;
	uint64_t cancel;
};

static void see(void *context, int stream, const char *data, size_t len)
{
	struct seen *seen = context;

	(void)stream;
	seen->outside += !seen->inside_next;
	assert_true(seen->len + len < sizeof(seen->text));
	memcpy(seen->text + seen->len, data, len);
	seen->len += len;
	if (seen->cancel)
		assert_int_equal(psb_cancel(sandbox, seen->cancel, NULL), 0);
}

static psb_outcome *next_with_callbacks(struct seen *seen)
{
	psb_outcome *outcome = NULL;

	for (int i = 0; i < 1000 && !outcome; i++) {
		assert_true(readable(SOON_MS));
		seen->inside_next = true;
		(void)psb_next(sandbox, &outcome, NULL);
		seen->inside_next = false;
	}
	return outcome;
}

static void output_comes_from_next_alone(void **state)
{
	struct seen seen = {.inside_next = false};
	psb_outcome *outcome = NULL;

	(void)state;
	fake_scripts[0].steps = hello;
	request.on_output = see;
	request.context = &seen;
	(void)submit();
	request.on_output = NULL;
	assert_int_equal(psb_execute(sandbox, &request, &outcome, NULL), 0);
	psb_outcome_free(outcome);
	assert_int_equal(seen.len, 0);
	outcome = next_with_callbacks(&seen);
	assert_non_null(outcome);
	assert_int_equal(seen.outside, 0);
	assert_string_equal(seen.text, "hellooops");
	psb_outcome_free(outcome);
}

static void a_callback_may_cancel_its_own_job(void **state)
{
	static const struct fake_step steps[] = {{STEP_STDOUT, "x", 0, 0},
						 {STEP_END_OF_SCRIPT, NULL, 0, 0}};
	struct seen seen = {.cancel = 1};
	psb_outcome *outcome;

	(void)state;
	fake_scripts[0].steps = steps;
	fake_scripts[0].hang = true;
	request.on_output = see;
	request.context = &seen;
	(void)submit();
	outcome = next_with_callbacks(&seen);
	assert_non_null(outcome);
	assert_int_equal(psb_outcome_status(outcome), PSB_CANCELLED);
	psb_outcome_free(outcome);
}

static void close_ends_everything(void **state)
{
	(void)state;
	(void)submit();
	expect(1, PSB_OK);
	(void)submit();
	{
		psb_outcome *outcome = NULL; /* leaves job 2 done and not fetched */

		assert_int_equal(psb_execute(sandbox, &request, &outcome, NULL), 0);
		psb_outcome_free(outcome);
	}
	fake_scripts[0].steps = silent;
	fake_scripts[0].hang = true;
	for (int i = 0; i < 5; i++) /* two run, three wait */
		(void)submit();
	psb_close(sandbox);
	sandbox = NULL;
	assert_int_equal(fake_counts[0].instances_open, 0);
	assert_int_equal(fake_counts[0].templates_open, 0);
}

static void a_forked_child_is_refused(void **state)
{
	int status = 0;
	pid_t pid;

	(void)state;
	fake_scripts[0].delay_us = 20000;
	for (int i = 0; i < 5; i++)
		(void)submit();
	pid = fork();
	if (pid == 0) {
		psb_outcome *outcome = NULL;
		uint64_t job = 0;
		bool good = psb_submit(sandbox, &request, &job, NULL) == PSB_E_FORKED &&
			    psb_next(sandbox, &outcome, NULL) == PSB_E_FORKED &&
			    psb_fd(sandbox, NULL) == PSB_E_FORKED &&
			    psb_cancel(sandbox, 1, NULL) == PSB_E_FORKED &&
			    psb_execute(sandbox, &request, &outcome, NULL) == PSB_E_FORKED &&
			    psb_warm(sandbox, 1, 0, NULL) == PSB_E_FORKED;

		psb_close(sandbox);
		_exit(good && fake_counts[0].abandoned == 1 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (uint64_t job = 1; job <= 5; job++)
		expect(job, PSB_OK);
	expect_nothing();
	assert_false(readable(NEVER_MS));
}

/* A child that lives on with copies of every descriptor must not keep ours readable. */
static void a_childs_copies_do_not_ring(void **state)
{
	int pipe_fds[2];
	pid_t pid;

	(void)state;
	fake_scripts[0].delay_us = 5000;
	for (int i = 0; i < 3; i++)
		(void)submit();
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		char byte;

		(void)close(pipe_fds[1]);
		_exit(read(pipe_fds[0], &byte, 1) == 0 ? 0 : 1);
	}
	for (uint64_t job = 1; job <= 3; job++)
		expect(job, PSB_OK);
	expect_nothing();
	assert_false(readable(NEVER_MS));
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void bad_calls_are_errors(void **state)
{
	psb_outcome *outcome = NULL;
	uint64_t job = 0;

	(void)state;
	assert_int_equal(psb_submit(NULL, &request, &job, NULL), PSB_E_INVALID);
	assert_int_equal(psb_submit(sandbox, NULL, &job, NULL), PSB_E_INVALID);
	assert_int_equal(psb_submit(sandbox, &request, NULL, NULL), PSB_E_INVALID);
	assert_int_equal(psb_next(NULL, &outcome, NULL), PSB_E_INVALID);
	assert_int_equal(psb_next(sandbox, NULL, NULL), PSB_E_INVALID);
	assert_int_equal(psb_cancel(NULL, 1, NULL), PSB_E_INVALID);
	assert_int_equal(psb_fd(NULL, NULL), PSB_E_INVALID);
}

enum { MANY = 10000, AT_ONCE = 700 };

static void cancel_recent(uint64_t newest, unsigned int back)
{
	uint64_t job = newest > back ? newest - back : 1;

	assert_int_equal(psb_cancel(sandbox, job, NULL), 0);
}

static void ten_thousand_jobs_end_exactly_once(void **state)
{
	static unsigned char seen[MANY + 1];
	unsigned int cancelled = 0;
	uint64_t submitted = 0;
	uint64_t fetched = 0;
	unsigned int dice = 12345;

	(void)state;
	memset(seen, 0, sizeof(seen));
	options.pool_size = 16;
	options.queue_length = AT_ONCE;
	reopen();
	fake_scripts[0].steps = hello;
	while (fetched < MANY) {
		psb_outcome *outcome = NULL;
		uint64_t job = 0;

		fake_scripts[0].delay_us =
			rand_r(&dice) % 3 ? 0 : (unsigned int)rand_r(&dice) % 300;
		if (submitted < MANY && psb_submit(sandbox, &request, &job, NULL) == 0)
			assert_int_equal(job, ++submitted);
		if (rand_r(&dice) % 3 == 0)
			cancel_recent(submitted, (unsigned int)rand_r(&dice) % 12);
		if (job && rand_r(&dice) % 40)
			continue;
		while (psb_next(sandbox, &outcome, NULL) == 1) {
			int status = psb_outcome_status(outcome);

			assert_true(status == PSB_OK || status == PSB_CANCELLED);
			cancelled += status == PSB_CANCELLED;
			assert_true(psb_outcome_job(outcome) <= submitted);
			assert_int_equal(seen[psb_outcome_job(outcome)]++, 0);
			psb_outcome_free(outcome);
			fetched++;
		}
		if (submitted == MANY && fetched < MANY)
			assert_true(readable(SOON_MS));
	}
	expect_nothing();
	assert_int_equal(submitted, MANY);
	assert_true(cancelled > 100 && cancelled < MANY - 100);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_job_gives_one_outcome),
		T(the_descriptor_is_level_triggered),
		T(a_waiting_outcome_is_a_reason_to_be_readable),
		T(several_run_at_once_but_no_more_than_the_pool),
		T(a_full_queue_is_busy),
		T(a_refused_request_takes_no_place),
		T(waiting_too_long_is_unavailable),
		T(cancel_is_idempotent),
		T(an_end_that_came_first_stands),
		T(execute_takes_no_other_outcome),
		T(without_an_engine_every_job_is_unavailable),
		T(a_template_that_dies_takes_only_its_runs_along),
		T(a_lost_instance_is_unknown),
		T(files_that_cannot_be_had_are_no_silent_success),
		T(a_silent_engine_is_given_up),
		T(output_comes_from_next_alone),
		T(a_callback_may_cancel_its_own_job),
		T(close_ends_everything),
		T(a_forked_child_is_refused),
		T(a_childs_copies_do_not_ring),
		T(bad_calls_are_errors),
		T(ten_thousand_jobs_end_exactly_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
