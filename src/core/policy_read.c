/*
 * From a policy's text to a struct: the template it begins with, then its members. What the text
 * leaves open is the template's (`default`, unless it names another), so a policy says only what
 * is different about it.
 *
 * Trust boundary: the text is the operator's, but it may be edited by hand or pass through other
 * programs, so it is bounded and checked like foreign input.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/policy.h"

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

/* "default, data-science, ..." for messages. */
static void template_names(char *out, size_t size)
{
	const char *name;
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; policy_template(i, &name) && used < size; i++) {
		int n = snprintf(out + used, size - used, "%s%s", i ? ", " : "", name);

		used += n > 0 ? (size_t)n : 0;
	}
}

static int no_template(const char *path, const char *name, struct psb_error *err)
{
	char names[128];

	template_names(names, sizeof(names));
	return psb_fail(err, PSB_E_POLICY, 0, "%s: there is no template \"%.80s\"; use one of %s%s",
			path, name, names,
			strcmp(path, "policy") == 0 ? ", or JSON text that begins with '{'" : "");
}

static int read_member(struct policy *policy, struct json_value key, struct json_value value,
		       struct psb_error *err)
{
	if (json_equals(key, "template"))
		return 0; /* read_base() has seen to it */
	if (json_equals(key, "name"))
		return policy_read_text("name", value, policy->name, sizeof(policy->name), err);
	if (json_equals(key, "require"))
		return floor_read_json("policy.require", value, &policy->floor, err);
	return policy_member(policy, key, value, "",
			     "name, template, " POLICY_SHARED_MEMBERS ", require", err);
}

static int read_members(struct policy *policy, struct json_value top, struct psb_error *err)
{
	struct json_iter iter = json_iterate(top);
	struct json_value key;
	struct json_value value;
	int error = 0;

	while (!error && json_next_member(&iter, &key, &value))
		error = read_member(policy, key, value, err);
	return error ? error : policy_check_whole(policy, err);
}

/* A template of the library: valid, with "" for its own template, or the tests fail. */
static int read_template(const char *text, struct policy *policy, struct psb_error *err)
{
	const uint8_t *bytes = (const uint8_t *)text;
	size_t len = strlen(text);
	int error = policy_check_json("template", bytes, len, err);

	if (!error)
		error = read_members(policy, json_top(bytes, len), err);
	policy->stated = 0;
	return error;
}

/* The template that the text begins with, before its own members. */
static int read_base(struct policy *policy, struct json_value top, struct psb_error *err)
{
	const char *text = find_template("default");
	struct json_value value;
	char name[64] = "";
	int error;

	if (json_member(top, "template", &value)) {
		error = policy_read_text("template", value, name, sizeof(name), err);
		if (error)
			return error;
		text = find_template(name);
		if (!text)
			return no_template("policy.template", name, err);
	}
	error = read_template(text, policy, err);
	memcpy(policy->name, "custom", sizeof("custom"));
	return error;
}

static int read_json(struct policy *policy, const char *text, struct psb_error *err)
{
	const uint8_t *bytes = (const uint8_t *)text;
	size_t len = strnlen(text, POLICY_MAX_BYTES + 1);
	int error;

	if (len > POLICY_MAX_BYTES)
		return psb_fail(err, PSB_E_POLICY, 0, "policy: longer than %u bytes",
				POLICY_MAX_BYTES);
	error = policy_check_json("policy", bytes, len, err);
	if (!error)
		error = read_base(policy, json_top(bytes, len), err);
	if (!error)
		error = read_members(policy, json_top(bytes, len), err);
	return error;
}

static bool looks_like_json(const char *text)
{
	return text[strspn(text, " \t\r\n")] == '{';
}

static int read_source(struct policy *policy, const char *text, struct psb_error *err)
{
	const char *name = text && *text ? text : "default";

	if (looks_like_json(name))
		return read_json(policy, name, err);
	text = find_template(name);
	return text ? read_template(text, policy, err) : no_template("policy", name, err);
}

int policy_read(const char *text, struct policy *out, struct psb_error *err)
{
	struct policy policy = {
		.files = {.max_inputs = POLICY_MAX_INPUTS, .output = true},
		.environment = {.any = true},
		.share_image = true,
	};
	int error;

	psb_limits_init(&policy.limits);
	psb_limits_init(&policy.site.most);
	policy.import_list = calloc(1, 1);
	if (!policy.import_list)
		return psb_fail(err, PSB_E_MEMORY, 0, "policy: out of memory");
	error = read_source(&policy, text, err);
	if (!error)
		error = policy_digest(&policy, err);
	if (error)
		policy_free(&policy);
	else
		*out = policy;
	return error;
}

void policy_free(struct policy *policy)
{
	free(policy->import_list);
	policy->import_list = NULL;
	name_list_free(&policy->environment.allow);
	name_list_free(&policy->environment.set);
}
