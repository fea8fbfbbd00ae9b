/* A sandbox's life over the fake engine: choice, fallback, pool, cancel, fork, callbacks. */
#include "unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/json_check.h"
#include "fixture.h"

static int setup(void **state)
{
	(void)state;
	fake_reset();
	return 0;
}

static psb_outcome *run_one(psb_sandbox *sandbox)
{
	struct psb_request request;
	psb_outcome *outcome = NULL;

	psb_request_init(&request);
	assert_int_equal(run_source(sandbox, &request, &outcome, NULL), 0);
	assert_non_null(outcome);
	return outcome;
}

static psb_sandbox *open_list(const struct engine_ops *const *engines)
{
	psb_sandbox *sandbox = NULL;

	assert_int_equal(open_fake(engines, &sandbox, NULL), 0);
	return sandbox;
}

static void expect_all_freed(void)
{
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fake_counts[i].instances_open, 0);
		assert_int_equal(fake_counts[i].templates_open, 0);
	}
}

static void a_run_uses_one_instance_and_refills(void **state)
{
	psb_sandbox *sandbox = open_list(only_a);

	(void)state;
	assert_int_equal(fake_counts[0].instances, 2);
	for (int i = 0; i < 5; i++) {
		psb_outcome *outcome = run_one(sandbox);

		assert_int_equal(psb_outcome_status(outcome), PSB_OK);
		assert_string_equal(psb_outcome_engine(outcome), "fake-a");
		assert_int_equal(psb_outcome_level(outcome), 7);
		psb_outcome_free(outcome);
		/* Nobody waits for the refill: it comes with the next call. */
		assert_int_equal(fake_counts[0].instances, 2 + i);
		assert_int_equal(psb_warm(sandbox, 2, 1000, NULL), 0);
		assert_int_equal(fake_counts[0].instances, 3 + i);
		assert_int_equal(fake_counts[0].instances_open, 2);
	}
	assert_int_equal(fake_counts[0].starts, 5);
	assert_int_equal(fake_counts[0].last_stop, STOP_FINISHED);
	assert_int_equal(fake_counts[0].templates, 1);
	psb_close(sandbox);
	expect_all_freed();
}

static void the_next_call_refills(void **state)
{
	psb_sandbox *sandbox = open_list(only_a);

	(void)state;
	for (int i = 0; i < 5; i++) {
		psb_outcome_free(run_one(sandbox));
		assert_in_range(fake_counts[0].instances, 2 + i, 3 + i);
		assert_in_range(fake_counts[0].instances_open, 1, 3);
	}
	psb_close(sandbox);
	expect_all_freed();
}

static void the_higher_level_is_taken(void **state)
{
	psb_sandbox *sandbox = open_list(b_then_a);
	psb_outcome *outcome = run_one(sandbox);

	(void)state;
	assert_string_equal(psb_outcome_engine(outcome), "fake-a");
	assert_int_equal(outcome->fallback_count, 0);
	psb_outcome_free(outcome);
	psb_close(sandbox);
	expect_all_freed();
}

/* Whatever fails before start() is answered by the next engine, and said. */
static void every_early_failure_falls_back(void **state)
{
	static const enum fake_fail early[] = {FAKE_NO_PROBE, FAKE_NO_PLAN,    FAKE_NO_TEMPLATE,
					       FAKE_NO_TURN,  FAKE_NO_PREPARE, FAKE_NO_READY,
					       FAKE_NO_START};

	(void)state;
	for (size_t i = 0; i < COUNT(early); i++) {
		psb_sandbox *sandbox;
		psb_outcome *outcome;

		fake_reset();
		fake_scripts[0].fail = early[i];
		sandbox = open_list(b_then_a);
		outcome = run_one(sandbox);
		assert_int_equal(psb_outcome_status(outcome), PSB_OK);
		assert_string_equal(psb_outcome_engine(outcome), "fake-b");
		assert_int_equal(outcome->fallback_count, 1);
		assert_string_equal(outcome->fallback[0].engine, "fake-a");
		assert_true(strlen(outcome->fallback[0].reason) > 5);
		psb_outcome_free(outcome);
		psb_close(sandbox);
		expect_all_freed();
	}
}

static void without_an_engine_it_is_unavailable(void **state)
{
	static const enum fake_fail early[] = {FAKE_NO_PROBE, FAKE_NO_PLAN,    FAKE_NO_TEMPLATE,
					       FAKE_NO_TURN,  FAKE_NO_PREPARE, FAKE_NO_READY,
					       FAKE_NO_START};

	(void)state;
	for (size_t i = 0; i < COUNT(early); i++) {
		psb_sandbox *sandbox;
		psb_outcome *outcome;

		fake_reset();
		fake_scripts[0].fail = early[i];
		sandbox = open_list(only_a);
		for (int again = 0; again < 2; again++) {
			outcome = run_one(sandbox);
			assert_int_equal(psb_outcome_status(outcome), PSB_UNAVAILABLE);
			assert_null(psb_outcome_engine(outcome));
			assert_non_null(strstr(psb_outcome_error_message(outcome), "fake-a"));
			assert_non_null(strstr(psb_outcome_json(outcome, NULL), "\"engine\":null"));
			psb_outcome_free(outcome);
		}
		assert_int_equal(fake_counts[0].starts, 0);
		psb_close(sandbox);
		expect_all_freed();
	}
}

static void a_passing_failure_is_overcome(void **state)
{
	psb_sandbox *sandbox;
	psb_outcome *outcome;

	(void)state;
	fake_scripts[0].fail = FAKE_NO_START;
	fake_scripts[0].fail_count = 1;
	sandbox = open_list(only_a);
	outcome = run_one(sandbox);
	assert_int_equal(psb_outcome_status(outcome), PSB_OK);
	assert_int_equal(fake_counts[0].starts, 1);
	psb_outcome_free(outcome);
	psb_close(sandbox);
}

static void nothing_is_tried_again_after_start(void **state)
{
	psb_sandbox *sandbox;
	psb_outcome *outcome;

	(void)state;
	fake_scripts[0].fail = FAKE_NO_PUMP;
	sandbox = open_list(b_then_a);
	outcome = run_one(sandbox);
	assert_int_equal(psb_outcome_status(outcome), PSB_UNKNOWN);
	assert_int_equal(fake_counts[0].starts, 1);
	assert_int_equal(fake_counts[1].starts, 0);
	psb_outcome_free(outcome);
	psb_close(sandbox);
	expect_all_freed();
}

static void a_template_that_dies_is_opened_again(void **state)
{
	psb_sandbox *sandbox = open_list(only_a);
	psb_outcome *outcome;

	(void)state;
	psb_outcome_free(run_one(sandbox));
	/* Between two runs, with instances that look ready. */
	fake_scripts[0].fail = FAKE_NO_TURN;
	fake_scripts[0].fail_count = 1;
	outcome = run_one(sandbox);
	assert_int_equal(psb_outcome_status(outcome), PSB_OK);
	assert_int_equal(outcome->fallback_count, 0);
	assert_int_equal(fake_counts[0].templates, 2);
	psb_outcome_free(outcome);
	psb_close(sandbox);
	expect_all_freed();
}

static void a_template_that_dies_in_a_run_takes_it_along(void **state)
{
	static const struct fake_step silent[] = {{STEP_STDOUT, "x", 0, 2},
						  {STEP_END_OF_SCRIPT, NULL, 0, 0}};
	const struct fake_step *good = fake_scripts[0].steps;
	psb_sandbox *sandbox = open_list(only_a);
	psb_outcome *outcome;

	(void)state;
	fake_scripts[0].steps = silent;
	fake_scripts[0].fail = FAKE_DIES_IN_RUN;
	fake_scripts[0].fail_count = 1;
	outcome = run_one(sandbox);
	assert_int_equal(psb_outcome_status(outcome), PSB_UNKNOWN);
	assert_non_null(strstr(psb_outcome_error_message(outcome), "keeper died"));
	psb_outcome_free(outcome);
	fake_scripts[0].steps = good;
	outcome = run_one(sandbox);
	assert_int_equal(psb_outcome_status(outcome), PSB_OK);
	psb_outcome_free(outcome);
	psb_close(sandbox);
	expect_all_freed();
}

static void the_floor_holds(void **state)
{
	struct psb_options options;
	psb_sandbox *sandbox = NULL;
	psb_outcome *outcome;

	(void)state;
	psb_options_init(&options);
	options.python = "/bin/sh";
	options.require = "8";
	assert_int_equal(sandbox_open_with(&options, only_a, &sandbox, NULL), 0);
	outcome = run_one(sandbox);
	assert_int_equal(psb_outcome_status(outcome), PSB_UNAVAILABLE);
	assert_non_null(strstr(psb_outcome_error_message(outcome), "floor is 8"));
	assert_int_equal(fake_counts[0].templates, 0);
	psb_outcome_free(outcome);
	psb_close(sandbox);
	/* A policy that states its floor is not lowered by an option. */
	options.policy = "{\"require\":9}";
	options.require = "2";
	assert_int_equal(sandbox_open_with(&options, only_a, &sandbox, NULL), 0);
	outcome = run_one(sandbox);
	assert_int_equal(psb_outcome_status(outcome), PSB_UNAVAILABLE);
	psb_outcome_free(outcome);
	psb_close(sandbox);
}

static void bad_options_are_errors_of_the_call(void **state)
{
	psb_sandbox *sandbox = NULL;
	struct psb_options options;

	(void)state;
#define TRY(member, value, code)                                                                   \
	do {                                                                                       \
		psb_options_init(&options);                                                        \
		options.python = "/bin/sh";                                                        \
		options.member = value;                                                            \
		assert_int_equal(sandbox_open_with(&options, only_a, &sandbox, NULL), code);       \
	} while (0)
	TRY(engine, "warp", PSB_E_NOT_FOUND);
	TRY(policy, "{\"x\":1}", PSB_E_POLICY);
	TRY(require, "eleven", PSB_E_POLICY);
	TRY(python, "/no/such/python", PSB_E_NOT_FOUND);
	TRY(python, "python3", PSB_E_INVALID);
	TRY(preload, "a\nb", PSB_E_INVALID);
	TRY(pool_size, 65, PSB_E_INVALID);
	TRY(single_use, 2, PSB_E_INVALID);
	TRY(queue_length, 1000001, PSB_E_INVALID);
	TRY(queue_timeout_ms, UINT64_MAX, PSB_E_INVALID);
	TRY(size, 3, PSB_E_INVALID);
	psb_options_init(&options);
	options.python = "/bin/sh";
	psb_limits_init(&options.limits);
	options.limits.open_files = 5;
	assert_int_equal(sandbox_open_with(&options, only_a, &sandbox, NULL), PSB_E_POLICY);
	options.limits.open_files = 0;
	options.limits.wall_ms = 6000;
	options.policy = "strict";
	assert_int_equal(sandbox_open_with(&options, only_a, &sandbox, NULL), PSB_E_POLICY);
#undef TRY
	assert_null(sandbox);
	expect_all_freed();
}

static void *cancel_later(void *sandbox)
{
	usleep(30000);
	psb_cancel_current(sandbox);
	psb_cancel_current(sandbox);
	return NULL;
}

static void cancel_ends_a_hanging_run(void **state)
{
	static const struct fake_step none[] = {{STEP_END_OF_SCRIPT, NULL, 0, 0}};
	const struct fake_step *good = fake_scripts[0].steps;
	psb_sandbox *sandbox = open_list(only_a);
	psb_outcome *outcome;
	pthread_t thread;

	(void)state;
	psb_cancel_current(sandbox); /* no run: without effect */
	fake_scripts[0].steps = none;
	fake_scripts[0].hang = true;
	assert_int_equal(pthread_create(&thread, NULL, cancel_later, sandbox), 0);
	outcome = run_one(sandbox);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(psb_outcome_status(outcome), PSB_CANCELLED);
	assert_int_equal(fake_counts[0].last_stop, STOP_CANCELLED);
	psb_outcome_free(outcome);
	fake_scripts[0].steps = good;
	fake_scripts[0].hang = false;
	outcome = run_one(sandbox);
	assert_int_equal(psb_outcome_status(outcome), PSB_OK);
	psb_outcome_free(outcome);
	psb_close(sandbox);
}

static void a_silent_engine_is_given_up(void **state)
{
	static const struct fake_step none[] = {{STEP_END_OF_SCRIPT, NULL, 0, 0}};
	psb_sandbox *sandbox = open_list(only_a);
	struct psb_limits limits;
	struct psb_request request;
	psb_outcome *outcome = NULL;

	(void)state;
	fake_scripts[0].steps = none;
	fake_scripts[0].hang = true;
	fake_scripts[0].deaf = true;
	psb_request_init(&request);
	psb_limits_init(&limits);
	limits.wall_ms = 50;
	request.limits = &limits;
	assert_int_equal(run_source(sandbox, &request, &outcome, NULL), 0);
	assert_int_equal(psb_outcome_status(outcome), PSB_TIMEOUT);
	assert_int_equal(fake_counts[0].stops, 1);
	psb_outcome_free(outcome);
	psb_close(sandbox);
	expect_all_freed();
}

static void a_forked_copy_refuses(void **state)
{
	psb_sandbox *sandbox = open_list(only_a);
	int status = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		struct psb_request request;
		psb_outcome *outcome = NULL;
		int code;

		psb_request_init(&request);
		code = run_source(sandbox, &request, &outcome, NULL);
		psb_close(sandbox);
		_exit(code == PSB_E_FORKED && fake_counts[0].templates_open == 1 &&
				      fake_counts[0].abandoned == 1
			      ? 0
			      : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	psb_outcome_free(run_one(sandbox));
	psb_close(sandbox);
}

struct nested {
	psb_sandbox *sandbox;
	int calls;
	int code;
	int status;
};

static void execute_inside(void *context, int stream, const char *data, size_t len)
{
	struct nested *nested = context;
	struct psb_request request;
	psb_outcome *outcome = NULL;

	(void)stream;
	(void)data;
	(void)len;
	nested->calls++;
	psb_request_init(&request);
	nested->code = run_source(nested->sandbox, &request, &outcome, NULL);
	nested->status = outcome ? psb_outcome_status(outcome) : -1;
	psb_outcome_free(outcome);
}

static void a_callback_may_use_the_sandbox(void **state)
{
	static const struct fake_step chatty[] = {
		{STEP_STDOUT, "x", 0, 0},
		{STEP_END, "{\"status\":\"ok\"}", 0, 0},
		{STEP_END_OF_SCRIPT, NULL, 0, 0},
	};
	struct nested nested = {.sandbox = open_list(only_a), .code = 1};
	struct psb_request request;
	psb_outcome *outcome = NULL;

	(void)state;
	fake_scripts[0].steps = chatty;
	psb_request_init(&request);
	request.on_output = execute_inside;
	request.context = &nested;
	assert_int_equal(run_source(nested.sandbox, &request, &outcome, NULL), 0);
	assert_int_equal(psb_outcome_status(outcome), PSB_OK);
	assert_int_equal(nested.calls, 1);
	assert_int_equal(nested.code, 0);
	assert_int_equal(nested.status, PSB_OK);
	assert_int_equal(fake_counts[0].starts, 2);
	psb_outcome_free(outcome);
	psb_close(nested.sandbox);
	expect_all_freed();
}

static void warm_waits_for_instances(void **state)
{
	psb_sandbox *sandbox = open_list(only_a);

	(void)state;
	assert_int_equal(psb_warm(sandbox, 2, 1000, NULL), 0);
	assert_int_equal(psb_warm(sandbox, 1000, 1000, NULL), 0);
	psb_close(sandbox);
	fake_reset();
	fake_scripts[0].fail = FAKE_NO_TEMPLATE;
	sandbox = open_list(only_a);
	assert_int_equal(psb_warm(sandbox, 1, 1000, NULL), PSB_E_ENGINE);
	psb_close(sandbox);
	assert_int_equal(psb_warm(NULL, 1, 1, NULL), PSB_E_INVALID);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		T(a_run_uses_one_instance_and_refills),
		T(the_next_call_refills),
		T(the_higher_level_is_taken),
		T(every_early_failure_falls_back),
		T(without_an_engine_it_is_unavailable),
		T(a_passing_failure_is_overcome),
		T(nothing_is_tried_again_after_start),
		T(a_template_that_dies_is_opened_again),
		T(a_template_that_dies_in_a_run_takes_it_along),
		T(the_floor_holds),
		T(bad_options_are_errors_of_the_call),
		T(cancel_ends_a_hanging_run),
		T(a_silent_engine_is_given_up),
		T(a_forked_copy_refuses),
		T(a_callback_may_use_the_sandbox),
		T(warm_waits_for_instances),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
