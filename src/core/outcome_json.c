/*
 * The outcome as JSON, version 1: docs/outcome.schema.json and docs/outcome.md describe it. The
 * only foreign JSON in it is the result, which has passed the checker; all other texts go through
 * the writer's escaping.
 */
#include <string.h>

#include "core/json_write.h"
#include "core/level.h"
#include "core/outcome.h"

void outcome_write_limits_hit(struct json_writer *w, const struct psb_outcome *outcome)
{
	json_key(w, "limits_hit");
	json_open(w, '[');
	for (int i = 0; i < LIMIT_COUNT; i++) {
		if (outcome->verdict.limits_hit & (1u << i))
			json_put_text(w, limit_name((enum limit_name)i));
	}
	json_close(w, ']');
}

static void put_error(struct json_writer *w, const struct psb_outcome *outcome)
{
	json_key(w, "error");
	if (!outcome->error_type) {
		json_put_text(w, NULL);
		return;
	}
	json_open(w, '{');
	json_key(w, "type");
	json_put_text(w, outcome->error_type);
	json_key(w, "message");
	json_put_text(w, outcome->error_message ? outcome->error_message : "");
	json_key(w, "traceback");
	json_put_text(w, outcome->traceback);
	json_key(w, "line");
	if (outcome->error_line > 0)
		json_put_int(w, outcome->error_line);
	else
		json_put_text(w, NULL);
	json_close(w, '}');
}

static void put_end(struct json_writer *w, const struct psb_outcome *outcome)
{
	int status = outcome->verdict.status;

	json_key(w, "exit_code");
	if (status == PSB_EXIT)
		json_put_int(w, outcome->verdict.exit_code);
	else
		json_put_text(w, NULL);
	json_key(w, "signal");
	if (status == PSB_CRASH)
		json_put_int(w, outcome->verdict.signal_number);
	else
		json_put_text(w, NULL);
}

static void put_output(struct json_writer *w, const struct psb_outcome *outcome)
{
	static const char *const names[2] = {"stdout", "stderr"};

	for (int i = 0; i < 2; i++) {
		json_key(w, names[i]);
		json_put_string(w, buffer_text(&outcome->output[i]), outcome->output[i].len);
	}
	json_key(w, "truncated");
	json_open(w, '{');
	for (int i = 0; i < 2; i++) {
		json_key(w, names[i]);
		json_put_bool(w, outcome->truncated[i]);
	}
	json_close(w, '}');
}

static void put_files(struct json_writer *w, const struct psb_outcome *outcome)
{
	json_key(w, "files");
	json_open(w, '[');
	for (size_t i = 0; i < outcome->file_count; i++) {
		json_open(w, '{');
		json_key(w, "name");
		json_put_text(w, outcome->files[i].name);
		json_key(w, "size");
		json_put_uint(w, outcome->files[i].size);
		if (outcome->files[i].error) {
			json_key(w, "error");
			json_put_text(w, outcome->files[i].error);
		}
		json_close(w, '}');
	}
	json_close(w, ']');
}

void outcome_write_usage(struct json_writer *w, const struct psb_outcome *outcome)
{
	json_key(w, "wall_ms");
	json_put_milli(w, outcome->wall_us);
	json_key(w, "cpu_ms");
	json_put_milli(w, outcome->cpu_us);
	json_key(w, "queue_ms");
	json_put_milli(w, outcome->queue_us);
	json_key(w, "memory_peak_bytes");
	json_put_uint(w, outcome->memory_peak_bytes);
}

static void put_usage(struct json_writer *w, const struct psb_outcome *outcome)
{
	json_key(w, "usage");
	json_open(w, '{');
	outcome_write_usage(w, outcome);
	json_close(w, '}');
}

void outcome_write_controls(struct json_writer *w, const struct control controls[CONTROL_COUNT])
{
	json_key(w, "controls");
	json_open(w, '{');
	for (int i = 0; i < CONTROL_COUNT; i++) {
		json_key(w, control_name((enum plan_control)i));
		json_open(w, '{');
		json_key(w, "by");
		json_put_text(w, control_by_name(controls[i].by));
		json_key(w, "how");
		json_put_list(w, controls[i].how);
		json_close(w, '}');
	}
	json_close(w, '}');
}

static void put_engine(struct json_writer *w, const struct psb_outcome *outcome)
{
	const struct outcome_engine *engine = &outcome->engine;

	json_key(w, "engine");
	if (!engine->name) {
		json_put_text(w, NULL);
		return;
	}
	json_open(w, '{');
	json_key(w, "name");
	json_put_text(w, engine->name);
	json_key(w, "level");
	json_put_int(w, engine->level);
	json_key(w, "rung");
	json_put_text(w, engine->rung[0] ? engine->rung : NULL);
	outcome_write_controls(w, engine->controls);
	json_key(w, "python");
	json_put_text(w, engine->python[0] ? engine->python : NULL);
	json_key(w, "policy_sha256");
	json_put_text(w, engine->policy_sha256);
	json_key(w, "hash_seed");
	json_put_text(w, "template");
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
		json_key(w, "name");
		json_put_text(w, outcome->denied[i].name);
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
		json_key(w, "engine");
		json_put_text(w, outcome->fallback[i].engine);
		json_key(w, "reason");
		json_put_text(w, outcome->fallback[i].reason);
		json_close(w, '}');
	}
	json_close(w, ']');
}

static void put_head(struct json_writer *w, const struct psb_outcome *outcome)
{
	json_key(w, "version");
	json_put_int(w, OUTCOME_VERSION);
	json_key(w, "id");
	json_put_text(w, outcome->id);
	json_key(w, "tag");
	json_put_text(w, outcome->tag);
	json_key(w, "status");
	json_put_text(w, psb_status_name(outcome->verdict.status));
	json_key(w, "limit");
	json_put_text(w, limit_name(outcome->verdict.limit));
	outcome_write_limits_hit(w, outcome);
	if (outcome->has_result) {
		json_key(w, "result");
		json_put_raw(w, outcome->result, outcome->result_len);
	}
}

int outcome_write(const struct psb_outcome *outcome, struct buffer *out)
{
	struct json_writer writer;

	json_writer_init(&writer, out);
	json_open(&writer, '{');
	put_head(&writer, outcome);
	put_error(&writer, outcome);
	put_end(&writer, outcome);
	put_output(&writer, outcome);
	put_files(&writer, outcome);
	put_usage(&writer, outcome);
	put_engine(&writer, outcome);
	put_denied(&writer, outcome);
	put_fallback(&writer, outcome);
	json_close(&writer, '}');
	return writer.error;
}
