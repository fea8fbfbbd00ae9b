/*
 * A policy as canonical JSON: fixed order of keys, no space, every rule spelled out. Its digest is
 * what an auditor compares: two texts that mean the same have one digest, and the rules of a site
 * are part of it.
 */
#include <string.h>

#include "core/error.h"
#include "core/policy.h"
#include "core/sha256.h"

static void write_imports(struct json_writer *writer, const struct policy *policy)
{
	static const char *const modes[] = {"deny", "allow", "off"};

	json_key(writer, "imports");
	json_open(writer, '{');
	json_key(writer, "mode");
	json_put_text(writer, modes[policy->import_mode]);
	json_key(writer, "names");
	json_put_list(writer, policy->import_list);
	json_close(writer, '}');
}

static void write_files(struct json_writer *writer, const struct policy_files *files)
{
	json_key(writer, "files");
	json_open(writer, '{');
	json_key(writer, "max_inputs");
	json_put_uint(writer, files->max_inputs);
	if (files->max_input_bytes > 0) {
		json_key(writer, "max_input_bytes");
		json_put_uint(writer, files->max_input_bytes);
	}
	json_key(writer, "output");
	json_put_bool(writer, files->output);
	json_close(writer, '}');
}

static void write_entry(struct json_writer *writer, const char *entry)
{
	size_t len = strcspn(entry, "=");

	json_put_string(writer, entry, len);
	json_colon(writer);
	json_put_text(writer, entry + len + 1);
}

static void write_environment(struct json_writer *writer,
			      const struct policy_environment *environment)
{
	json_key(writer, "environment");
	json_open(writer, '{');
	json_key(writer, "allow");
	if (environment->any) {
		json_put_text(writer, "any");
	} else {
		json_open(writer, '[');
		for (size_t i = 0; i < environment->allow.count; i++)
			json_put_text(writer, environment->allow.items[i]);
		json_close(writer, ']');
	}
	json_key(writer, "set");
	json_open(writer, '{');
	for (size_t i = 0; i < environment->set.count; i++)
		write_entry(writer, environment->set.items[i]);
	json_close(writer, '}');
	json_close(writer, '}');
}

void policy_write(struct json_writer *writer, const struct policy *policy,
		  const struct psb_limits *limits)
{
	const struct floor *floor = &policy->floor;

	json_open(writer, '{');
	json_key(writer, "name");
	json_put_text(writer, policy->name);
	json_key(writer, "limits");
	if (limits || (policy->stated & PART_BIT(PART_on_output_limit)))
		limits_write_all(writer, limits ? limits : &policy->limits);
	else
		limits_write(writer, &policy->limits);
	write_imports(writer, policy);
	write_files(writer, &policy->files);
	write_environment(writer, &policy->environment);
	json_key(writer, "network");
	json_put_text(writer, "none");
	json_key(writer, "fresh_worker");
	json_put_bool(writer, policy->fresh_worker);
	json_key(writer, "share_image");
	json_put_bool(writer, policy->share_image);
	if (floor->level > 0 || floor->controls != 0) {
		json_key(writer, "require");
		floor_write(writer, floor);
	}
	json_close(writer, '}');
}

void policy_write_env(struct json_writer *writer, const struct policy *policy,
		      const char *const *env)
{
	json_open(writer, '{');
	for (size_t i = 0; i < policy->environment.set.count; i++)
		write_entry(writer, policy->environment.set.items[i]);
	for (size_t i = 0; env && env[i]; i++)
		write_entry(writer, env[i]);
	json_close(writer, '}');
}

int policy_digest(struct policy *policy, struct psb_error *err)
{
	struct json_writer writer;
	struct buffer text;

	buffer_init(&text, 4 * POLICY_MAX_BYTES);
	json_writer_init(&writer, &text);
	json_open(&writer, '[');
	policy_write(&writer, policy, NULL);
	limits_write(&writer, &policy->site.most);
	floor_write(&writer, &policy->site.floor);
	json_close(&writer, ']');
	if (!writer.error)
		sha256_hex(text.data, text.len, policy->sha256);
	buffer_free(&text);
	return writer.error ? psb_fail(err, writer.error, 0, "policy: no memory for its digest")
			    : 0;
}
