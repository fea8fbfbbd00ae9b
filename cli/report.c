/*
 * One line on stderr for every end that Python itself has not explained. The words come from the
 * outcome, whose message is the library's own for these statuses; the limit's value is named where
 * it is known.
 */
#include <stdio.h>
#include <string.h>

#include "run.h"

static void format_bytes(uint64_t bytes, char *out, size_t size)
{
	if (bytes >= 1u << 20 && !(bytes & ((1u << 20) - 1)))
		(void)snprintf(out, size, "%llu MiB", (unsigned long long)(bytes >> 20));
	else if (bytes >= 1u << 10 && !(bytes & ((1u << 10) - 1)))
		(void)snprintf(out, size, "%llu KiB", (unsigned long long)(bytes >> 10));
	else
		(void)snprintf(out, size, "%llu bytes", (unsigned long long)bytes);
}

static void format_seconds(uint64_t ms, char *out, size_t size)
{
	(void)snprintf(out, size, "%.10g s", (double)ms / 1000.0);
}

/* The default policy's limits (include/pysandbox.h), for those the command line left alone. */
static struct psb_limits limits_in_force(const struct run_args *args)
{
	struct psb_limits limits = args->options.limits;

	if (args->policy)
		return limits;
	limits.wall_ms = limits.wall_ms ? limits.wall_ms : 30000;
	limits.memory_bytes = limits.memory_bytes ? limits.memory_bytes : 256u << 20;
	limits.stdout_bytes = limits.stdout_bytes ? limits.stdout_bytes : 1u << 20;
	limits.stderr_bytes = limits.stderr_bytes ? limits.stderr_bytes : 1u << 20;
	limits.result_bytes = limits.result_bytes ? limits.result_bytes : 16u << 20;
	limits.workspace_bytes = limits.workspace_bytes ? limits.workspace_bytes : 64u << 20;
	limits.processes = limits.processes ? limits.processes : 64;
	return limits;
}

/* The value of the limit that ended the run; "" when it is a policy's and not known here. */
static void limit_value(int status, const psb_outcome *outcome, const struct psb_limits *limits,
			char *out, size_t size)
{
	const char *name = psb_outcome_limit(outcome);
	bool is_stderr = name && strstr(name, "stderr");
	uint64_t count = 0;
	uint64_t bytes = 0;
	uint64_t ms = 0;

	if (status == PSB_TIMEOUT)
		ms = limits->wall_ms;
	else if (status == PSB_CPU_LIMIT)
		ms = limits->cpu_ms ? limits->cpu_ms : limits->wall_ms;
	else if (status == PSB_MEMORY_LIMIT)
		bytes = limits->memory_bytes;
	else if (status == PSB_OUTPUT_LIMIT)
		bytes = is_stderr ? limits->stderr_bytes : limits->stdout_bytes;
	else if (status == PSB_RESULT_LIMIT)
		bytes = limits->result_bytes;
	else if (status == PSB_DISK_LIMIT)
		bytes = limits->workspace_bytes;
	else if (status == PSB_PROCESS_LIMIT)
		count = limits->processes;
	out[0] = '\0';
	if (ms)
		format_seconds(ms, out, size);
	else if (bytes)
		format_bytes(bytes, out, size);
	else if (count)
		(void)snprintf(out, size, "%llu", (unsigned long long)count);
}

static const char *limit_words(int status)
{
	static const char *const words[PSB_STATUS_COUNT] = {
		[PSB_TIMEOUT] = "wall-clock limit",   [PSB_CPU_LIMIT] = "processor time limit",
		[PSB_MEMORY_LIMIT] = "memory limit",  [PSB_OUTPUT_LIMIT] = "output limit",
		[PSB_RESULT_LIMIT] = "result limit",  [PSB_PROCESS_LIMIT] = "process limit",
		[PSB_DISK_LIMIT] = "workspace limit",
	};

	return words[status];
}

/* A policy or a site may have set the limit: then only the library knows its value. */
static void report_limit(int status, const psb_outcome *outcome, const struct run_args *args)
{
	struct psb_limits limits = limits_in_force(args);
	const char *message = psb_outcome_error_message(outcome);
	const char *words = limit_words(status);
	char value[48];

	limit_value(status, outcome, &limits, value, sizeof(value));
	if (message && (!value[0] || strstr(message, "; site policy ")))
		complain("%s reached, the run was ended: %s", words, message);
	else if (value[0])
		complain("%s (%s) reached, the run was ended", words, value);
	else
		complain("%s reached, the run was ended", words);
}

static void report_status(int status, const psb_outcome *outcome)
{
	const char *message = psb_outcome_error_message(outcome);
	const char *colon = message ? ": " : "";

	message = message ? message : "";
	if (status == PSB_CRASH && psb_outcome_signal(outcome))
		complain("the program crashed (signal %d)%s%s", psb_outcome_signal(outcome), colon,
			 message);
	else if (status == PSB_DENIED)
		complain("ended for a forbidden system call%s%s", colon, message);
	else if (status == PSB_UNAVAILABLE)
		complain("%s", message); /* begins with those words */
	else if (status == PSB_CANCELLED)
		complain("cancelled");
	else
		complain("%s%s%s", psb_status_name(status), colon, message);
}

static bool needs_status(int status)
{
	return status != PSB_OK && status != PSB_ERROR && status != PSB_EXIT;
}

/* Complains of each file that is not in the output directory; returns how many there are. */
static size_t report_files(const psb_outcome *outcome, bool silent)
{
	const char *name = NULL;
	const char *error = NULL;
	size_t count = 0;

	for (size_t i = 0; psb_outcome_file(outcome, i, &name, NULL, &error) == 0; i++) {
		if (!error)
			continue;
		count++;
		if (!silent)
			complain("output: \"%s\" was not stored: %s", name, error);
	}
	return count;
}

bool needs_report(const psb_outcome *outcome)
{
	return needs_status(psb_outcome_status(outcome)) || report_files(outcome, true) > 0;
}

void report_end(const struct run_args *args, const psb_outcome *outcome)
{
	int status = psb_outcome_status(outcome);

	if (status > 0 && status < PSB_STATUS_COUNT && limit_words(status))
		report_limit(status, outcome, args);
	else if (needs_status(status))
		report_status(status, outcome);
	(void)report_files(outcome, false);
}
