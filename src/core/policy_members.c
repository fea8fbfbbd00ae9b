/*
 * The members of a policy: limits, imports and network here, files and environment in
 * policy_rules.c, what only a policy has (name, template, require) in policy_read.c. Each is
 * replaced as a whole by the text that states it (limits one by one), so that no list is the
 * unseen sum of two. Strict on purpose: an unknown key, a wrong type, a name given twice or a rule
 * without effect is refused with its path, because a wish that is dropped in silence is how cages
 * come to stand open.
 *
 * Trust boundary: the text has passed json_check(); its meaning is checked here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/policy.h"

#define KNOWN_LIMITS                                                                               \
	"wall_ms, cpu_ms, memory_bytes, stdout_bytes, stderr_bytes, result_bytes, "                \
	"workspace_bytes, workspace_files, open_files, processes, on_output_limit"

static int read_on_output(struct psb_limits *limits, struct json_value value, struct psb_error *err)
{
	if (json_equals(value, "kill"))
		limits->on_output_limit = PSB_OUTPUT_KILL;
	else if (json_equals(value, "truncate"))
		limits->on_output_limit = PSB_OUTPUT_TRUNCATE;
	else
		return policy_wrong_type("limits.on_output_limit", value,
					 "\"kill\" or \"truncate\"", err);
	return 0;
}

int policy_read_limit(struct psb_limits *limits, unsigned int *stated, struct json_value key,
		      struct json_value value, struct psb_error *err)
{
	char path[64];
	int64_t number = 0;

	if (json_equals(key, "on_output_limit")) {
		*stated |= PART_BIT(PART_on_output_limit);
		return read_on_output(limits, value, err);
	}
	for (size_t i = 0; i < limit_spec_count; i++) {
		if (!json_equals(key, limit_specs[i].name))
			continue;
		(void)snprintf(path, sizeof(path), "limits.%s", limit_specs[i].name);
		if (!json_int(value, &number) || number <= 0)
			return policy_wrong_type(path, value, "a whole number above 0", err);
		limits_set(limits, &limit_specs[i], (uint64_t)number);
		*stated |= PART_BIT(i);
		return 0;
	}
	return policy_unknown_key(".limits", key, KNOWN_LIMITS, err);
}

/* Members that the text does not state keep the value they have (the template's). */
static int read_limits(struct policy *policy, struct json_value value, struct psb_error *err)
{
	struct json_iter iter = json_iterate(value);
	struct json_value key;
	struct json_value item;

	if (json_type(value) != JSON_OBJECT)
		return policy_wrong_type("limits", value, "an object", err);
	while (json_next_member(&iter, &key, &item)) {
		int error = policy_read_limit(&policy->limits, &policy->stated, key, item, err);

		if (error)
			return error;
	}
	return limits_read(&policy->limits, &policy->limits, err);
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

static bool list_has(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (; list && *list; list += strcspn(list, ","), list += *list == ',') {
		if (strncmp(list, name, len) == 0 && (list[len] == ',' || list[len] == '\0'))
			return true;
	}
	return false;
}

static int append_name(struct buffer *list, struct json_value item, size_t index,
		       struct psb_error *err)
{
	char name[POLICY_MAX_IMPORT_BYTES] = "";
	char path[48];
	int error;

	(void)snprintf(path, sizeof(path), "imports.names[%zu]", index);
	if (index == POLICY_MAX_IMPORTS)
		return psb_fail(err, PSB_E_POLICY, 0, "policy.imports.names: more than %u names",
				POLICY_MAX_IMPORTS);
	error = policy_read_text(path, item, name, sizeof(name), err);
	if (error)
		return error;
	if (!is_module_name(name))
		return psb_fail(err, PSB_E_POLICY, 0,
				"policy.%s: \"%s\" is no module name; write it like "
				"\"urllib.request\"",
				path, name);
	if (list_has(buffer_text(list), name))
		return psb_fail(err, PSB_E_POLICY, 0,
				"policy.%s: \"%s\" is named twice; name it once", path, name);
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
		return policy_wrong_type("imports.names", value, "an array of module names", err);
	buffer_init(&list, POLICY_MAX_BYTES);
	while (!error && json_next_item(&iter, &item))
		error = append_name(&list, item, count++, err);
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
		return policy_wrong_type("imports.mode", value, "\"deny\", \"allow\" or \"off\"",
					 err);
	return 0;
}

static int check_imports(struct policy *policy, bool has_mode, bool has_names,
			 struct psb_error *err)
{
	bool off = policy->import_mode == IMPORTS_OFF;

	if (!has_mode)
		return psb_fail(err, PSB_E_POLICY, 0,
				"policy.imports: \"mode\" is missing; say deny, allow or off");
	if (off && has_names && policy->import_list[0])
		return psb_fail(err, PSB_E_POLICY, 0,
				"policy.imports: mode off with names, which would have no effect; "
				"say deny or allow, or leave the names out");
	if (!off && !has_names)
		return psb_fail(err, PSB_E_POLICY, 0,
				"policy.imports: \"names\" is missing for mode %s; list the "
				"modules, or say off",
				policy->import_mode == IMPORTS_DENY_LIST ? "deny" : "allow");
	if (off && !has_names && policy->import_list)
		policy->import_list[0] = '\0';
	return 0;
}

static int read_imports(struct policy *policy, struct json_value value, struct psb_error *err)
{
	struct json_iter iter = json_iterate(value);
	struct json_value key;
	struct json_value item;
	bool has_mode = false;
	bool has_names = false;
	int error = 0;

	if (json_type(value) != JSON_OBJECT)
		return policy_wrong_type("imports", value, "an object", err);
	while (!error && json_next_member(&iter, &key, &item)) {
		if (json_equals(key, "mode")) {
			has_mode = true;
			error = read_mode(policy, item, err);
		} else if (json_equals(key, "names")) {
			has_names = true;
			error = read_names(policy, item, err);
		} else {
			error = policy_unknown_key(".imports", key, "mode, names", err);
		}
	}
	return error ? error : check_imports(policy, has_mode, has_names, err);
}

static int read_network(struct json_value value, struct psb_error *err)
{
	return json_equals(value, "none")
		       ? 0
		       : policy_wrong_type("network", value,
					   "\"none\" (no engine offers a network)", err);
}

static int read_switch(const char *name, struct json_value value, bool *out, struct psb_error *err)
{
	if (json_type(value) != JSON_BOOL)
		return policy_wrong_type(name, value, "true or false", err);
	*out = json_is_true(value);
	return 0;
}

/* How much an execution may have in common with others. */
static int read_sharing(struct policy *policy, struct json_value key, struct json_value value,
			const char *path, const char *known, struct psb_error *err)
{
	if (json_equals(key, "fresh_worker")) {
		policy->stated |= PART_BIT(PART_fresh_worker);
		return read_switch("fresh_worker", value, &policy->fresh_worker, err);
	}
	if (json_equals(key, "share_image")) {
		policy->stated |= PART_BIT(PART_share_image);
		return read_switch("share_image", value, &policy->share_image, err);
	}
	return policy_unknown_key(path, key, known, err);
}

/* The members that a site may lock as well. */
int policy_member(struct policy *policy, struct json_value key, struct json_value value,
		  const char *path, const char *known, struct psb_error *err)
{
	if (json_equals(key, "limits"))
		return read_limits(policy, value, err);
	if (json_equals(key, "imports")) {
		policy->stated |= PART_BIT(PART_imports);
		return read_imports(policy, value, err);
	}
	if (json_equals(key, "files")) {
		policy->stated |= PART_BIT(PART_files);
		return policy_read_files(policy, value, err);
	}
	if (json_equals(key, "environment")) {
		policy->stated |= PART_BIT(PART_environment);
		return policy_read_environment(policy, value, err);
	}
	if (json_equals(key, "network")) {
		policy->stated |= PART_BIT(PART_network);
		return read_network(value, err);
	}
	return read_sharing(policy, key, value, path, known, err);
}
