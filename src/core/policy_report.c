/*
 * What a policy comes to on this host, for `pysandbox policy` and for applications that show it: the
 * policy in force as JSON, and what each engine would keep of it. The same code that opens a
 * sandbox answers, up to the point where an engine would be started; nothing is started.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/options.h"
#include "core/outcome.h"
#include "core/registry.h"
#include "core/sandbox.h"

#define MAX_TEXT_BYTES (4u * POLICY_MAX_BYTES)

const char *psb_policy_name(size_t index)
{
	const char *name = NULL;

	return policy_template(index, &name) ? name : NULL;
}

void psb_text_free(char *text)
{
	free(text);
}

static const char *part_name(unsigned int part)
{
	static const char *const others[] = {
		"limits.on_output_limit", "imports",    "files", "environment", "network",
		"fresh_worker",           "share_image"};

	return part < LIMIT_SPEC_COUNT ? limit_specs[part].name : others[part - LIMIT_SPEC_COUNT];
}

static void put_parts(struct json_writer *w, const char *key, unsigned int bits)
{
	json_key(w, key);
	json_open(w, '[');
	for (unsigned int i = 0; i < PART_COUNT; i++) {
		if (bits & PART_BIT(i))
			json_put_text(w, part_name(i));
	}
	json_close(w, ']');
}

static void put_site(struct json_writer *w, const struct policy_site *site)
{
	json_key(w, "site");
	json_open(w, '{');
	json_key(w, "notes");
	json_open(w, '[');
	for (size_t i = 0; i < site->count; i++)
		json_put_text(w, site->note[i] + strlen("; "));
	json_close(w, ']');
	json_key(w, "maxima");
	limits_write(w, &site->most);
	put_parts(w, "lowered", site->lowered);
	put_parts(w, "locked", site->locked);
	json_close(w, '}');
}

static const struct candidate *find_candidate(const struct psb_sandbox *sandbox, size_t index)
{
	for (size_t i = 0; i < sandbox->candidate_count; i++) {
		if (sandbox->candidates[i].ops == sandbox->engines[index])
			return &sandbox->candidates[i];
	}
	return NULL;
}

/* Why an engine is no candidate: its probe's word, or that nobody wished for it. */
static const char *why_none(const struct psb_sandbox *sandbox, size_t index)
{
	for (size_t i = 0; i < sandbox->fallback_count; i++) {
		if (strcmp(sandbox->fallback[i].engine, sandbox->engines[index]->name) == 0)
			return sandbox->fallback[i].reason;
	}
	return "another engine was asked for";
}

static void judge(const struct psb_sandbox *sandbox, size_t index, struct psb_engine_info *info)
{
	const struct candidate *candidate = find_candidate(sandbox, index);
	struct psb_error reason = {.message = ""};

	*info = (struct psb_engine_info){.size = sizeof(*info)};
	(void)snprintf(info->name, sizeof(info->name), "%s", sandbox->engines[index]->name);
	if (!candidate) {
		(void)snprintf(info->missing, sizeof(info->missing), "%s",
			       why_none(sandbox, index));
		return;
	}
	info->available = choose_fits(sandbox, candidate, &reason) == 0;
	info->level = candidate->misfit[0] ? 0 : candidate->plan.level;
	memcpy(info->rung, candidate->plan.rung, sizeof(info->rung));
	(void)snprintf(info->missing, sizeof(info->missing), "%s", reason.message);
}

static void put_engine(struct json_writer *w, const struct psb_sandbox *sandbox, size_t index)
{
	const struct candidate *candidate = find_candidate(sandbox, index);
	struct psb_engine_info info;

	judge(sandbox, index, &info);
	json_open(w, '{');
	json_key(w, "name");
	json_put_text(w, info.name);
	json_key(w, "fits");
	json_put_bool(w, info.available != 0);
	json_key(w, "level");
	json_put_int(w, info.level);
	json_key(w, "rung");
	json_put_text(w, info.rung[0] ? info.rung : NULL);
	json_key(w, "missing");
	json_put_text(w, info.missing);
	if (candidate && !candidate->misfit[0])
		outcome_write_controls(w, candidate->plan.controls);
	json_close(w, '}');
}

static void put_engines(struct json_writer *w, const struct psb_sandbox *sandbox)
{
	json_key(w, "engines");
	json_open(w, '[');
	for (size_t i = 0; sandbox->engines[i]; i++)
		put_engine(w, sandbox, i);
	json_close(w, ']');
}

static int write_report(const struct policy *policy, const struct psb_limits *limits,
			const struct psb_sandbox *sandbox, struct buffer *out)
{
	struct json_writer writer;

	json_writer_init(&writer, out);
	json_open(&writer, '{');
	json_key(&writer, "policy");
	policy_write(&writer, policy, limits);
	json_key(&writer, "sha256");
	json_put_text(&writer, policy->sha256);
	put_site(&writer, &policy->site);
	if (sandbox)
		put_engines(&writer, sandbox);
	json_close(&writer, '}');
	return writer.error;
}

static int describe_with_engines(const struct psb_options *options, struct buffer *out,
				 struct psb_error *err)
{
	psb_sandbox *sandbox = NULL;
	int error = sandbox_plan_with(options, registry_engines, &sandbox, err);

	if (error)
		return error;
	choose_all(sandbox);
	error = write_report(&sandbox->policy, &sandbox->limits, sandbox, out);
	psb_close(sandbox);
	return error ? psb_fail(err, error, 0, "policy: out of memory for its text") : 0;
}

static int describe(const struct psb_options *options, struct buffer *out, struct psb_error *err)
{
	struct psb_limits limits;
	struct psb_options copy;
	struct policy policy;
	int error = 0;

	psb_options_init(&copy);
	if (options)
		error = options_copy("struct psb_options", options, options->size, &copy,
				     sizeof(copy), err);
	if (!error)
		error = policy_open(&copy, &policy, &limits, err);
	if (error)
		return error;
	error = write_report(&policy, &limits, NULL, out);
	policy_free(&policy);
	return error ? psb_fail(err, error, 0, "policy: out of memory for its text") : 0;
}

int psb_policy_text(const struct psb_options *options, int with_engines, char **out,
		    struct psb_error *err)
{
	struct buffer text;
	int error;

	if (!out)
		return psb_fail(err, PSB_E_INVALID, 0, "psb_policy_text: `out` is NULL");
	buffer_init(&text, MAX_TEXT_BYTES);
	error = with_engines ? describe_with_engines(options, &text, err)
			     : describe(options, &text, err);
	if (!error)
		*out = buffer_take_text(&text);
	buffer_free(&text);
	return error;
}

int psb_engine_fits(const struct psb_options *options, size_t index, struct psb_engine_info *out,
		    struct psb_error *err)
{
	struct psb_engine_info info;
	psb_sandbox *sandbox = NULL;
	int error = registry_check(index, out, err);

	if (!error)
		error = sandbox_plan_with(options, registry_engines, &sandbox, err);
	if (error)
		return error;
	choose_all(sandbox);
	judge(sandbox, index, &info);
	psb_close(sandbox);
	registry_copy_info(&info, out);
	return 0;
}
