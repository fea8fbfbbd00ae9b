/*
 * The site policy's meaning: maxima for limits, members locked to one value, a floor, and a message
 * for whoever meets one of them. It is applied to each policy when a sandbox is opened; what it
 * left is remembered with the policy, so that later refusals can name it.
 *
 * Trust boundary: the file's owner is checked by site_load.c, its text here by the readers of
 * policies. Its rules come before the caller's: a caller that states something else is told so.
 */
#include "core/site.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

const char *site_note(const struct policy *policy, unsigned int part)
{
	const struct policy_site *site = &policy->site;
	bool bound = (site->locked & PART_BIT(part)) ||
		     (part < LIMIT_SPEC_COUNT && limits_get(&site->most, &limit_specs[part]) != 0);

	return bound ? site->note[site->by[part]] : "";
}

static int read_maxima(struct site *site, struct json_value value, struct psb_error *err)
{
	struct json_iter iter = json_iterate(value);
	struct json_value key;
	struct json_value item;
	unsigned int stated = 0;
	int error = 0;

	if (json_type(value) != JSON_OBJECT)
		return policy_wrong_type("maxima", value, "an object", err);
	while (!error && json_next_member(&iter, &key, &item))
		error = policy_read_limit(&site->maxima, &stated, key, item, err);
	if (!error && (stated & PART_BIT(PART_on_output_limit)))
		return psb_fail(
			err, PSB_E_POLICY, 0,
			"maxima.on_output_limit: is no number; lock it instead (locked.limits)");
	return error ? error : limits_read(&site->maxima, &site->maxima, err);
}

static int read_locked(struct site *site, struct json_value value, struct psb_error *err)
{
	struct json_iter iter = json_iterate(value);
	struct json_value key;
	struct json_value item;
	int error = 0;

	if (json_type(value) != JSON_OBJECT)
		return policy_wrong_type("locked", value, "an object", err);
	while (!error && json_next_member(&iter, &key, &item))
		error = policy_member(&site->locked, key, item, ".locked", POLICY_SHARED_MEMBERS,
				      err);
	return error;
}

static int read_member(struct site *site, struct json_value key, struct json_value value,
		       struct psb_error *err)
{
	if (json_equals(key, "message"))
		return policy_read_text("message", value, site->message, sizeof(site->message),
					err);
	if (json_equals(key, "maxima"))
		return read_maxima(site, value, err);
	if (json_equals(key, "locked"))
		return read_locked(site, value, err);
	if (json_equals(key, "require"))
		return floor_read_json("require", value, &site->floor, err);
	return policy_unknown_key("", key, "message, maxima, locked, require", err);
}

static int check_whole(const struct site *site, struct psb_error *err)
{
	for (size_t i = 0; i < limit_spec_count; i++) {
		uint64_t most = limits_get(&site->maxima, &limit_specs[i]);
		uint64_t fixed = limits_get(&site->locked.limits, &limit_specs[i]);

		if (most != 0 && fixed > most)
			return psb_fail(err, PSB_E_POLICY, 0,
					"locked.limits.%s: %llu is over its own maximum of %llu",
					limit_specs[i].name, (unsigned long long)fixed,
					(unsigned long long)most);
	}
	return policy_check_whole(&site->locked, err);
}

static int read_members(struct site *site, const uint8_t *text, size_t len, struct psb_error *err)
{
	struct json_value key;
	struct json_value value;
	struct json_iter iter;
	int error = policy_check_json("text", text, len, err);

	if (error)
		return error;
	iter = json_iterate(json_top(text, len));
	while (!error && json_next_member(&iter, &key, &value))
		error = read_member(site, key, value, err);
	return error ? error : check_whole(site, err);
}

int site_parse(const char *path, const uint8_t *text, size_t len, struct site *out,
	       struct psb_error *err)
{
	struct site site = {.message = ""};
	struct psb_error reason = {.message = ""};
	int error;

	(void)snprintf(site.path, sizeof(site.path), "%s", path);
	psb_limits_init(&site.maxima);
	psb_limits_init(&site.locked.limits);
	error = read_members(&site, text, len, &reason);
	if (error) {
		site_free(&site);
		return psb_fail(err, error, 0, "site policy %.120s: %.350s", path, reason.message);
	}
	*out = site;
	return 0;
}

void site_free(struct site *site)
{
	policy_free(&site->locked);
}

static void bind_part(struct policy *policy, unsigned int part)
{
	policy->site.locked |= PART_BIT(part);
	policy->site.by[part] = (uint8_t)(policy->site.count - 1);
}

static int refuse(const struct policy *policy, const char *path, struct psb_error *err)
{
	return psb_fail(err, PSB_E_POLICY, 0,
			"policy.%s: is locked to another value; leave it out of the policy%s", path,
			policy->site.note[policy->site.count - 1]);
}

static bool is_fixed(const struct policy *policy, unsigned int part)
{
	return ((policy->stated | policy->site.locked) & PART_BIT(part)) != 0;
}

static int lock_limit(const struct site *site, struct policy *policy, size_t index,
		      struct psb_error *err)
{
	const struct limit_spec *spec = &limit_specs[index];
	uint64_t value = limits_get(&site->locked.limits, spec);
	char path[48];

	if (value == 0)
		return 0;
	(void)snprintf(path, sizeof(path), "limits.%s", spec->name);
	if (is_fixed(policy, (unsigned int)index) && limits_get(&policy->limits, spec) != value)
		return refuse(policy, path, err);
	limits_set(&policy->limits, spec, value);
	bind_part(policy, (unsigned int)index);
	return 0;
}

/* The caller's own number is refused, one that came with a template is lowered. */
static int bound_limit(const struct site *site, struct policy *policy, size_t index,
		       struct psb_error *err)
{
	const struct limit_spec *spec = &limit_specs[index];
	uint64_t most = limits_get(&site->maxima, spec);
	uint64_t before = limits_get(&policy->site.most, spec);
	uint64_t value = limits_get(&policy->limits, spec);

	if (most == 0)
		return 0;
	if (before == 0 || most < before) {
		limits_set(&policy->site.most, spec, most);
		policy->site.by[index] = (uint8_t)(policy->site.count - 1);
	}
	if (value <= most)
		return 0;
	if (is_fixed(policy, (unsigned int)index))
		return psb_fail(err, PSB_E_POLICY, 0,
				"policy.limits.%s: %llu is over the site's maximum of %llu; ask "
				"for less%s",
				spec->name, (unsigned long long)value, (unsigned long long)most,
				policy->site.note[policy->site.count - 1]);
	limits_set(&policy->limits, spec, most);
	policy->site.lowered |= PART_BIT(index);
	return 0;
}

static int apply_limits(const struct site *site, struct policy *policy, struct psb_error *err)
{
	uint32_t mode = site->locked.limits.on_output_limit;
	int error = 0;

	for (size_t i = 0; !error && i < limit_spec_count; i++) {
		error = lock_limit(site, policy, i, err);
		if (!error)
			error = bound_limit(site, policy, i, err);
	}
	if (error || !(site->locked.stated & PART_BIT(PART_on_output_limit)))
		return error;
	if (is_fixed(policy, PART_on_output_limit) && policy->limits.on_output_limit != mode)
		return refuse(policy, "limits.on_output_limit", err);
	policy->limits.on_output_limit = mode;
	bind_part(policy, PART_on_output_limit);
	return 0;
}

static bool same_list(const struct name_list *a, const struct name_list *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	}
	return true;
}

static int lock_imports(struct site *site, struct policy *policy, struct psb_error *err)
{
	char *mine = policy->import_list;
	char *theirs = site->locked.import_list;

	if (!(site->locked.stated & PART_BIT(PART_imports)))
		return 0;
	if (is_fixed(policy, PART_imports) && (policy->import_mode != site->locked.import_mode ||
					       strcmp(mine, theirs ? theirs : "") != 0))
		return refuse(policy, "imports", err);
	policy->import_mode = site->locked.import_mode;
	if (theirs) {
		policy->import_list = theirs;
		site->locked.import_list = mine;
	} else {
		mine[0] = '\0';
	}
	bind_part(policy, PART_imports);
	return 0;
}

static int lock_files(const struct site *site, struct policy *policy, struct psb_error *err)
{
	const struct policy_files *mine = &policy->files;
	const struct policy_files *theirs = &site->locked.files;

	if (!(site->locked.stated & PART_BIT(PART_files)))
		return 0;
	if (is_fixed(policy, PART_files) &&
	    (mine->max_inputs != theirs->max_inputs || mine->output != theirs->output ||
	     mine->max_input_bytes != theirs->max_input_bytes))
		return refuse(policy, "files", err);
	policy->files = *theirs;
	bind_part(policy, PART_files);
	return 0;
}

static int lock_environment(struct site *site, struct policy *policy, struct psb_error *err)
{
	struct policy_environment mine = policy->environment;
	const struct policy_environment *theirs = &site->locked.environment;

	if (!(site->locked.stated & PART_BIT(PART_environment)))
		return 0;
	if (is_fixed(policy, PART_environment) &&
	    (mine.any != theirs->any || !same_list(&mine.allow, &theirs->allow) ||
	     !same_list(&mine.set, &theirs->set)))
		return refuse(policy, "environment", err);
	policy->environment = *theirs;
	site->locked.environment = mine;
	bind_part(policy, PART_environment);
	return 0;
}

static int lock_switch(const struct site *site, struct policy *policy, enum policy_part part,
		       const char *path, bool theirs, bool *mine, struct psb_error *err)
{
	if (!(site->locked.stated & PART_BIT(part)))
		return 0;
	if (is_fixed(policy, part) && *mine != theirs)
		return refuse(policy, path, err);
	*mine = theirs;
	bind_part(policy, part);
	return 0;
}

static int lock_sharing(const struct site *site, struct policy *policy, struct psb_error *err)
{
	int error = lock_switch(site, policy, PART_fresh_worker, "fresh_worker",
				site->locked.fresh_worker, &policy->fresh_worker, err);

	return error ? error
		     : lock_switch(site, policy, PART_share_image, "share_image",
				   site->locked.share_image, &policy->share_image, err);
}

int site_apply(struct site *site, struct policy *policy, struct psb_error *err)
{
	struct policy_site *bound = &policy->site;
	int error;

	if (bound->count == POLICY_MAX_SITES)
		return psb_fail(err, PSB_E_INVALID, 0, "site policy: more than %u",
				POLICY_MAX_SITES);
	(void)snprintf(bound->note[bound->count], sizeof(bound->note[0]), "; site policy %s%s%s",
		       site->path, site->message[0] ? ": " : "", site->message);
	bound->count++;
	floor_join(&bound->floor, &site->floor);
	if (site->floor.level > 0 || site->floor.controls != 0)
		bound->floor_by = bound->count - 1;
	error = apply_limits(site, policy, err);
	if (!error)
		error = lock_imports(site, policy, err);
	if (!error)
		error = lock_files(site, policy, err);
	if (!error)
		error = lock_environment(site, policy, err);
	if (!error)
		error = lock_sharing(site, policy, err);
	if (!error && (site->locked.stated & PART_BIT(PART_network)))
		bind_part(policy, PART_network);
	return error;
}
