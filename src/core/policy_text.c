/*
 * What the readers of policies and site policies share: messages that name the path, the value and
 * what would be right, short strings, lists of names, and the first check of the text as JSON.
 *
 * Trust boundary: the texts are an operator's, but may be edited by hand or pass through other
 * programs; values shown in messages are cut, and control characters never get into a policy.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/json_check.h"
#include "core/json_path.h"
#include "core/options.h"
#include "core/policy.h"

int policy_wrong_type(const char *path, struct json_value value, const char *wanted,
		      struct psb_error *err)
{
	int shown = value.len < 40 ? (int)value.len : 40;

	return psb_fail(err, PSB_E_POLICY, 0, "policy.%s: %.*s is %s; %s is expected", path, shown,
			(const char *)value.at, json_type_name(json_type(value)), wanted);
}

int policy_unknown_key(const char *path, struct json_value key, const char *known,
		       struct psb_error *err)
{
	int shown = key.len < 80 ? (int)key.len : 80;

	return psb_fail(err, PSB_E_POLICY, 0, "policy%s: unknown key %.*s; known are %s", path,
			shown, (const char *)key.at, known);
}

int policy_read_text(const char *path, struct json_value value, char *out, size_t size,
		     struct psb_error *err)
{
	char *text;
	size_t len;

	if (json_type(value) != JSON_STRING)
		return policy_wrong_type(path, value, "a string", err);
	text = json_string_dup(value, size);
	if (!text)
		return psb_fail(err, PSB_E_MEMORY, 0, "policy.%s: out of memory", path);
	len = strlen(text);
	if (len == 0 || len >= size || options_check_text(path, text, size, NULL)) {
		free(text);
		return psb_fail(err, PSB_E_POLICY, 0,
				"policy.%s: must be 1 to %zu bytes without control characters",
				path, size - 1);
	}
	memcpy(out, text, len + 1);
	free(text);
	return 0;
}

int policy_check_json(const char *what, const uint8_t *text, size_t len, struct psb_error *err)
{
	struct json_fault fault = {.reason = ""};
	char path[128];
	int error = json_check(text, len, JSON_OBJECT_ONLY, &fault);

	if (!error)
		return 0;
	if (error == PSB_E_MEMORY)
		return psb_fail(err, error, 0, "%s: out of memory", what);
	json_path_at(text, len, fault.offset, path, sizeof(path));
	return psb_fail(err, PSB_E_POLICY, 0, "%s%s%s: byte %zu: %s%s", what, path[0] ? "." : "",
			path, fault.offset, fault.reason,
			strstr(fault.reason, "duplicate") ? "; keep one of the two" : "");
}

int name_list_add(struct name_list *list, const char *item)
{
	char **grown = reallocarray(list->items, list->count + 1, sizeof(*grown));
	char *copy;

	if (!grown)
		return PSB_E_MEMORY;
	list->items = grown;
	copy = strdup(item);
	if (!copy)
		return PSB_E_MEMORY;
	list->items[list->count++] = copy;
	return 0;
}

void name_list_free(struct name_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct name_list){.items = NULL};
}
