/*
 * The members `files` and `environment` of a policy, and the contradictions that no single member
 * can see. The same strictness as in policy_members.c: a rule without effect is refused.
 *
 * Trust boundary: the text has passed json_check(); its meaning is checked here. Names of variables
 * are plain identifiers, so that none can be mistaken for two.
 */
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "core/policy.h"

#define MAX_BYTES_LIMIT (INT64_C(1) << 40)

static int read_number(const char *path, struct json_value value, int64_t max, int64_t *out,
		       struct psb_error *err)
{
	char wanted[64];

	(void)snprintf(wanted, sizeof(wanted), "a whole number from 0 to %lld", (long long)max);
	if (!json_int(value, out) || *out < 0 || *out > max)
		return policy_wrong_type(path, value, wanted, err);
	return 0;
}

static int read_file_rule(struct policy_files *files, struct json_value key,
			  struct json_value value, struct psb_error *err)
{
	int64_t number = 0;
	int error = 0;

	if (json_equals(key, "max_inputs")) {
		error = read_number("files.max_inputs", value, POLICY_MAX_INPUTS, &number, err);
		files->max_inputs = (uint32_t)number;
	} else if (json_equals(key, "max_input_bytes")) {
		error = read_number("files.max_input_bytes", value, MAX_BYTES_LIMIT, &number, err);
		files->max_input_bytes = (uint64_t)number;
		if (!error && number == 0)
			error = policy_wrong_type("files.max_input_bytes", value,
						  "a number above 0 (for no files: max_inputs 0)",
						  err);
	} else if (json_equals(key, "output")) {
		if (json_type(value) != JSON_BOOL)
			return policy_wrong_type("files.output", value, "true or false", err);
		files->output = json_is_true(value);
	} else {
		return policy_unknown_key(".files", key, "max_inputs, max_input_bytes, output",
					  err);
	}
	return error;
}

int policy_read_files(struct policy *policy, struct json_value value, struct psb_error *err)
{
	struct policy_files files = {.max_inputs = POLICY_MAX_INPUTS, .output = true};
	struct json_iter iter = json_iterate(value);
	struct json_value key;
	struct json_value item;

	if (json_type(value) != JSON_OBJECT)
		return policy_wrong_type("files", value, "an object", err);
	while (json_next_member(&iter, &key, &item)) {
		int error = read_file_rule(&files, key, item, err);

		if (error)
			return error;
	}
	if (files.max_inputs == 0 && files.max_input_bytes > 0)
		return psb_fail(err, PSB_E_POLICY, 0,
				"policy.files: max_input_bytes without effect, since max_inputs is "
				"0; leave one of them out");
	policy->files = files;
	return 0;
}

/* A letter or '_', then digits too; in a list a '*' may end it. */
static bool is_variable_name(const char *name, bool pattern)
{
	size_t len = strlen(name);

	if (pattern && len > 1 && name[len - 1] == '*')
		len--;
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)name[i];
		bool letter = ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') || byte == '_';

		if (!letter && !(i > 0 && byte >= '0' && byte <= '9'))
			return false;
	}
	return len > 0;
}

static int bad_variable(const char *path, const char *name, struct psb_error *err)
{
	return psb_fail(err, PSB_E_POLICY, 0,
			"policy.%s: \"%s\" is no variable's name; use letters, digits and _", path,
			name);
}

static int add_allowed(struct name_list *allow, struct json_value item, struct psb_error *err)
{
	char name[POLICY_MAX_IMPORT_BYTES] = "";
	char path[48];
	int error;

	(void)snprintf(path, sizeof(path), "environment.allow[%zu]", allow->count);
	if (allow->count == POLICY_MAX_VARIABLES)
		return psb_fail(err, PSB_E_POLICY, 0,
				"policy.environment.allow: more than %u names",
				POLICY_MAX_VARIABLES);
	error = policy_read_text(path, item, name, sizeof(name), err);
	if (error)
		return error;
	if (!is_variable_name(name, true))
		return bad_variable(path, name, err);
	for (size_t i = 0; i < allow->count; i++) {
		if (strcmp(allow->items[i], name) == 0)
			return psb_fail(err, PSB_E_POLICY, 0,
					"policy.%s: \"%s\" is named twice; name it once", path,
					name);
	}
	return name_list_add(allow, name) ? psb_fail(err, PSB_E_MEMORY, 0, "policy: out of memory")
					  : 0;
}

static int read_allow(struct policy_environment *environment, struct json_value value,
		      struct psb_error *err)
{
	struct json_iter iter = json_iterate(value);
	struct json_value item;
	int error = 0;

	environment->any = json_equals(value, "any");
	if (environment->any)
		return 0;
	if (json_type(value) != JSON_ARRAY)
		return policy_wrong_type("environment.allow", value, "\"any\" or an array of names",
					 err);
	while (!error && json_next_item(&iter, &item))
		error = add_allowed(&environment->allow, item, err);
	return error;
}

static int add_variable(struct name_list *set, struct json_value key, struct json_value value,
			struct psb_error *err)
{
	char text[POLICY_MAX_IMPORT_BYTES + POLICY_MAX_VARIABLE_BYTES];
	char name[POLICY_MAX_IMPORT_BYTES] = "";
	char path[64];
	size_t len;
	int error;

	if (set->count == POLICY_MAX_VARIABLES)
		return psb_fail(err, PSB_E_POLICY, 0,
				"policy.environment.set: more than %u variables",
				POLICY_MAX_VARIABLES);
	error = policy_read_text("environment.set (a name)", key, name, sizeof(name), err);
	if (error)
		return error;
	if (!is_variable_name(name, false))
		return bad_variable("environment.set", name, err);
	(void)snprintf(path, sizeof(path), "environment.set.%.32s", name);
	len = (size_t)snprintf(text, sizeof(text), "%s=", name);
	if (value.len != 2 || json_type(value) != JSON_STRING)
		error = policy_read_text(path, value, text + len, POLICY_MAX_VARIABLE_BYTES, err);
	if (error)
		return error;
	return name_list_add(set, text) ? psb_fail(err, PSB_E_MEMORY, 0, "policy: out of memory")
					: 0;
}

static int read_set(struct policy_environment *environment, struct json_value value,
		    struct psb_error *err)
{
	struct json_iter iter = json_iterate(value);
	struct json_value key;
	struct json_value item;
	int error = 0;

	if (json_type(value) != JSON_OBJECT)
		return policy_wrong_type("environment.set", value, "an object of strings", err);
	while (!error && json_next_member(&iter, &key, &item))
		error = add_variable(&environment->set, key, item, err);
	return error;
}

static int read_environment_members(struct policy_environment *environment, struct json_value value,
				    struct psb_error *err)
{
	struct json_iter iter = json_iterate(value);
	struct json_value key;
	struct json_value item;
	int error = 0;

	if (json_type(value) != JSON_OBJECT)
		return policy_wrong_type("environment", value, "an object", err);
	while (!error && json_next_member(&iter, &key, &item)) {
		if (json_equals(key, "allow"))
			error = read_allow(environment, item, err);
		else if (json_equals(key, "set"))
			error = read_set(environment, item, err);
		else
			error = policy_unknown_key(".environment", key, "allow, set", err);
	}
	return error;
}

static void free_environment(struct policy_environment *environment)
{
	name_list_free(&environment->allow);
	name_list_free(&environment->set);
}

int policy_read_environment(struct policy *policy, struct json_value value, struct psb_error *err)
{
	struct policy_environment environment = {.any = true};
	int error = read_environment_members(&environment, value, err);

	if (error) {
		free_environment(&environment);
		return error;
	}
	free_environment(&policy->environment);
	policy->environment = environment;
	return 0;
}

int policy_check_whole(const struct policy *policy, struct psb_error *err)
{
	const struct policy_environment *environment = &policy->environment;
	uint64_t room = policy->limits.workspace_bytes;

	if (room > 0 && policy->files.max_input_bytes > room)
		return psb_fail(err, PSB_E_POLICY, 0,
				"policy.files.max_input_bytes: %llu is over limits.workspace_bytes "
				"(%llu), into which the files are copied; lower the one or raise "
				"the other",
				(unsigned long long)policy->files.max_input_bytes,
				(unsigned long long)room);
	for (size_t i = 0; i < environment->set.count; i++) {
		const char *entry = environment->set.items[i];
		size_t len = strcspn(entry, "=");

		for (size_t j = 0; j < environment->allow.count; j++) {
			if (strlen(environment->allow.items[j]) == len &&
			    strncmp(environment->allow.items[j], entry, len) == 0)
				return psb_fail(err, PSB_E_POLICY, 0,
						"policy.environment: \"%.*s\" is fixed by set and "
						"left open by allow; name it in one of them",
						(int)len, entry);
		}
	}
	return 0;
}
