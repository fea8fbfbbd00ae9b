/*
 * Outcomes: their life, the error object that explains each status, and the public accessors.
 *
 * Everything textual in an outcome is valid UTF-8 and bounded: guest texts come out of the report
 * reader, outputs out of the sanitizer. A crash is the one status whose explanation is taken from
 * stray guest bytes (the fault handler's traceback); it is shown as a traceback and decides
 * nothing.
 */
#include "core/outcome.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/outcome_store.h"
#include "core/utf8.h"
#include "jail/jail.h"

#define MAX_JSON_BYTES (UINT64_C(6) << 30)
#define X32_CALL 0x40000000

struct psb_outcome *outcome_new(struct outcome_store *store, const char *tag)
{
	struct psb_outcome *outcome = outcome_store_take(store);

	if (!outcome)
		return NULL;
	outcome->tag = tag ? strdup(tag) : NULL;
	if (tag && !outcome->tag) {
		psb_outcome_free(outcome);
		return NULL;
	}
	outcome->json = &outcome->json_text;
	buffer_init(outcome->json, MAX_JSON_BYTES);
	return outcome;
}

void psb_outcome_free(psb_outcome *outcome)
{
	if (!outcome)
		return;
	free(outcome->tag);
	free(outcome->result);
	free(outcome->error_type);
	free(outcome->error_message);
	free(outcome->traceback);
	buffer_free(&outcome->output[0]);
	buffer_free(&outcome->output[1]);
	for (size_t i = 0; i < outcome->file_count; i++) {
		free(outcome->files[i].name);
		free(outcome->files[i].error);
	}
	free(outcome->files);
	for (size_t i = 0; i < outcome->denied_count; i++)
		free(outcome->denied[i].name);
	buffer_free(&outcome->json_text);
	outcome_store_give(outcome);
}

void outcome_set_engine(struct psb_outcome *outcome, const struct plan *plan)
{
	struct outcome_engine *engine = &outcome->engine;

	engine->name = plan->engine;
	engine->level = plan->level;
	memcpy(engine->rung, plan->rung, sizeof(engine->rung));
	memcpy(engine->controls, plan->controls, sizeof(engine->controls));
	memcpy(engine->python, plan->python_version, sizeof(engine->python));
	memcpy(engine->policy_sha256, plan->policy_sha256, sizeof(engine->policy_sha256));
}

int outcome_set_error(struct psb_outcome *outcome, const char *type, const char *format, ...)
{
	auto_free char *copy = strdup(type);
	auto_free char *message = NULL;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	message = malloc(len >= 0 ? (size_t)len + 1 : 1);
	if (!copy || !message || len < 0)
		return PSB_E_MEMORY;
	va_start(args, format);
	(void)vsnprintf(message, (size_t)len + 1, format, args);
	va_end(args);
	free(outcome->error_type);
	free(outcome->error_message);
	outcome->error_type = take_ptr(copy);
	outcome->error_message = take_ptr(message);
	return 0;
}

static void take_report_error(struct psb_outcome *outcome, struct guest_report *report)
{
	outcome->error_type = take_ptr(report->error_type);
	outcome->error_message = take_ptr(report->error_message);
	outcome->traceback = take_ptr(report->traceback);
	outcome->error_line = report->error_line;
}

/* A reported error without a type still has an error object. */
static int settle_reported(struct psb_outcome *outcome, const struct outcome_parts *parts)
{
	if (parts->facts->result_invalid)
		return outcome_set_error(
			outcome, "ResultError",
			"the bytes that the guest sent as its result are not JSON");
	take_report_error(outcome, parts->report);
	if (outcome->verdict.status == PSB_ERROR && !outcome->error_type)
		return outcome_set_error(outcome, "Error", "%s",
					 outcome->error_message ? outcome->error_message
								: "the program failed");
	return 0;
}

/* The fault handler begins its text with one of these words. */
static bool looks_like_traceback(const uint8_t *text, size_t len)
{
	static const char *const starts[] = {"Fatal Python error: ", "Current thread ",
					     "Thread 0x"};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		size_t n = strlen(starts[i]);

		if (len >= n && memcmp(text, starts[i], n) == 0)
			return true;
	}
	return false;
}

static void append_text(void *context, const uint8_t *data, size_t len)
{
	(void)buffer_append(context, data, len);
}

/* Without "SIG"; NULL for one that has no name. sigabbrev_np() is glibc's alone. */
static const char *signal_abbreviation(int number)
{
	static const char *const names[] = {
		[SIGHUP] = "HUP",       [SIGINT] = "INT",       [SIGQUIT] = "QUIT",
		[SIGILL] = "ILL",       [SIGTRAP] = "TRAP",     [SIGABRT] = "ABRT",
		[SIGBUS] = "BUS",       [SIGFPE] = "FPE",       [SIGKILL] = "KILL",
		[SIGUSR1] = "USR1",     [SIGSEGV] = "SEGV",     [SIGUSR2] = "USR2",
		[SIGPIPE] = "PIPE",     [SIGALRM] = "ALRM",     [SIGTERM] = "TERM",
		[SIGSTKFLT] = "STKFLT", [SIGCHLD] = "CHLD",     [SIGCONT] = "CONT",
		[SIGSTOP] = "STOP",     [SIGTSTP] = "TSTP",     [SIGTTIN] = "TTIN",
		[SIGTTOU] = "TTOU",     [SIGURG] = "URG",       [SIGXCPU] = "XCPU",
		[SIGXFSZ] = "XFSZ",     [SIGVTALRM] = "VTALRM", [SIGPROF] = "PROF",
		[SIGWINCH] = "WINCH",   [SIGPOLL] = "POLL",     [SIGPWR] = "PWR",
		[SIGSYS] = "SYS",
	};
	size_t count = sizeof(names) / sizeof(names[0]);

	return number > 0 && (size_t)number < count ? names[number] : NULL;
}

static int settle_crash(struct psb_outcome *outcome, const struct outcome_parts *parts)
{
	const char *abbreviation = signal_abbreviation(outcome->verdict.signal_number);
	char name[24];

	if (abbreviation)
		(void)snprintf(name, sizeof(name), "SIG%s", abbreviation);
	else
		(void)snprintf(name, sizeof(name), "signal %d", outcome->verdict.signal_number);
	if (looks_like_traceback(parts->stray, parts->stray_len)) {
		struct utf8_stream stream = {.held_len = 0};
		struct buffer text;

		buffer_init(&text, 3 * parts->stray_len);
		utf8_stream_feed(&stream, parts->stray, parts->stray_len, append_text, &text);
		utf8_stream_finish(&stream, append_text, &text);
		outcome->traceback = buffer_take_text(&text);
	}
	return outcome_set_error(outcome, name, "the interpreter was ended by %s", name);
}

static int add_denied(struct psb_outcome *outcome, const char *kind, char *owned_name)
{
	if (!owned_name)
		return PSB_E_MEMORY;
	outcome->denied[outcome->denied_count++] = (struct outcome_denied){kind, owned_name};
	return 0;
}

/* A name of the 64-bit calls, or what kind of number it is. */
static void name_syscall(const struct evidence *evidence, char *out, size_t size)
{
	int number = evidence->denied_syscall;
	const char *name = evidence->denied_i386 ? NULL : jail_syscall_name(number);
	const char *kind = "";

	if (evidence->denied_i386)
		kind = "i386_";
	else if (number & X32_CALL)
		kind = "x32_";
	if (name)
		(void)snprintf(out, size, "%s", name);
	else
		(void)snprintf(out, size, "%ssyscall_%d", kind, number & ~X32_CALL);
}

static int settle_denied(struct psb_outcome *outcome, const struct evidence *evidence)
{
	char name[64];

	name_syscall(evidence, name, sizeof(name));
	if (add_denied(outcome, "syscall", strdup(name)))
		return PSB_E_MEMORY;
	return outcome_set_error(outcome, "Denied", "ended for the forbidden system call %s", name);
}

/* The number behind each name of a limit. */
static const struct {
	const char *words;
	size_t member; /* of struct psb_limits */
	const char *unit;
} limit_words[LIMIT_COUNT] = {
	[LIMIT_wall] = {"over the wall limit of", offsetof(struct psb_limits, wall_ms), "ms"},
	[LIMIT_cpu] = {"over the CPU limit of", offsetof(struct psb_limits, cpu_ms), "ms"},
	[LIMIT_memory] = {"over the memory limit of", offsetof(struct psb_limits, memory_bytes),
			  "bytes"},
	[LIMIT_stdout] = {"over the stdout limit of", offsetof(struct psb_limits, stdout_bytes),
			  "bytes"},
	[LIMIT_stderr] = {"over the stderr limit of", offsetof(struct psb_limits, stderr_bytes),
			  "bytes"},
	[LIMIT_result] = {"over the result limit of", offsetof(struct psb_limits, result_bytes),
			  "bytes"},
	[LIMIT_processes] = {"over the limit of", offsetof(struct psb_limits, processes),
			     "processes"},
	[LIMIT_open_files] = {"over the limit of", offsetof(struct psb_limits, open_files),
			      "open files"},
};

/* "; site policy ..." when the limit is as low as it is because of one. */
static const char *site_words(const struct outcome_parts *parts, size_t member)
{
	const char *note = NULL;

	for (size_t i = 0; i < limit_spec_count; i++) {
		if (limit_specs[i].offset == member)
			note = policy_limit_note(parts->policy, i, parts->limits);
	}
	return note ? note : "";
}

static int settle_limit(struct psb_outcome *outcome, const struct outcome_parts *parts)
{
	const struct psb_limits *limits = parts->limits;
	enum limit_name limit = outcome->verdict.limit;
	const char *type = "LimitExceeded";
	size_t member;
	uint64_t value;

	if (limit == LIMIT_workspace)
		return outcome_set_error(
			outcome, type,
			"the workspace is over its limits (%llu bytes, %llu files, depth 16, names "
			"of 255 bytes)%s",
			(unsigned long long)limits->workspace_bytes,
			(unsigned long long)limits->workspace_files,
			site_words(parts, offsetof(struct psb_limits, workspace_bytes)));
	if (limit <= LIMIT_NONE || limit >= LIMIT_COUNT || !limit_words[limit].words)
		limit = LIMIT_processes;
	member = limit_words[limit].member;
	memcpy(&value, (const char *)limits + member, sizeof(value));
	return outcome_set_error(outcome, type, "%s %llu %s%s", limit_words[limit].words,
				 (unsigned long long)value, limit_words[limit].unit,
				 site_words(parts, member));
}

static int settle_error(struct psb_outcome *outcome, const struct outcome_parts *parts)
{
	switch (outcome->verdict.status) {
	case PSB_OK:
	case PSB_ERROR:
	case PSB_EXIT: return settle_reported(outcome, parts);
	case PSB_CRASH: return settle_crash(outcome, parts);
	case PSB_DENIED: return settle_denied(outcome, parts->evidence);
	case PSB_CANCELLED:
		return outcome_set_error(outcome, "Cancelled", "cancelled by the caller");
	case PSB_UNKNOWN:
		return outcome_set_error(outcome, "Unknown",
					 parts->evidence->instance_lost
						 ? "the sandbox's keeper died during the run"
						 : "the guest ended without a word and without "
						   "evidence");
	default: return settle_limit(outcome, parts);
	}
}

int outcome_settle(struct psb_outcome *outcome, const struct outcome_parts *parts)
{
	const struct evidence *evidence = parts->evidence;

	outcome->wall_us = evidence->wall_us;
	outcome->cpu_us = evidence->cpu_us;
	outcome->memory_peak_bytes = evidence->memory_peak_bytes;
	for (size_t i = 0; i < parts->report->denied_count; i++) {
		outcome->denied[outcome->denied_count++] = (struct outcome_denied){
			"import", take_ptr(parts->report->denied_imports[i])};
	}
	return settle_error(outcome, parts);
}

int psb_outcome_status(const psb_outcome *outcome)
{
	return outcome->verdict.status;
}

const char *psb_outcome_limit(const psb_outcome *outcome)
{
	return limit_name(outcome->verdict.limit);
}

const char *psb_outcome_result(const psb_outcome *outcome, size_t *len)
{
	if (len)
		*len = outcome->has_result ? outcome->result_len : 0;
	return outcome->has_result ? outcome->result : NULL;
}

static const char *output_text(const psb_outcome *outcome, int index, size_t *len)
{
	if (len)
		*len = outcome->output[index].len;
	return buffer_text(&outcome->output[index]);
}

const char *psb_outcome_stdout(const psb_outcome *outcome, size_t *len)
{
	return output_text(outcome, 0, len);
}

const char *psb_outcome_stderr(const psb_outcome *outcome, size_t *len)
{
	return output_text(outcome, 1, len);
}

const char *psb_outcome_error_type(const psb_outcome *outcome)
{
	return outcome->error_type;
}

const char *psb_outcome_error_message(const psb_outcome *outcome)
{
	return outcome->error_message;
}

const char *psb_outcome_traceback(const psb_outcome *outcome)
{
	return outcome->traceback;
}

int64_t psb_outcome_error_line(const psb_outcome *outcome)
{
	return outcome->error_line;
}

int psb_outcome_exit_code(const psb_outcome *outcome)
{
	return outcome->verdict.exit_code;
}

int psb_outcome_file(const psb_outcome *outcome, size_t index, const char **name, uint64_t *size,
		     const char **error)
{
	const struct outcome_file *file;

	if (!outcome || index >= outcome->file_count)
		return PSB_E_NOT_FOUND;
	file = &outcome->files[index];
	if (name)
		*name = file->name;
	if (size)
		*size = file->size;
	if (error)
		*error = file->error;
	return 0;
}

int psb_outcome_signal(const psb_outcome *outcome)
{
	return outcome->verdict.signal_number;
}

uint64_t psb_outcome_wall_us(const psb_outcome *outcome)
{
	return outcome->wall_us;
}

uint64_t psb_outcome_cpu_us(const psb_outcome *outcome)
{
	return outcome->cpu_us;
}

const char *psb_outcome_id(const psb_outcome *outcome)
{
	return outcome->id;
}

const char *psb_outcome_tag(const psb_outcome *outcome)
{
	return outcome->tag;
}

uint64_t psb_outcome_job(const psb_outcome *outcome)
{
	return outcome->job;
}

uint64_t psb_outcome_queue_us(const psb_outcome *outcome)
{
	return outcome->queue_us;
}

uint64_t psb_outcome_memory_peak_bytes(const psb_outcome *outcome)
{
	return outcome->memory_peak_bytes;
}

const char *psb_outcome_engine(const psb_outcome *outcome)
{
	return outcome->engine.name;
}

int psb_outcome_level(const psb_outcome *outcome)
{
	return outcome->engine.level;
}

const char *psb_outcome_json(const psb_outcome *outcome, size_t *len)
{
	if (outcome->json->len == 0 && outcome_write(outcome, outcome->json)) {
		buffer_free(outcome->json);
		return NULL;
	}
	if (len)
		*len = outcome->json->len;
	return buffer_text(outcome->json);
}
