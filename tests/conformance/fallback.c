/*
 * Falling back to and from an engine that really runs Python, on every rung that this host has. A
 * fake engine stands before or behind it and fails at each step in turn. What ran is counted
 * outside: each execution leaves one file with a name of its own in a directory of the host.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/registry.h"
#include "core/sandbox.h"
#include "fake_engine.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MARK "import uuid\nopen(uuid.uuid4().hex, 'w').close()\n"

static const enum fake_fail early[] = {FAKE_NO_PROBE, FAKE_NO_PLAN,    FAKE_NO_TEMPLATE,
				       FAKE_NO_TURN,  FAKE_NO_PREPARE, FAKE_NO_READY,
				       FAKE_NO_START};
static const char *const rungs[] = {"A", "B", "C", "D"};

static const struct engine_ops *fake_first[3];
static const struct engine_ops *fake_last[3];
static char out_dir[] = "/tmp/psb-fallback-XXXXXX";

static const struct engine_ops *real;

static int make_lists(void **state)
{
	(void)state;
	for (size_t i = 0; registry_engines[i]; i++) {
		if (strcmp(registry_engines[i]->name, "native") == 0)
			real = registry_engines[i];
	}
	fake_first[0] = fake_last[1] = &fake_engine_a;
	fake_first[1] = fake_last[0] = real;
	return real && mkdtemp(out_dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(out_dir);
}

/* Removes the marks; how many there were. */
static int count_marks(void)
{
	const struct dirent *entry;
	DIR *dir = opendir(out_dir);
	int count = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		assert_int_equal(unlinkat(dirfd(dir), entry->d_name, 0), 0);
		count++;
	}
	(void)closedir(dir);
	return count;
}

static bool has_rung(const char *rung)
{
	struct engine_probe probe;

	real->probe(rung, &probe);
	if (!probe.available)
		print_message("rung %s: %s\n", rung, probe.missing);
	return probe.available;
}

static psb_sandbox *open_list(const struct engine_ops *const *engines, const char *rung)
{
	struct psb_options options;
	psb_sandbox *sandbox = NULL;
	struct psb_error err;

	psb_options_init(&options);
	options.require = "3";
	options.rung = rung;
	options.pool_size = 1;
	if (sandbox_open_with(&options, engines, &sandbox, &err))
		fail_msg("%s", err.message);
	return sandbox;
}

static psb_outcome *run_source(psb_sandbox *sandbox, const char *source)
{
	struct psb_request request;
	struct psb_limits limits;
	psb_outcome *outcome = NULL;
	struct psb_error err;

	psb_limits_init(&limits);
	limits.wall_ms = 1500;
	psb_request_init(&request);
	request.source = source;
	request.source_len = strlen(source);
	request.output_dir = out_dir;
	request.limits = &limits;
	if (psb_execute(sandbox, &request, &outcome, &err))
		fail_msg("%s", err.message);
	return outcome;
}

/* The better engine fails before the first byte: the real one runs it, once, and it is said. */
static void what_failed_early_runs_once_elsewhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(early) * COUNT(rungs); i++) {
		const char *rung = rungs[i % COUNT(rungs)];
		psb_sandbox *sandbox;
		psb_outcome *outcome;

		if (!has_rung(rung))
			continue;
		fake_reset();
		fake_scripts[0].level = 8;
		fake_scripts[0].fail = early[i / COUNT(rungs)];
		sandbox = open_list(fake_first, rung);
		outcome = run_source(sandbox, MARK "result = 1");
		if (psb_outcome_status(outcome) != PSB_OK)
			print_message("%s\n", psb_outcome_json(outcome, NULL));
		assert_int_equal(psb_outcome_status(outcome), PSB_OK);
		assert_string_equal(psb_outcome_engine(outcome), real->name);
		assert_string_equal(outcome->engine.rung, rung);
		assert_int_equal(outcome->fallback_count, 1);
		assert_string_equal(outcome->fallback[0].engine, "fake-a");
		assert_int_equal(fake_counts[0].starts, 0);
		assert_int_equal(count_marks(), 1);
		psb_outcome_free(outcome);
		psb_close(sandbox);
	}
}

/* The better engine is lost after the first byte: the real one must not run it as well. */
static void what_was_started_runs_nowhere_else(void **state)
{
	static const struct fake_step silent[] = {{STEP_STDOUT, "x", 0, 2},
						  {STEP_END_OF_SCRIPT, NULL, 0, 0}};
	static const enum fake_fail late[] = {FAKE_NO_PUMP, FAKE_DIES_IN_RUN};

	(void)state;
	for (size_t i = 0; i < COUNT(late) * COUNT(rungs); i++) {
		const char *rung = rungs[i % COUNT(rungs)];
		psb_sandbox *sandbox;
		psb_outcome *outcome;

		if (!has_rung(rung))
			continue;
		fake_reset();
		fake_scripts[0].level = 8;
		fake_scripts[0].fail = late[i / COUNT(rungs)];
		fake_scripts[0].steps = silent;
		sandbox = open_list(fake_first, rung);
		outcome = run_source(sandbox, MARK);
		assert_int_equal(psb_outcome_status(outcome), PSB_UNKNOWN);
		assert_string_equal(psb_outcome_engine(outcome), "fake-a");
		assert_int_equal(outcome->fallback_count, 0);
		assert_int_equal(fake_counts[0].starts, 1);
		assert_int_equal(count_marks(), 0);
		psb_outcome_free(outcome);
		psb_close(sandbox);
	}
}

/* However a program ends, it has had its run: one mark (or none, if it is no program), and the
 * engine behind is never even opened. */
static void an_end_of_the_program_s_own_is_final(void **state)
{
	static const struct {
		const char *source;
		int status; /* -1: whatever it is by host, but not ok */
		int marks;
	} ends[] = {
		{MARK "raise RuntimeError('mine')", PSB_ERROR, 1},
		{MARK "def f(:\n", PSB_ERROR, 0},
		{MARK "import sys\nsys.exit(3)", PSB_EXIT, 1},
		{MARK "import os\nos._exit(4)", PSB_EXIT, 1},
		{MARK "import os\nos.abort()", PSB_CRASH, 1},
		{MARK "while True: pass", PSB_TIMEOUT, 1},
		{MARK "while True: print('x' * 65536)", PSB_OUTPUT_LIMIT, 1},
		{MARK "result = 'x' * (20 << 20)", PSB_RESULT_LIMIT, 1},
		{MARK "result = object()", PSB_ERROR, 1},
		{MARK "import socket", PSB_ERROR, 1},
		{MARK "x = [b'x' * (1 << 20) for i in range(4096)]", -1, 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(ends) * COUNT(rungs); i++) {
		const char *rung = rungs[i % COUNT(rungs)];
		size_t end = i / COUNT(rungs);
		psb_sandbox *sandbox;
		psb_outcome *outcome;

		if (!has_rung(rung))
			continue;
		fake_reset();
		fake_scripts[0].level = 3; /* behind the real one, or its equal */
		sandbox = open_list(fake_last, rung);
		outcome = run_source(sandbox, ends[end].source);
		if (ends[end].status >= 0)
			assert_int_equal(psb_outcome_status(outcome), ends[end].status);
		assert_int_not_equal(psb_outcome_status(outcome), PSB_OK);
		assert_string_equal(psb_outcome_engine(outcome), real->name);
		assert_int_equal(outcome->fallback_count, 0);
		assert_int_equal(fake_counts[0].templates, 0);
		assert_int_equal(fake_counts[0].starts, 0);
		assert_int_equal(count_marks(), ends[end].marks);
		psb_outcome_free(outcome);
		psb_close(sandbox);
	}
}

/* An interpreter that cannot serve is the profile's fault: the other engine is tried, and said. */
static void a_profile_that_cannot_be_met_goes_to_the_next(void **state)
{
	struct psb_options options;
	psb_sandbox *sandbox = NULL;
	psb_outcome *outcome;

	(void)state;
	fake_reset();
	fake_scripts[0].level = 3;
	fake_scripts[0].workspace = out_dir;
	psb_options_init(&options);
	options.python = "/bin/true";
	options.require = "3";
	assert_int_equal(sandbox_open_with(&options, fake_last, &sandbox, NULL), 0);
	outcome = run_source(sandbox, "x = 1");
	assert_string_equal(psb_outcome_engine(outcome), "fake-a");
	assert_int_equal(outcome->fallback_count, 1);
	assert_non_null(strstr(outcome->fallback[0].reason, "python: "));
	psb_outcome_free(outcome);
	psb_close(sandbox);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_failed_early_runs_once_elsewhere),
		cmocka_unit_test(what_was_started_runs_nowhere_else),
		cmocka_unit_test(an_end_of_the_program_s_own_is_final),
		cmocka_unit_test(a_profile_that_cannot_be_met_goes_to_the_next),
	};

	return cmocka_run_group_tests(tests, make_lists, remove_dir);
}
