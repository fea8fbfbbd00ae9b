/*
 * The policy reader. Strict on purpose: an unknown key, a duplicate key or a wrong type is refused
 * with its path, because a wish that is dropped in silence is how cages come to stand open.
 *
 * Trust boundary: the text is the operator's, but it may be edited by hand or pass through other
 * programs, so it is bounded and checked like foreign input. The digest is taken of the canonical
 * text (fixed key order, no space), not of the bytes given.
 */
#include "core/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/json_check.h"
#include "core/json_read.h"
#include "core/json_write.h"
#include "core/level.h"
#include "core/limits.h"
#include "core/options.h"
#include "core/sha256.h"

#define STANDARD_FLOOR "5"

static int wrong_type(const char *path, struct json_value value, const char *wanted,
		      struct psb_error *err)
{
	int shown = value.len < 40 ? (int)value.len : 40;

	return psb_fail(err, PSB_E_POLICY, 0, "policy.%s: %.*s is %s; %s is expected", path, shown,
			(const char *)value.at, json_type_name(json_type(value)), wanted);
}

static int unknown_key(const char *path, struct json_value key, const char *known,
		       struct psb_error *err)
{
	int shown = key.len < 80 ? (int)key.len : 80;

	return psb_fail(err, PSB_E_POLICY, 0, "policy%s: unknown key %.*s; known are %s", path,
			shown, (const char *)key.at, known);
}

/* A short string member into a fixed array. */
static int read_text(const char *path, struct json_value value, char *out, size_t size,
		     struct psb_error *err)
{
	char *text;
	size_t len;

	if (json_type(value) != JSON_STRING)
		return wrong_type(path, value, "a string", err);
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

static int read_on_output(struct psb_limits *limits, struct json_value value, struct psb_error *err)
{
	if (json_equals(value, "kill"))
		limits->on_output_limit = PSB_OUTPUT_KILL;
	else if (json_equals(value, "truncate"))
		limits->on_output_limit = PSB_OUTPUT_TRUNCATE;
	else
		return wrong_type("limits.on_output_limit", value, "\"kill\" or \"truncate\"", err);
	return 0;
}

static int read_limit(struct psb_limits *limits, struct json_value key, struct json_value value,
		      struct psb_error *err)
{
	char path[64];
	int64_t number = 0;

	if (json_equals(key, "on_output_limit"))
		return read_on_output(limits, value, err);
	for (size_t i = 0; i < limit_spec_count; i++) {
		if (!json_equals(key, limit_specs[i].name))
			continue;
		(void)snprintf(path, sizeof(path), "limits.%s", limit_specs[i].name);
		if (!json_int(value, &number) || number <= 0)
			return wrong_type(path, value, "a whole number above 0", err);
		limits_set(limits, &limit_specs[i], (uint64_t)number);
		return 0;
	}
	return unknown_key(".limits", key,
			   "wall_ms, cpu_ms, memory_bytes, stdout_bytes, stderr_bytes, "
			   "result_bytes, workspace_bytes, workspace_files, open_files, "
			   "processes, on_output_limit",
			   err);
}

static int read_limits(struct policy *policy, struct json_value value, struct psb_error *err)
{
	struct json_iter iter = json_iterate(value);
	struct psb_limits limits;
	struct json_value key;
	struct json_value item;

	if (json_type(value) != JSON_OBJECT)
		return wrong_type("limits", value, "an object", err);
	psb_limits_init(&limits);
	while (json_next_member(&iter, &key, &item)) {
		int error = read_limit(&limits, key, item, err);

		if (error)
			return error;
	}
	return limits_read(&limits, &policy->limits, err);
}

static bool is_module_name(const char *name)
{
	bool starts_part = true;

	for (; *name; name++) {
		unsigned char byte = (unsigned char)*name;
		bool letter = (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
		bool digit = byte >= '0' && byte <= '9';

		if (byte == '.' && !starts_part) {
			starts_part = true;
			continue;
		}
		if (!letter && byte != '_' && byte < 0x80 && !(digit && !starts_part))
			return false;
		starts_part = false;
	}
	return !starts_part;
}

static int append_name(struct buffer *list, struct json_value item, size_t index,
		       struct psb_error *err)
{
	char name[POLICY_MAX_IMPORT_BYTES] = "";
	char path[48];
	int error;

	(void)snprintf(path, sizeof(path), "imports.names[%zu]", index);
	error = read_text(path, item, name, sizeof(name), err);
	if (error)
		return error;
	if (!is_module_name(name))
		return psb_fail(err, PSB_E_POLICY, 0,
				"policy.%s: \"%s\" is no module name; write it like "
				"\"urllib.request\"",
				path, name);
	if (list->len > 0)
		error = buffer_append_text(list, ",");
	if (!error)
		error = buffer_append_text(list, name);
	return error ? psb_fail(err, error, 0, "policy.imports.names: too long a list") : 0;
}

static int read_names(struct policy *policy, struct json_value value, struct psb_error *err)
{
	struct json_iter iter = json_iterate(value);
	struct json_value item;
	struct buffer list;
	size_t count = 0;
	int error = 0;

	if (json_type(value) != JSON_ARRAY)
		return wrong_type("imports.names", value, "an array of module names", err);
	buffer_init(&list, POLICY_MAX_BYTES);
	while (!error && json_next_item(&iter, &item)) {
		if (count == POLICY_MAX_IMPORTS)
			error = psb_fail(err, PSB_E_POLICY, 0,
					 "policy.imports.names: more than %u names",
					 POLICY_MAX_IMPORTS);
		else
			error = append_name(&list, item, count++, err);
	}
	if (!error) {
		free(policy->import_list);
		policy->import_list = buffer_take_text(&list);
		if (!policy->import_list)
			error = psb_fail(err, PSB_E_MEMORY, 0, "policy: out of memory");
	}
	buffer_free(&list);
	return error;
}

static int read_mode(struct policy *policy, struct json_value value, struct psb_error *err)
{
	if (json_equals(value, "deny"))
		policy->import_mode = IMPORTS_DENY_LIST;
	else if (json_equals(value, "allow"))
		policy->import_mode = IMPORTS_ALLOW_LIST;
	else if (json_equals(value, "off"))
		policy->import_mode = IMPORTS_OFF;
	else
		return wrong_type("imports.mode", value, "\"deny\", \"allow\" or \"off\"", err);
	return 0;
}

static int read_imports(struct policy *policy, struct json_value value, struct psb_error *err)
{
	struct json_iter iter = json_iterate(value);
	struct json_value key;
	struct json_value item;
	bool has_mode = false;

	if (json_type(value) != JSON_OBJECT)
		return wrong_type("imports", value, "an object", err);
	while (json_next_member(&iter, &key, &item)) {
		int error;

		if (json_equals(key, "mode")) {
			has_mode = true;
			error = read_mode(policy, item, err);
		} else if (json_equals(key, "names")) {
			error = read_names(policy, item, err);
		} else {
			error = unknown_key(".imports", key, "mode, names", err);
		}
		if (error)
			return error;
	}
	if (!has_mode)
		return psb_fail(err, PSB_E_POLICY, 0,
				"policy.imports: \"mode\" is missing; say deny, allow or off");
	return 0;
}

static int read_require(struct policy *policy, struct json_value value, struct psb_error *err)
{
	int64_t level = 0;
	int error = 0;

	if (json_int(value, &level) && level >= 1 && level <= 10)
		(void)snprintf(policy->require, sizeof(policy->require), "%d", (int)level);
	else if (json_type(value) == JSON_STRING)
		error = read_text("require", value, policy->require, sizeof(policy->require), err);
	else
		return wrong_type("require", value, "a level from 1 to 10 or a control's name",
				  err);
	policy->require_fixed = true;
	return error ? error : floor_check(policy->require, err);
}

static int read_member(struct policy *policy, struct json_value key, struct json_value value,
		       struct psb_error *err)
{
	if (json_equals(key, "name"))
		return read_text("name", value, policy->name, sizeof(policy->name), err);
	if (json_equals(key, "limits"))
		return read_limits(policy, value, err);
	if (json_equals(key, "imports"))
		return read_imports(policy, value, err);
	if (json_equals(key, "require"))
		return read_require(policy, value, err);
	return unknown_key("", key, "name, limits, imports, require", err);
}

static const char *const mode_names[] = {"deny", "allow", "off"};

static void write_names(struct json_writer *writer, const char *list)
{
	json_open(writer, '[');
	while (list && *list) {
		size_t len = strcspn(list, ",");

		json_put_string(writer, list, len);
		list += len + (list[len] == ',');
	}
	json_close(writer, ']');
}

/* The canonical text's digest: what an auditor compares. */
static int digest(struct policy *policy, struct psb_error *err)
{
	struct json_writer writer;
	struct buffer text;

	buffer_init(&text, 2 * POLICY_MAX_BYTES);
	json_writer_init(&writer, &text);
	json_open(&writer, '{');
	json_key(&writer, "name");
	json_put_text(&writer, policy->name);
	json_key(&writer, "limits");
	limits_write(&writer, &policy->limits);
	json_key(&writer, "imports");
	json_open(&writer, '{');
	json_key(&writer, "mode");
	json_put_text(&writer, mode_names[policy->import_mode]);
	json_key(&writer, "names");
	write_names(&writer, policy->import_list);
	json_close(&writer, '}');
	json_key(&writer, "require");
	json_put_text(&writer, policy->require);
	json_close(&writer, '}');
	if (!writer.error)
		sha256_hex(text.data, text.len, policy->sha256);
	buffer_free(&text);
	return writer.error ? psb_fail(err, writer.error, 0, "policy: no memory for its digest")
			    : 0;
}

static int read_text_policy(const char *text, size_t len, struct policy *policy,
			    struct psb_error *err)
{
	const uint8_t *bytes = (const uint8_t *)text;
	struct json_value key;
	struct json_value value;
	struct json_fault fault;
	struct json_iter iter;
	int error = json_check(bytes, len, JSON_OBJECT_ONLY, &fault);

	if (error)
		return psb_fail(err, error == PSB_E_MEMORY ? error : PSB_E_POLICY, 0,
				"policy: byte %zu: %s", fault.offset, fault.reason);
	iter = json_iterate(json_top(bytes, len));
	while (json_next_member(&iter, &key, &value)) {
		error = read_member(policy, key, value, err);
		if (error)
			return error;
	}
	return digest(policy, err);
}

static const char *find_template(const char *name)
{
	const char *known;
	const char *text;

	for (size_t i = 0; (text = policy_template(i, &known)); i++) {
		if (strcmp(name, known) == 0)
			return text;
	}
	return NULL;
}

static const char *policy_source(const char *text, struct psb_error *err)
{
	const char *source = text && *text ? text : "default";

	if (source[0] == '{' || source[0] == ' ' || source[0] == '\n' || source[0] == '\t')
		return source;
	source = find_template(source);
	if (!source)
		(void)psb_fail(err, PSB_E_POLICY, 0,
			       "policy: there is no template \"%s\"; use default, data-science, "
			       "strict or JSON text that begins with '{'",
			       text);
	return source;
}

int policy_read(const char *text, struct policy *out, struct psb_error *err)
{
	struct policy policy = {.name = "custom", .require = STANDARD_FLOOR};
	const char *source = policy_source(text, err);
	size_t len;
	int error;

	if (!source)
		return PSB_E_POLICY;
	len = strnlen(source, POLICY_MAX_BYTES + 1);
	if (len > POLICY_MAX_BYTES)
		return psb_fail(err, PSB_E_POLICY, 0, "policy: longer than %u bytes",
				POLICY_MAX_BYTES);
	psb_limits_init(&policy.limits);
	error = read_text_policy(source, len, &policy, err);
	if (!error && !policy.import_list) {
		policy.import_list = calloc(1, 1);
		if (!policy.import_list)
			error = psb_fail(err, PSB_E_MEMORY, 0, "policy: out of memory");
	}
	if (error) {
		policy_free(&policy);
		return error;
	}
	*out = policy;
	return 0;
}

void policy_free(struct policy *policy)
{
	free(policy->import_list);
	policy->import_list = NULL;
}
