/*
 * Which engine runs, over two fake ones: order, candidates, and where falling back ends. Each step
 * that can fail is tried on each rung; how often a request was started is counted by the engines.
 */
#include "unit.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "fixture.h"

static const struct engine_ops *const a_then_b[] = {&fake_engine_a, &fake_engine_b, NULL};

/* The rungs of the ladder, and the level that each reaches (as root). */
static const struct {
	const char *rung;
	int level;
} rungs[] = {{"A", 7}, {"B", 6}, {"C", 5}, {"D", 3}};

/* Each test runs twice: with psb_execute(), and in the background. */
static bool in_background;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	in_background = false;
	return 0;
}

static int setup_background(void **state)
{
	(void)state;
	fake_reset();
	in_background = true;
	return 0;
}

static psb_sandbox *open_list(const struct engine_ops *const *engines,
			      const struct psb_options *wanted)
{
	struct psb_options options = *wanted;
	psb_sandbox *sandbox = NULL;
	struct psb_error err;

	options.python = "/bin/sh";
	options.pool_size = 2;
	if (sandbox_open_with(&options, engines, &sandbox, &err))
		fail_msg("%s", err.message);
	return sandbox;
}

static int probes_of_b;

static void counting_probe(const char *rung, struct engine_probe *out)
{
	probes_of_b++;
	fake_engine_b.probe(rung, out);
}

static psb_outcome *wait_for_job(psb_sandbox *sandbox)
{
	struct pollfd fd = {.fd = psb_fd(sandbox, NULL), .events = POLLIN};
	psb_outcome *outcome = NULL;

	for (;;) {
		int got = psb_next(sandbox, &outcome, NULL);

		assert_true(got >= 0);
		if (got == 1)
			return outcome;
		assert_int_equal(poll(&fd, 1, 10000), 1);
	}
}

static psb_outcome *run_one(psb_sandbox *sandbox)
{
	struct psb_request request;
	psb_outcome *outcome = NULL;
	uint64_t job = 0;

	psb_request_init(&request);
	if (!in_background) {
		assert_int_equal(run_source(sandbox, &request, &outcome, NULL), 0);
		return outcome;
	}
	request.source = "x = 1";
	request.source_len = 5;
	assert_int_equal(psb_submit(sandbox, &request, &job, NULL), 0);
	outcome = wait_for_job(sandbox);
	assert_int_equal(psb_outcome_job(outcome), job);
	return outcome;
}

static struct psb_options defaults(void)
{
	struct psb_options options;

	psb_options_init(&options);
	return options;
}

static void expect_engine(const struct psb_options *options, const char *name)
{
	psb_sandbox *sandbox = open_list(b_then_a, options);
	psb_outcome *outcome = run_one(sandbox);

	if (name)
		assert_string_equal(psb_outcome_engine(outcome), name);
	else
		assert_int_equal(psb_outcome_status(outcome), PSB_UNAVAILABLE);
	assert_int_equal(fake_counts[0].starts + fake_counts[1].starts, name ? 1 : 0);
	psb_outcome_free(outcome);
	psb_close(sandbox);
	assert_int_equal(fake_counts[0].instances_open + fake_counts[1].instances_open, 0);
	assert_int_equal(fake_counts[0].templates_open + fake_counts[1].templates_open, 0);
}

static void level_comes_before_warmth(void **state)
{
	struct psb_options options = defaults();

	(void)state;
	fake_scripts[1].warm = true; /* b, of a lower level */
	expect_engine(&options, "fake-a");
	fake_reset();
	fake_scripts[1].level = 7;
	expect_engine(&options, "fake-b"); /* the registry's order */
	fake_reset();
	fake_scripts[1].level = 7;
	fake_scripts[0].warm = true;
	expect_engine(&options, "fake-a");
}

/* The level that counts is the plan's, by the table, whatever the engine's probe promised. */
static void an_engine_cannot_award_itself_a_level(void **state)
{
	struct psb_options options = defaults();
	psb_sandbox *sandbox = open_list(only_a, &options);
	psb_outcome *outcome;

	(void)state;
	psb_close(sandbox);
	fake_scripts[0].level = 4;
	options.require = "4";
	sandbox = open_list(only_a, &options);
	assert_int_equal(sandbox->candidates[0].plan.level, 4);
	outcome = run_one(sandbox);
	assert_int_equal(psb_outcome_level(outcome), 4);
	assert_non_null(strstr(psb_outcome_json(outcome, NULL),
			       "\"network\":{\"by\":\"absent\",\"how\":[]}"));
	psb_outcome_free(outcome);
	psb_close(sandbox);
	fake_reset();
	fake_scripts[0].level = 4;
	options.require = "5";
	expect_engine(&options, "fake-b");
}

/* What the host reports is in every outcome, and decides from level 9 on. */
static void the_host_s_mitigations_are_part_of_it(void **state)
{
	(void)state;
	for (int level = 7; level <= 10; level++) {
		struct psb_options options = defaults();
		const struct control *control;
		struct speculation host;
		psb_sandbox *sandbox;
		psb_outcome *outcome;

		fake_reset();
		fake_scripts[0].level = level;
		options.require = "7";
		speculation_read(SPECULATION_DIR, &host);
		sandbox = open_list(only_a, &options);
		outcome = run_one(sandbox);
		control = &outcome->engine.controls[CONTROL_hardware_speculation];
		assert_int_equal(control->by, host.mitigated ? BY_KERNEL : BY_ABSENT);
		assert_string_equal(control->how, host.mitigated ? "host-mitigations" : host.found);
		assert_int_equal(psb_outcome_level(outcome),
				 level < 9 || host.mitigated ? level : 8);
		psb_outcome_free(outcome);
		psb_close(sandbox);
		fake_reset();
		options.require = "hardware_speculation";
		expect_engine(&options, host.mitigated ? "fake-a" : NULL);
	}
}

static void who_does_not_fit_is_no_candidate(void **state)
{
	struct psb_options options = defaults();

	(void)state;
	fake_scripts[0].no_modules = true;
	options.preload = "numpy";
	expect_engine(&options, "fake-b");
	fake_reset();
	fake_scripts[0].no_modules = true;
	options.preload = NULL;
	expect_engine(&options, "fake-a");
	fake_reset();
	fake_scripts[0].no_files = true;
	expect_engine(&options, "fake-b");
	fake_reset();
	fake_scripts[0].no_files = true;
	options.policy = "{\"files\":{\"max_inputs\":0,\"output\":false}}";
	expect_engine(&options, "fake-a");
	fake_reset();
	fake_scripts[0].max_memory = 300u << 20;
	options.policy = NULL;
	expect_engine(&options, "fake-a");
	fake_reset();
	fake_scripts[0].max_memory = 300u << 20;
	psb_limits_init(&options.limits);
	options.limits.memory_bytes = 301u << 20;
	expect_engine(&options, "fake-b");
}

static void a_wish_for_an_engine_is_no_wish_for_another(void **state)
{
	struct psb_options options = defaults();

	(void)state;
	options.engine = "fake-a";
	fake_scripts[0].fail = FAKE_NO_TEMPLATE;
	expect_engine(&options, NULL);
	assert_int_equal(fake_counts[1].templates, 0);
}

/* Everything that can fail before a request's first byte, on every rung, with a floor that the
 * second engine just meets: exactly one start, at the other engine, and the reason is kept. */
static void before_start_the_next_one_is_tried(void **state)
{
	static const enum fake_fail early[] = {FAKE_NO_PROBE, FAKE_NO_PLAN,    FAKE_NO_TEMPLATE,
					       FAKE_NO_TURN,  FAKE_NO_PREPARE, FAKE_NO_READY,
					       FAKE_NO_START};

	(void)state;
	for (size_t i = 0; i < COUNT(early) * COUNT(rungs); i++) {
		size_t rung = i % COUNT(rungs);
		struct psb_options options = defaults();
		char level[12];
		psb_sandbox *sandbox;
		psb_outcome *outcome;

		fake_reset();
		fake_scripts[0].fail = early[i / COUNT(rungs)];
		fake_scripts[0].level = 8;
		fake_scripts[1].level = rungs[rung].level;
		(void)snprintf(level, sizeof(level), "%d", rungs[rung].level);
		options.require = level;
		options.rung = rungs[rung].rung;
		sandbox = open_list(a_then_b, &options);
		outcome = run_one(sandbox);
		assert_int_equal(psb_outcome_status(outcome), PSB_OK);
		assert_string_equal(psb_outcome_engine(outcome), "fake-b");
		assert_string_equal(outcome->engine.rung, rungs[rung].rung);
		assert_int_equal(psb_outcome_level(outcome), rungs[rung].level);
		assert_int_equal(outcome->fallback_count, 1);
		assert_string_equal(outcome->fallback[0].engine, "fake-a");
		assert_true(strlen(outcome->fallback[0].reason) > 5);
		assert_non_null(strstr(psb_outcome_json(outcome, NULL),
				       "\"fallback\":[{\"engine\":\"fake-a\",\"reason\":\""));
		assert_int_equal(fake_counts[0].starts, 0);
		assert_int_equal(fake_counts[1].starts, 1);
		psb_outcome_free(outcome);
		psb_close(sandbox);
	}
}

/* The same failures with a floor between the two: nothing runs, and both reasons are told. */
static void never_below_the_floor(void **state)
{
	static const enum fake_fail early[] = {FAKE_NO_PROBE, FAKE_NO_PLAN,    FAKE_NO_TEMPLATE,
					       FAKE_NO_TURN,  FAKE_NO_PREPARE, FAKE_NO_READY,
					       FAKE_NO_START};

	(void)state;
	for (size_t i = 0; i < COUNT(early) * COUNT(rungs); i++) {
		size_t rung = i % COUNT(rungs);
		struct psb_options options = defaults();
		char level[12];
		psb_sandbox *sandbox;
		psb_outcome *outcome;

		fake_reset();
		fake_scripts[0].fail = early[i / COUNT(rungs)];
		fake_scripts[0].level = 8;
		fake_scripts[1].level = rungs[rung].level;
		(void)snprintf(level, sizeof(level), "%d", rungs[rung].level + 1);
		options.require = level;
		options.rung = rungs[rung].rung;
		sandbox = open_list(a_then_b, &options);
		outcome = run_one(sandbox);
		assert_int_equal(psb_outcome_status(outcome), PSB_UNAVAILABLE);
		assert_null(psb_outcome_engine(outcome));
		assert_int_equal(outcome->fallback_count, 2);
		assert_non_null(strstr(psb_outcome_error_message(outcome), "fake-a: "));
		assert_non_null(strstr(psb_outcome_error_message(outcome), "fake-b: "));
		assert_int_equal(fake_counts[0].starts + fake_counts[1].starts, 0);
		assert_int_equal(fake_counts[1].templates, 0);
		psb_outcome_free(outcome);
		psb_close(sandbox);
	}
}

/* Once started, a lost instance or keeper is an outcome, on every rung: one start in all. */
static void after_start_nothing_is_tried_again(void **state)
{
	static const struct fake_step silent[] = {{STEP_STDOUT, "x", 0, 2},
						  {STEP_END_OF_SCRIPT, NULL, 0, 0}};
	static const enum fake_fail late[] = {FAKE_NO_PUMP, FAKE_DIES_IN_RUN};

	(void)state;
	for (size_t i = 0; i < COUNT(late) * COUNT(rungs); i++) {
		struct psb_options options = defaults();
		psb_sandbox *sandbox;
		psb_outcome *outcome;

		fake_reset();
		fake_scripts[0].fail = late[i / COUNT(rungs)];
		fake_scripts[0].steps = silent;
		options.require = "3";
		options.rung = rungs[i % COUNT(rungs)].rung;
		sandbox = open_list(a_then_b, &options);
		outcome = run_one(sandbox);
		assert_int_equal(psb_outcome_status(outcome), PSB_UNKNOWN);
		assert_string_equal(psb_outcome_engine(outcome), "fake-a");
		assert_int_equal(outcome->fallback_count, 0);
		assert_int_equal(fake_counts[0].starts, 1);
		assert_int_equal(fake_counts[1].starts, 0);
		assert_int_equal(fake_counts[1].templates, 0);
		psb_outcome_free(outcome);
		psb_close(sandbox);
	}
}

/* However the program ends, and whatever limit ends it: that was its run. */
static void an_end_of_the_program_s_own_is_no_failure(void **state)
{
	static const struct fake_step error[] = {
		{STEP_END, "{\"status\":\"error\",\"error\":{\"type\":\"SyntaxError\"}}", 0, 0},
		{STEP_END_OF_SCRIPT, NULL, 0, 0}};
	static const struct fake_step exits[] = {
		{STEP_END, "{\"status\":\"exit\",\"exit_code\":3}", 0, 0},
		{STEP_END_OF_SCRIPT, NULL, 0, 0}};
	static const struct fake_step none[] = {{STEP_END_OF_SCRIPT, NULL, 0, 0}};
	static const struct fake_step flood[] = {{STEP_STDOUT, "xxxxxxxxxxxxxxxx", 0, 200000},
						 {STEP_END_OF_SCRIPT, NULL, 0, 0}};
	static const struct {
		const struct fake_step *steps;
		struct evidence evidence;
		int status;
	} ends[] = {
		{error, {.ended = true}, PSB_ERROR},
		{exits, {.ended = true}, PSB_EXIT},
		{none, {.ended = true}, PSB_UNKNOWN},
		{none, {.ended = true, .wall_fired = true}, PSB_TIMEOUT},
		{none, {.ended = true, .cpu_fired = true}, PSB_CPU_LIMIT},
		{none, {.ended = true, .oom_killed = true}, PSB_MEMORY_LIMIT},
		{none, {.ended = true, .signalled = true, .signal_number = 11}, PSB_CRASH},
		{flood, {.ended = true}, PSB_OUTPUT_LIMIT},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(ends); i++) {
		struct psb_options options = defaults();
		psb_sandbox *sandbox;
		psb_outcome *outcome;

		fake_reset();
		fake_scripts[0].steps = ends[i].steps;
		fake_scripts[0].evidence = ends[i].evidence;
		sandbox = open_list(a_then_b, &options);
		outcome = run_one(sandbox);
		assert_int_equal(psb_outcome_status(outcome), ends[i].status);
		assert_string_equal(psb_outcome_engine(outcome), "fake-a");
		assert_int_equal(outcome->fallback_count, 0);
		assert_int_equal(fake_counts[0].starts, 1);
		assert_int_equal(fake_counts[1].starts, 0);
		psb_outcome_free(outcome);
		psb_close(sandbox);
	}
}

/* A wrong call reaches no engine at all. */
static void an_error_of_the_call_starts_nothing(void **state)
{
	static const char *const env[] = {"A=1", NULL};
	struct psb_options options = defaults();
	struct psb_file file = {.guest_name = "../up", .data = "x", .data_len = 1};
	psb_sandbox *sandbox;
	struct psb_request request;
	psb_outcome *outcome = NULL;

	(void)state;
	options.policy = "strict";
	sandbox = open_list(a_then_b, &options);
	psb_request_init(&request);
	request.env = env;
	assert_int_equal(run_source(sandbox, &request, &outcome, NULL), PSB_E_POLICY);
	psb_request_init(&request);
	request.files = &file;
	request.file_count = 1;
	assert_int_equal(run_source(sandbox, &request, &outcome, NULL), PSB_E_INVALID);
	request.file_count = 17;
	assert_int_equal(run_source(sandbox, &request, &outcome, NULL), PSB_E_POLICY);
	request.file_count = 257;
	assert_int_equal(run_source(sandbox, &request, &outcome, NULL), PSB_E_INVALID);
	psb_request_init(&request);
	request.inputs = "{";
	request.inputs_len = 1;
	assert_int_equal(run_source(sandbox, &request, &outcome, NULL), PSB_E_INVALID);
	assert_null(outcome);
	assert_int_equal(fake_counts[0].starts + fake_counts[1].starts, 0);
	psb_close(sandbox);
}

/* The policy's variables reach the guest's request, beside the call's own. */
static void fixed_variables_travel_with_the_request(void **state)
{
	struct psb_options options = defaults();
	psb_sandbox *sandbox;
	size_t plain;

	(void)state;
	options.policy = "{\"name\":\"n\"}";
	sandbox = open_list(only_a, &options);
	psb_outcome_free(run_one(sandbox));
	plain = fake_counts[0].request_len;
	psb_close(sandbox);
	options.policy = "{\"name\":\"n\",\"environment\":{\"set\":{\"TZ\":\"UTC\"}}}";
	sandbox = open_list(only_a, &options);
	psb_outcome_free(run_one(sandbox));
	assert_int_equal(fake_counts[0].request_len, plain + strlen("\"TZ\":\"UTC\""));
	psb_close(sandbox);
}

/* The public view of it, over the engines of this build. */
static void a_policy_can_be_looked_at(void **state)
{
	struct psb_engine_info info = {.size = sizeof(info)};
	struct psb_options options = defaults();
	char *text = NULL;
	size_t count = 0;

	(void)state;
	while (psb_policy_name(count))
		count++;
	assert_int_equal(count, 4);
	assert_string_equal(psb_policy_name(0), "default");
	assert_int_equal(psb_policy_text(NULL, 0, &text, NULL), 0);
	assert_non_null(
		strstr(text, "{\"policy\":{\"name\":\"default\",\"limits\":{\"wall_ms\":30000"));
	assert_null(strstr(text, "\"engines\""));
	psb_text_free(text);
	psb_text_free(NULL);
	assert_int_equal(psb_policy_text(&options, 0, NULL, NULL), PSB_E_INVALID);
	options.policy = "{\"x\":1}";
	assert_int_equal(psb_policy_text(&options, 0, &text, NULL), PSB_E_POLICY);
	options.size = 3;
	assert_int_equal(psb_policy_text(&options, 0, &text, NULL), PSB_E_INVALID);
	options = defaults();
	options.python = "/bin/sh"; /* no Python: no engine fits, and it is said */
	assert_int_equal(psb_policy_text(&options, 1, &text, NULL), 0);
	assert_non_null(strstr(text, "\"fits\":false"));
	assert_null(strstr(text, "\"fits\":true"));
	psb_text_free(text);
	assert_int_equal(psb_engine_fits(&options, 0, &info, NULL), 0);
	assert_int_equal(info.available, 0);
	assert_non_null(strstr(info.missing, "python"));
	assert_int_equal(psb_engine_fits(&options, 99, &info, NULL), PSB_E_NOT_FOUND);
	assert_int_equal(psb_engine_fits(&options, 0, NULL, NULL), PSB_E_INVALID);
}

/* A probe costs time: none for what could not be better, but all that is needed when the first fails. */
static void who_cannot_be_better_is_probed_when_it_is_needed(void **state)
{
	struct engine_ops weaker = fake_engine_b;
	const struct engine_ops *const list[] = {&fake_engine_a, &weaker, NULL};
	struct psb_options options;
	psb_sandbox *sandbox;

	(void)state;
	weaker.probe = counting_probe;
	weaker.level_most = 7;
	psb_options_init(&options);
	for (int fails = 0; fails < 3; fails++) {
		psb_outcome *outcome;

		fake_scripts[0].level = 8;
		fake_scripts[0].fail = fails ? FAKE_NO_TEMPLATE : FAKE_GOOD;
		fake_scripts[1].fail = fails == 2 ? FAKE_NO_PROBE : FAKE_GOOD;
		probes_of_b = 0;
		sandbox = open_list(list, &options);
		for (int again = 1; again <= 2; again++) {
			outcome = run_one(sandbox);
			assert_int_equal(psb_outcome_status(outcome),
					 fails == 2 ? PSB_UNAVAILABLE : PSB_OK);
			assert_int_equal(outcome->fallback_count, fails);
			assert_int_equal(probes_of_b, fails == 2 ? 1 + again : fails);
			psb_outcome_free(outcome);
		}
		psb_close(sandbox);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup), cmocka_unit_test_setup(name, setup_background)
	const struct CMUnitTest tests[] = {
		T(level_comes_before_warmth),
		T(who_cannot_be_better_is_probed_when_it_is_needed),
		T(an_engine_cannot_award_itself_a_level),
		T(the_host_s_mitigations_are_part_of_it),
		T(who_does_not_fit_is_no_candidate),
		T(a_wish_for_an_engine_is_no_wish_for_another),
		T(before_start_the_next_one_is_tried),
		T(never_below_the_floor),
		T(after_start_nothing_is_tried_again),
		T(an_end_of_the_program_s_own_is_no_failure),
		T(an_error_of_the_call_starts_nothing),
		T(fixed_variables_travel_with_the_request),
		cmocka_unit_test(a_policy_can_be_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
