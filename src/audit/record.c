/*
 * What an audit record says. Facts of the host go in as they are; every text that a guest or a
 * caller chose passes record_put_foreign(): cut, and escaped to plain ASCII, for these lines are
 * read on terminals. Program output, results and tracebacks stay out; their sizes are there.
 */
#include "audit/record.h"

#include <string.h>
#include <unistd.h>

#include "core/json_text.h"
#include "core/limits.h"
#include "core/outcome.h"
#include "core/utf8.h"

static void put(struct json_writer *w, const void *data, size_t len)
{
	if (!w->error)
		w->error = buffer_append(w->out, data, len);
}

static void put_unit(struct json_writer *w, uint32_t unit)
{
	static const char digits[] = "0123456789abcdef";
	char escape[6] = {'\\', 'u'};

	for (int i = 0; i < 4; i++)
		escape[2 + i] = digits[(unit >> (12 - 4 * i)) & 15];
	put(w, escape, sizeof(escape));
}

static void put_escaped(struct json_writer *w, const uint8_t *text, int len)
{
	static const uint8_t lead_bits[5] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t code = (uint32_t)text[0] & lead_bits[len];

	for (int i = 1; i < len; i++)
		code = code << 6 | (text[i] & 0x3fu);
	if (code >= 0x10000) {
		put_unit(w, 0xd800 + ((code - 0x10000) >> 10));
		code = 0xdc00 + ((code - 0x10000) & 0x3ff);
	}
	put_unit(w, code);
}

static bool is_plain(uint8_t byte)
{
	return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

void record_put_foreign(struct json_writer *w, const char *text, size_t len, size_t max)
{
	const uint8_t *bytes = (const uint8_t *)text;
	size_t at = 0;

	if (!text) {
		json_put_text(w, NULL);
		return;
	}
	len = utf8_valid_prefix(bytes, len < max ? len : max);
	json_put_raw(w, "\"", 1);
	while (at < len) {
		size_t plain = at;
		int n;

		while (plain < len && is_plain(bytes[plain]))
			plain++;
		put(w, bytes + at, plain - at);
		at = plain;
		if (at == len)
			break;
		n = utf8_char(bytes + at, len - at);
		put_escaped(w, bytes + at, n);
		at += (size_t)n;
	}
	put(w, "\"", 1);
}

static void put_foreign(struct json_writer *w, const char *key, const char *text, size_t max)
{
	json_key(w, key);
	record_put_foreign(w, text, text ? strlen(text) : 0, max);
}

static void put_number(struct json_writer *w, const char *key, uint64_t value)
{
	json_key(w, key);
	json_put_uint(w, value);
}

static void put_head(struct json_writer *w, const char *event, const struct record_context *context)
{
	json_key(w, "event");
	json_put_text(w, event);
	put_number(w, "pid", (uint64_t)getpid());
	put_number(w, "uid", (uint64_t)geteuid());
	put_foreign(w, "tenant", context->tenant, RECORD_TAG_BYTES);
	if (context->lost)
		put_number(w, "lost", context->lost);
}

static void put_names(struct json_writer *w, const char *id, const char *tag)
{
	json_key(w, "id");
	json_put_text(w, id);
	put_foreign(w, "tag", tag, RECORD_TAG_BYTES);
}

static void put_policy(struct json_writer *w, const struct record_context *context)
{
	json_key(w, "policy");
	if (!context->policy_sha256[0]) {
		json_put_text(w, NULL);
		return;
	}
	json_open(w, '{');
	put_foreign(w, "name", context->policy_name, RECORD_NAME_BYTES);
	json_key(w, "sha256");
	json_put_text(w, context->policy_sha256);
	json_close(w, '}');
}

static void put_code(struct json_writer *w, const struct audit_code *code)
{
	json_key(w, "code");
	json_open(w, '{');
	json_key(w, "sha256");
	json_put_text(w, code->sha256);
	put_number(w, "bytes", code->bytes);
	if (code->text) {
		json_key(w, "text");
		record_put_foreign(w, code->text, code->text_len, RECORD_CODE_BYTES);
		json_key(w, "cut");
		json_put_bool(w, code->bytes > code->text_len);
	}
	json_close(w, '}');
}

static void put_plan(struct json_writer *w, const struct plan *plan)
{
	json_key(w, "engine");
	json_open(w, '{');
	json_key(w, "name");
	json_put_text(w, plan->engine);
	json_key(w, "level");
	json_put_int(w, plan->level);
	json_key(w, "rung");
	json_put_text(w, plan->rung[0] ? plan->rung : NULL);
	json_key(w, "python");
	json_put_text(w, plan->python_version[0] ? plan->python_version : NULL);
	outcome_write_controls(w, plan->controls);
	json_close(w, '}');
}

void record_accepted(struct json_writer *w, const struct record_context *context,
		     const struct audit_run *run)
{
	put_head(w, "accepted", context);
	put_names(w, run->id, run->tag);
	put_code(w, run->code);
	put_number(w, "inputs_bytes", run->inputs_bytes);
	put_number(w, "files", run->file_count);
	put_policy(w, context);
	put_plan(w, run->plan);
	json_key(w, "limits");
	limits_write(w, run->limits);
}

void record_not_started(struct json_writer *w, const struct record_context *context,
			const struct audit_run *run, const char *reason)
{
	put_head(w, "not_started", context);
	put_names(w, run->id, run->tag);
	json_key(w, "engine");
	json_put_text(w, run->plan->engine);
	put_foreign(w, "reason", reason, RECORD_REASON_BYTES);
}

static void put_end(struct json_writer *w, const struct psb_outcome *outcome)
{
	const struct verdict *verdict = &outcome->verdict;

	json_key(w, "status");
	json_put_text(w, psb_status_name(verdict->status));
	json_key(w, "limit");
	json_put_text(w, limit_name(verdict->limit));
	outcome_write_limits_hit(w, outcome);
	if (verdict->status == PSB_EXIT) {
		json_key(w, "exit_code");
		json_put_int(w, verdict->exit_code);
	}
	if (verdict->status == PSB_CRASH) {
		json_key(w, "signal");
		json_put_int(w, verdict->signal_number);
	}
}

static void put_error(struct json_writer *w, const struct psb_outcome *outcome)
{
	json_key(w, "error");
	if (!outcome->error_type) {
		json_put_text(w, NULL);
		return;
	}
	json_open(w, '{');
	put_foreign(w, "type", outcome->error_type, RECORD_NAME_BYTES);
	put_foreign(w, "message", outcome->error_message, RECORD_MESSAGE_BYTES);
	json_close(w, '}');
}

static void put_usage(struct json_writer *w, const struct psb_outcome *outcome)
{
	json_key(w, "usage");
	json_open(w, '{');
	outcome_write_usage(w, outcome);
	put_number(w, "stdout_bytes", outcome->output[0].len);
	put_number(w, "stderr_bytes", outcome->output[1].len);
	put_number(w, "result_bytes", outcome->has_result ? outcome->result_len : 0);
	put_number(w, "files", outcome->file_count);
	json_close(w, '}');
}

static void put_denied(struct json_writer *w, const struct psb_outcome *outcome)
{
	json_key(w, "denied");
	json_open(w, '[');
	for (size_t i = 0; i < outcome->denied_count; i++) {
		json_open(w, '{');
		json_key(w, "kind");
		json_put_text(w, outcome->denied[i].kind);
		put_foreign(w, "name", outcome->denied[i].name, RECORD_NAME_BYTES);
		json_close(w, '}');
	}
	json_close(w, ']');
}

static void put_fallback(struct json_writer *w, const struct psb_outcome *outcome)
{
	json_key(w, "fallback");
	json_open(w, '[');
	for (size_t i = 0; i < outcome->fallback_count; i++) {
		json_open(w, '{');
		put_foreign(w, "engine", outcome->fallback[i].engine, RECORD_NAME_BYTES);
		put_foreign(w, "reason", outcome->fallback[i].reason, RECORD_REASON_BYTES);
		json_close(w, '}');
	}
	json_close(w, ']');
}

void record_ended(struct json_writer *w, const struct record_context *context,
		  const struct psb_outcome *outcome)
{
	put_head(w, "ended", context);
	put_names(w, outcome->id, outcome->tag);
	put_end(w, outcome);
	put_error(w, outcome);
	put_usage(w, outcome);
	json_key(w, "engine");
	json_put_text(w, outcome->engine.name);
	json_key(w, "level");
	json_put_int(w, outcome->engine.level);
	put_policy(w, context);
	put_denied(w, outcome);
	put_fallback(w, outcome);
}

void record_refused(struct json_writer *w, const struct record_context *context, const char *call,
		    const char *tag, const struct psb_error *why)
{
	put_head(w, "refused", context);
	json_key(w, "call");
	json_put_text(w, call);
	put_foreign(w, "tag", tag, RECORD_TAG_BYTES);
	put_policy(w, context);
	json_key(w, "error");
	json_open(w, '{');
	json_key(w, "code");
	json_put_text(w, psb_error_name(why->code));
	put_foreign(w, "message", why->message, RECORD_MESSAGE_BYTES);
	json_close(w, '}');
}
