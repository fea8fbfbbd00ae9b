/*
 * From the core's events to records in the log. A record that cannot be written is never dropped
 * in silence: before a run it stops the run, after it the loss is reported to the logger, counted,
 * and stated as `lost` by the next record of this handle that gets through. With an optional log
 * the first of these is a warning too; that was the caller's choice.
 */
#include "audit/audit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "audit/log.h"
#include "audit/record.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/options.h"
#include "core/utf8.h"

#define MAX_PATH_BYTES 3800u /* leaves room for the suffix of a rotated file */
#define MIN_ROTATE_BYTES (16u << 10)

struct audit {
	struct audit_log log;
	uint32_t sync;
	bool keep_code;
	bool optional;
	char *tenant;
	char policy_name[64];
	char policy_sha256[65];
	uint64_t lost; /* since the last record that was written */
	struct audit_counts counts;
	pthread_mutex_t lock; /* guards log, lost and counts; taken inside the sandbox's */
	struct logger *logger;
};

void psb_audit_init(struct psb_audit *audit)
{
	memset(audit, 0, sizeof(*audit));
	audit->size = sizeof(*audit);
}

static int check_flag(const char *name, uint32_t value, struct psb_error *err)
{
	if (value > 1)
		return psb_fail(err, PSB_E_INVALID, 0, "audit: %s: %u is neither 0 nor 1", name,
				value);
	return 0;
}

static int check_options(const struct psb_audit *options, struct psb_error *err)
{
	int error;

	if (!options->file || !*options->file)
		return psb_fail(err, PSB_E_INVALID, 0, "audit: no file is named");
	error = options_check_text("audit: file", options->file, MAX_PATH_BYTES, err);
	if (error)
		return error;
	if (options->rotate_bytes && options->rotate_bytes < MIN_ROTATE_BYTES)
		return psb_fail(err, PSB_E_INVALID, 0, "audit: rotate_bytes: %llu is less than %u",
				(unsigned long long)options->rotate_bytes, MIN_ROTATE_BYTES);
	if (options->sync > PSB_AUDIT_SYNC_ALL)
		return psb_fail(err, PSB_E_INVALID, 0,
				"audit: sync: %u is no value of enum psb_audit_sync",
				options->sync);
	error = check_flag("keep_code", options->keep_code, err);
	return error ? error : check_flag("optional", options->optional, err);
}

static int fill(struct audit *audit, const struct psb_audit *given, const char *tenant,
		struct psb_error *err)
{
	struct psb_audit options;
	int error;

	psb_audit_init(&options);
	error = options_copy("struct psb_audit", given, given->size, &options, sizeof(options),
			     err);
	if (!error)
		error = check_options(&options, err);
	if (!error)
		error = audit_key_read(options.key_file, &audit->log.key, err);
	if (error)
		return error;
	audit->log.path = strdup(options.file);
	audit->tenant = strdup(tenant);
	if (!audit->log.path || !audit->tenant)
		return psb_fail(err, PSB_E_MEMORY, 0, "audit: out of memory");
	audit->log.rotate_bytes = options.rotate_bytes;
	audit->sync = options.sync;
	audit->keep_code = options.keep_code == 1;
	audit->optional = options.optional == 1;
	return 0;
}

int audit_open(const struct psb_audit *options, const char *tenant, struct logger *logger,
	       struct audit **out, struct psb_error *err)
{
	struct psb_error reason = {.message = ""};
	struct audit *audit;
	int error;

	if (!options)
		return 0;
	audit = calloc(1, sizeof(*audit));
	if (!audit || pthread_mutex_init(&audit->lock, NULL) != 0) {
		free(audit);
		return psb_fail(err, PSB_E_MEMORY, 0, "audit: out of memory");
	}
	audit_log_init(&audit->log);
	audit->logger = logger;
	error = fill(audit, options, tenant, &reason);
	if (!error)
		error = audit_log_check(&audit->log, &reason);
	if (error == PSB_E_AUDIT && audit->optional) {
		logger_say(logger, PSB_LOG_WARNING, "%s", reason.message);
		error = 0;
	}
	if (error) {
		audit_close(audit);
		return psb_fail(err, error, reason.sys_errno, "%s", reason.message);
	}
	*out = audit;
	return 0;
}

void audit_close(struct audit *audit)
{
	if (!audit)
		return;
	audit_log_close(&audit->log);
	free(audit->tenant);
	free(audit);
}

void audit_set_policy(struct audit *audit, const char *name, const char *sha256)
{
	if (!audit)
		return;
	memcpy(audit->policy_name, name, strnlen(name, sizeof(audit->policy_name) - 1));
	memcpy(audit->policy_sha256, sha256, strnlen(sha256, sizeof(audit->policy_sha256) - 1));
}

int audit_code_make(const struct audit *audit, const char *source, size_t len,
		    struct audit_code *out, struct psb_error *err)
{
	struct audit_code code = {.bytes = len};

	if (!audit)
		return 0;
	sha256_hex(source, len, code.sha256);
	if (audit->keep_code) {
		code.text_len = len < RECORD_CODE_BYTES ? len : RECORD_CODE_BYTES;
		code.text_len = utf8_valid_prefix((const uint8_t *)source, code.text_len);
		code.text = malloc(code.text_len + 1);
		if (!code.text)
			return psb_fail(err, PSB_E_MEMORY, 0, "audit: out of memory");
		memcpy(code.text, source, code.text_len);
		code.text[code.text_len] = '\0';
	}
	*out = code;
	return 0;
}

void audit_code_free(struct audit_code *code)
{
	free(code->text);
	*code = (struct audit_code){.text = NULL};
}

/* One event and what it needs; the rest is NULL. */
struct event {
	enum { ACCEPTED, NOT_STARTED, ENDED, REFUSED } kind;
	const struct audit_run *run;
	const struct psb_outcome *outcome;
	const char *reason; /* NOT_STARTED */
	const char *call;   /* REFUSED */
	const char *tag;
	const struct psb_error *why;
};

static void write_event(struct json_writer *writer, const struct audit *audit,
			const struct event *event)
{
	const struct record_context context = {audit->tenant, audit->policy_name,
					       audit->policy_sha256, audit->lost};

	switch (event->kind) {
	case ACCEPTED: record_accepted(writer, &context, event->run); break;
	case NOT_STARTED: record_not_started(writer, &context, event->run, event->reason); break;
	case ENDED: record_ended(writer, &context, event->outcome); break;
	case REFUSED: record_refused(writer, &context, event->call, event->tag, event->why); break;
	}
}

static int append(struct audit *audit, const struct event *event, bool sync, struct psb_error *err)
{
	uint64_t started = clock_us();
	struct json_writer writer;
	struct buffer body;
	int error;

	buffer_init(&body, RECORD_BODY_BYTES);
	json_writer_init(&writer, &body);
	write_event(&writer, audit, event);
	error = writer.error;
	if (error)
		error = psb_fail(err, error == PSB_E_MEMORY ? error : PSB_E_AUDIT, 0,
				 "audit: a record does not fit: %s", psb_error_text(error));
	else
		error = audit_log_append(&audit->log, buffer_text(&body), body.len, sync, err);
	buffer_free(&body);
	audit->lost = error ? audit->lost + 1 : 0;
	audit->counts.records += error == 0;
	audit->counts.failures += error != 0;
	histogram_add(&audit->counts.append, clock_us() - started);
	return error;
}

static int record(struct audit *audit, const struct event *event, bool sync, struct psb_error *err)
{
	int error;

	(void)pthread_mutex_lock(&audit->lock);
	error = append(audit, event, sync, err);
	(void)pthread_mutex_unlock(&audit->lock);
	return error;
}

static enum psb_log_level severity(const struct audit *audit)
{
	return audit->optional ? PSB_LOG_WARNING : PSB_LOG_ERROR;
}

int audit_accepted(struct audit *audit, const struct audit_run *run, struct psb_error *err)
{
	struct psb_error reason = {.message = ""};
	struct event event = {.kind = ACCEPTED, .run = run};
	int error;

	if (!audit)
		return 0;
	error = record(audit, &event, audit->sync >= PSB_AUDIT_SYNC_ACCEPTED, &reason);
	if (!error)
		return 0;
	logger_say(audit->logger, severity(audit), "%s", reason.message);
	if (audit->optional)
		return 0;
	return psb_fail(err, error, reason.sys_errno, "%s; nothing was run", reason.message);
}

/* A record about what has happened already: the loss is reported, nothing is undone. */
static void tell(struct audit *audit, const struct event *event)
{
	struct psb_error reason = {.message = ""};

	if (audit && record(audit, event, audit->sync == PSB_AUDIT_SYNC_ALL, &reason))
		logger_say(audit->logger, severity(audit), "a record is lost: %s", reason.message);
}

void audit_not_started(struct audit *audit, const struct audit_run *run, const char *reason)
{
	tell(audit, &(struct event){.kind = NOT_STARTED, .run = run, .reason = reason});
}

void audit_ended(struct audit *audit, const struct psb_outcome *outcome)
{
	tell(audit, &(struct event){.kind = ENDED, .outcome = outcome});
}

void audit_refused(struct audit *audit, const char *call, const char *tag,
		   const struct psb_error *why)
{
	tell(audit, &(struct event){.kind = REFUSED, .call = call, .tag = tag, .why = why});
}

struct audit_counts audit_counts(struct audit *audit)
{
	struct audit_counts counts = {.records = 0};

	if (!audit)
		return counts;
	(void)pthread_mutex_lock(&audit->lock);
	counts = audit->counts;
	counts.rotations = audit->log.rotated_count;
	counts.torn_closed = audit->log.torn_closed;
	(void)pthread_mutex_unlock(&audit->lock);
	return counts;
}
