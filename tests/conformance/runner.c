/*
 * The conformance suite: the table of cases against every engine that this host offers. An engine
 * gets no exceptions: a case means the same everywhere. Prints one TAP line per engine and case.
 *
 *   conformance [ENGINE]
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "core/json_check.h"

static int test_number;
static int failures;

static void result_line(bool good, const char *engine, const char *name, const char *why)
{
	printf("%sok %d - %s: %s\n", good ? "" : "not ", ++test_number, engine, name);
	if (!good) {
		printf("# %s\n", why);
		failures++;
	}
	(void)fflush(stdout);
}

static bool same(const char *wanted, const char *got)
{
	return wanted ? got && strcmp(wanted, got) == 0 : got == NULL;
}

static bool contains(const char *text, const char *part)
{
	return !part || (text && strstr(text, part));
}

/* The first member that differs, or NULL. */
static const char *compare(const struct conformance_case *c, const psb_outcome *outcome)
{
	const char *json;
	size_t len = 0;

	if (psb_outcome_status(outcome) != c->status)
		return "status";
	if (!same(c->limit, psb_outcome_limit(outcome)))
		return "limit";
	if (!same(c->result, psb_outcome_result(outcome, NULL)))
		return "result";
	if (c->out && strcmp(c->out, psb_outcome_stdout(outcome, NULL)) != 0)
		return "stdout";
	if (!contains(psb_outcome_stderr(outcome, NULL), c->err))
		return "stderr";
	if (c->type && !same(c->type, psb_outcome_error_type(outcome)))
		return "error.type";
	if (!contains(psb_outcome_error_message(outcome), c->message))
		return "error.message";
	if (c->line && psb_outcome_error_line(outcome) != c->line)
		return "error.line";
	if (psb_outcome_exit_code(outcome) != c->exit_code)
		return "exit_code";
	json = psb_outcome_json(outcome, &len);
	if (!json || json_check((const uint8_t *)json, len, JSON_PORTABLE, NULL))
		return "json";
	return NULL;
}

static void run_case(const char *engine, psb_sandbox *sandbox, const struct conformance_case *c)
{
	struct psb_request request;
	psb_outcome *outcome = NULL;
	struct psb_error err;
	const char *differs;
	char why[700];

	psb_request_init(&request);
	request.source = c->source;
	request.source_len = c->source_len ? c->source_len : strlen(c->source);
	request.inputs = c->inputs;
	request.inputs_len = c->inputs ? strlen(c->inputs) : 0;
	request.limits = &c->limits;
	if (psb_execute(sandbox, &request, &outcome, &err)) {
		result_line(false, engine, c->name, err.message);
		return;
	}
	differs = compare(c, outcome);
	(void)snprintf(why, sizeof(why), "%s differs: %.600s", differs ? differs : "",
		       psb_outcome_json(outcome, NULL));
	result_line(!differs, engine, c->name, why);
	psb_outcome_free(outcome);
}

static psb_sandbox *open_sandbox(const char *engine, const char *policy)
{
	struct psb_options options;
	psb_sandbox *sandbox = NULL;
	struct psb_error err;

	psb_options_init(&options);
	options.engine = engine;
	options.policy = policy;
	options.require = "1";
	if (psb_open(&options, &sandbox, &err)) {
		result_line(false, engine, "open", err.message);
		return NULL;
	}
	return sandbox;
}

static void run_policy(const char *engine, const char *policy)
{
	psb_sandbox *sandbox = open_sandbox(engine, policy);

	for (size_t i = 0; sandbox && i < conformance_case_count; i++) {
		const struct conformance_case *c = &conformance_cases[i];

		if ((c->policy == NULL) == (policy == NULL) &&
		    (!policy || strcmp(policy, c->policy) == 0))
			run_case(engine, sandbox, c);
	}
	psb_close(sandbox);
}

int main(int argc, char **argv)
{
	struct psb_engine_info info = {.size = sizeof(info)};
	int ran = 0;

	for (size_t i = 0; psb_engine_at(i, &info, NULL) == 0; i++) {
		if (argc > 1 && strcmp(argv[1], info.name) != 0)
			continue;
		if (!info.available) {
			printf("# %s cannot run here: %s\n", info.name, info.missing);
			continue;
		}
		run_policy(info.name, NULL);
		run_policy(info.name, "data-science");
		ran++;
	}
	if (ran == 0) {
		printf("1..0 # SKIP no engine can run here\n");
		return 0;
	}
	printf("1..%d\n", test_number);
	return failures ? 1 : 0;
}
