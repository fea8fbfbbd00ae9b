/*
 * Reads the guest's end frame. Trust boundary: the JSON is the guest's. It is checked as a whole
 * first; then exactly the documented members are read, each with its type and a length cap;
 * unknown members are ignored, wrong types make the frame malformed. Limit names outside of our
 * list are dropped, so that nothing of the guest's wording reaches a fixed field of the outcome.
 */
#include "core/report.h"

#include <stdlib.h>
#include <string.h>

#include "core/json_check.h"
#include "core/json_read.h"
#include "core/limits.h"

/* A string member, or NULL when absent or null. */
static int read_text(struct json_value object, const char *name, size_t max, char **out)
{
	struct json_value value;

	if (!json_member(object, name, &value) || json_type(value) == JSON_NULL)
		return 0;
	if (json_type(value) != JSON_STRING)
		return PSB_E_INVALID;
	*out = json_string_dup(value, max);
	return *out ? 0 : PSB_E_MEMORY;
}

static int read_status(struct guest_report *report, struct json_value top)
{
	struct json_value value;
	int64_t code = 0;

	if (!json_member(top, "status", &value))
		return PSB_E_INVALID;
	if (json_equals(value, "ok"))
		report->status = PSB_OK;
	else if (json_equals(value, "error"))
		report->status = PSB_ERROR;
	else if (json_equals(value, "exit"))
		report->status = PSB_EXIT;
	else
		return PSB_E_INVALID;
	if (json_member(top, "exit_code", &value) && json_type(value) != JSON_NULL &&
	    !json_int(value, &code))
		return PSB_E_INVALID;
	report->exit_code = (int32_t)(code & 0xff);
	report->has_result = json_member(top, "has_result", &value) && json_is_true(value);
	return 0;
}

static int read_error(struct guest_report *report, struct json_value top)
{
	struct json_value error;
	struct json_value line;
	int failed;

	if (!json_member(top, "error", &error) || json_type(error) == JSON_NULL)
		return 0;
	if (json_type(error) != JSON_OBJECT)
		return PSB_E_INVALID;
	failed = read_text(error, "type", REPORT_MAX_TYPE_BYTES, &report->error_type);
	if (!failed)
		failed = read_text(error, "message", REPORT_MAX_MESSAGE_BYTES,
				   &report->error_message);
	if (!failed)
		failed = read_text(error, "traceback", REPORT_MAX_TRACEBACK_BYTES,
				   &report->traceback);
	if (failed)
		return failed;
	if (json_member(error, "line", &line) && json_type(line) != JSON_NULL &&
	    (!json_int(line, &report->error_line) || report->error_line < 0))
		return PSB_E_INVALID;
	return 0;
}

static int read_limits(struct guest_report *report, struct json_value top)
{
	struct json_value list;
	struct json_value item;
	struct json_iter iter;

	if (!json_member(top, "limits_hit", &list))
		return 0;
	if (json_type(list) != JSON_ARRAY)
		return PSB_E_INVALID;
	iter = json_iterate(list);
	while (json_next_item(&iter, &item)) {
		for (int i = 0; i < LIMIT_COUNT; i++) {
			if (json_equals(item, limit_name((enum limit_name)i)))
				report->limits_hit |= 1u << i;
		}
	}
	return 0;
}

static int read_denied(struct guest_report *report, struct json_value top)
{
	struct json_value list;
	struct json_value item;
	struct json_iter iter;

	if (!json_member(top, "denied_imports", &list))
		return 0;
	if (json_type(list) != JSON_ARRAY)
		return PSB_E_INVALID;
	iter = json_iterate(list);
	while (report->denied_count < REPORT_MAX_DENIED && json_next_item(&iter, &item)) {
		char *name;

		if (json_type(item) != JSON_STRING)
			return PSB_E_INVALID;
		name = json_string_dup(item, REPORT_MAX_NAME_BYTES);
		if (!name)
			return PSB_E_MEMORY;
		report->denied_imports[report->denied_count++] = name;
	}
	return 0;
}

int report_read(struct guest_report *report, const uint8_t *text, size_t len)
{
	struct json_value top;
	int error = json_check(text, len, JSON_OBJECT_ONLY, NULL);

	if (error)
		return error;
	top = json_top(text, len);
	error = read_status(report, top);
	if (!error)
		error = read_error(report, top);
	if (!error)
		error = read_limits(report, top);
	if (!error)
		error = read_denied(report, top);
	if (error)
		report_free(report);
	report->present = error == 0;
	return error;
}

void report_free(struct guest_report *report)
{
	free(report->error_type);
	free(report->error_message);
	free(report->traceback);
	for (size_t i = 0; i < report->denied_count; i++)
		free(report->denied_imports[i]);
	*report = (struct guest_report){.present = false};
}
