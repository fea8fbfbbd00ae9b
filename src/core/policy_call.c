/*
 * The rules of a policy for one call. Whatever a request asks for can only be less than what the
 * sandbox was opened with; a wish beyond it is an error of the call that names the rule, and the
 * site policy behind it if there is one. Nothing is dropped or cut in silence.
 *
 * Trust: requests come from the application, which may pass on what others asked for.
 */
#include <string.h>

#include "core/error.h"
#include "core/policy.h"
#include "core/site.h"

static bool matches(const char *pattern, const char *name, size_t len)
{
	size_t fixed = strlen(pattern);

	if (fixed > 0 && pattern[fixed - 1] == '*')
		return len >= fixed - 1 && strncmp(pattern, name, fixed - 1) == 0;
	return fixed == len && strncmp(pattern, name, len) == 0;
}

static bool is_set(const struct name_list *set, const char *name, size_t len)
{
	for (size_t i = 0; i < set->count; i++) {
		if (strncmp(set->items[i], name, len) == 0 && set->items[i][len] == '=')
			return true;
	}
	return false;
}

static bool is_allowed(const struct policy_environment *environment, const char *name, size_t len)
{
	for (size_t i = 0; i < environment->allow.count; i++) {
		if (matches(environment->allow.items[i], name, len))
			return true;
	}
	return environment->any;
}

static int check_env(const struct policy *policy, const char *const *env, struct psb_error *err)
{
	for (size_t i = 0; env && env[i]; i++) {
		size_t len = strcspn(env[i], "=");
		int shown = len < 80 ? (int)len : 80;

		if (is_set(&policy->environment.set, env[i], len))
			return psb_fail(err, PSB_E_POLICY, 0,
					"env: \"%.*s\" is fixed by policy \"%s\" (environment.set)"
					"; leave it out%s",
					shown, env[i], policy->name,
					site_note(policy, PART_environment));
		if (!is_allowed(&policy->environment, env[i], len))
			return psb_fail(err, PSB_E_POLICY, 0,
					"env: \"%.*s\" is not among those that policy \"%s\" "
					"permits (environment.allow)%s",
					shown, env[i], policy->name,
					site_note(policy, PART_environment));
	}
	return 0;
}

int policy_check_call(const struct policy *policy, const struct psb_request *request,
		      struct psb_error *err)
{
	/* More than any policy could permit is an invalid call, not a matter of this one. */
	if (request->file_count > policy->files.max_inputs &&
	    request->file_count <= POLICY_MAX_INPUTS)
		return psb_fail(err, PSB_E_POLICY, 0,
				"file: %zu files; policy \"%s\" permits %u (files.max_inputs)%s",
				request->file_count, policy->name, policy->files.max_inputs,
				site_note(policy, PART_files));
	if (request->output_dir && !policy->files.output)
		return psb_fail(err, PSB_E_POLICY, 0,
				"output: policy \"%s\" does not permit the collection of files "
				"(files.output)%s",
				policy->name, site_note(policy, PART_files));
	return check_env(policy, request->env, err);
}

int policy_check_inputs(const struct policy *policy, uint64_t input_bytes, struct psb_error *err)
{
	uint64_t most = policy->files.max_input_bytes;

	if (most == 0 || input_bytes <= most)
		return 0;
	return psb_fail(err, PSB_E_POLICY, 0,
			"file: %llu bytes together; policy \"%s\" permits %llu "
			"(files.max_input_bytes)%s",
			(unsigned long long)input_bytes, policy->name, (unsigned long long)most,
			site_note(policy, PART_files));
}

/* A locked limit has one value, for every caller. */
int policy_check_locked(const struct policy *policy, const struct psb_limits *values,
			const struct psb_limits *wanted, struct psb_error *err)
{
	for (size_t i = 0; i < limit_spec_count; i++) {
		uint64_t wish = limits_get(wanted, &limit_specs[i]);
		uint64_t value = limits_get(values, &limit_specs[i]);

		if ((policy->site.locked & PART_BIT(i)) && wish != 0 && wish != value)
			return psb_fail(err, PSB_E_POLICY, 0,
					"limits.%s: %llu was asked for, but it is locked to %llu%s",
					limit_specs[i].name, (unsigned long long)wish,
					(unsigned long long)value,
					site_note(policy, (unsigned int)i));
	}
	return 0;
}

int policy_tighten(const struct policy *policy, const struct psb_limits *wide,
		   const struct psb_limits *wanted, struct psb_limits *out, struct psb_error *err)
{
	int error = policy_check_locked(policy, wide, wanted, err);

	return error ? error : limits_tighten_call(wide, wanted, out, err);
}

const char *policy_limit_note(const struct policy *policy, size_t limit_index,
			      const struct psb_limits *limits)
{
	const struct limit_spec *spec = &limit_specs[limit_index];

	if (!(policy->site.lowered & PART_BIT(limit_index)) ||
	    limits_get(limits, spec) != limits_get(&policy->site.most, spec))
		return NULL;
	return site_note(policy, (unsigned int)limit_index);
}
