/*
 * From options to what is in force. The caller's policy is read; the site policies bind it, that of
 * the machine last, so that nothing undoes it; then the options tighten it. What a caller asked for
 * in so many words and may not have is refused with the rule's name; defaults and the library's
 * own templates are lowered to a site's maxima instead, since nobody asked for their numbers.
 *
 * Trust: options are the application's. A site policy named in the options is applied beside the
 * machine's and never in its place: all it can do is to bind further, so it needs no more trust
 * than the policy that the same caller may name.
 */
#include "core/policy.h"

#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/site.h"

static int apply_site(struct policy *policy, const char *path, uid_t other_owner, bool optional,
		      struct psb_error *err)
{
	struct site site;
	bool found = false;
	int error = site_load(path, other_owner, &found, &site, err);

	if (error)
		return error;
	if (!found)
		return optional ? 0
				: psb_fail(err, PSB_E_NOT_FOUND, 0,
					   "site policy %.200s: there is no such file", path);
	error = site_apply(&site, policy, err);
	site_free(&site);
	return error;
}

static int apply_sites(struct policy *policy, const char *more, const char *machine,
		       struct psb_error *err)
{
	int error = 0;

	if (more && *more)
		error = apply_site(policy, more, geteuid(), false, err);
	return error ? error : apply_site(policy, machine, 0, true, err);
}

/* An option replaces the standard level, and adds to a floor that the policy states. */
static int settle_floor(struct policy *policy, const char *require, struct psb_error *err)
{
	struct floor asked = {.level = 0};
	int error = 0;

	if (require && *require)
		error = floor_read("require", require, &asked, err);
	if (error)
		return error;
	floor_join(&policy->floor, &asked);
	if (policy->floor.level == 0)
		policy->floor.level = FLOOR_STANDARD_LEVEL;
	floor_join(&policy->floor, &policy->site.floor);
	return 0;
}

static int check_output_mode(const struct policy *policy, const struct psb_limits *wanted,
			     struct psb_error *err)
{
	unsigned int fixed = policy->stated | policy->site.locked;

	if (wanted->on_output_limit == PSB_OUTPUT_TRUNCATE &&
	    policy->limits.on_output_limit == PSB_OUTPUT_KILL &&
	    (fixed & PART_BIT(PART_on_output_limit)))
		return psb_fail(
			err, PSB_E_POLICY, 0,
			"limits.on_output_limit: truncate is wider than the policy's kill%s",
			site_note(policy, PART_on_output_limit));
	return 0;
}

static int check_maximum(const struct policy *policy, size_t index, uint64_t wish,
			 struct psb_error *err)
{
	uint64_t most = limits_get(&policy->site.most, &limit_specs[index]);

	if (most == 0 || wish <= most)
		return 0;
	return psb_fail(err, PSB_E_POLICY, 0,
			"limits.%s: %llu is over the site's maximum of %llu; ask for less%s",
			limit_specs[index].name, (unsigned long long)wish, (unsigned long long)most,
			site_note(policy, (unsigned int)index));
}

/* What was not asked for is the default, or the site's maximum where that is lower. */
static void complete(struct policy *policy, size_t index, struct psb_limits *limits)
{
	const struct limit_spec *spec = &limit_specs[index];
	uint64_t most = limits_get(&policy->site.most, spec);
	uint64_t value = limits_get(limits, spec);
	uint64_t wall = limits->wall_ms;

	if (value == 0)
		value = spec->standard ? spec->standard : wall < spec->min ? spec->min : wall;
	if (most != 0 && value > most) {
		value = most;
		policy->site.lowered |= PART_BIT(index);
	}
	limits_set(limits, spec, value);
}

static int settle_limits(struct policy *policy, const struct psb_limits *given,
			 struct psb_limits *out, struct psb_error *err)
{
	struct psb_limits limits = policy->limits;
	struct psb_limits wanted;
	int error = limits_read(given, &wanted, err);

	for (size_t i = 0; !error && i < limit_spec_count; i++)
		error = check_maximum(policy, i, limits_get(&wanted, &limit_specs[i]), err);
	if (!error)
		error = check_output_mode(policy, &wanted, err);
	if (!error)
		error = policy_check_locked(policy, &policy->limits, &wanted, err);
	if (!error)
		error = limits_tighten(&policy->limits, &wanted, &limits, err);
	if (error)
		return error;
	limits.on_output_limit |= wanted.on_output_limit;
	for (size_t i = 0; i < limit_spec_count; i++)
		complete(policy, i, &limits);
	*out = limits;
	return 0;
}

int policy_open_with(const struct psb_options *options, const char *site_path, struct policy *out,
		     struct psb_limits *limits, struct psb_error *err)
{
	struct policy policy;
	int error = policy_read(options->policy, &policy, err);

	if (error)
		return error;
	error = apply_sites(&policy, options->site_policy, site_path, err);
	if (!error && policy.site.count > 0)
		error = policy_digest(&policy, err);
	if (!error)
		error = settle_floor(&policy, options->require, err);
	if (!error)
		error = settle_limits(&policy, &options->limits, limits, err);
	if (error)
		policy_free(&policy);
	else
		*out = policy;
	return error;
}

int policy_open(const struct psb_options *options, struct policy *policy, struct psb_limits *limits,
		struct psb_error *err)
{
	return policy_open_with(options, SITE_POLICY_PATH, policy, limits, err);
}
