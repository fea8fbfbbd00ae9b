/*
 * Which engine runs. Every engine that the host offers and the caller wished for is planned once,
 * which gives its level; they are tried by level, then those that are warm first, then in the
 * registry's order. Probing costs milliseconds of a cold start, so an engine that cannot reach the
 * level of one that is there already is looked at only when that one has been given up. One is taken if its plan meets the floor and its template opens. Everything
 * that fails here fails before a request's first byte, so the next candidate may be tried; each
 * failure is kept and shown in the outcome. The floor is checked for each candidate: no way leads
 * below it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/floor.h"
#include "core/level.h"
#include "core/sandbox.h"
#include "core/task.h"

static void note_fallback(struct psb_sandbox *sandbox, const char *engine, const char *reason)
{
	struct outcome_fallback *entry;

	sandbox->metrics.fallbacks++;
	logger_say(&sandbox->logger, PSB_LOG_WARNING, "engine %s is given up: %s", engine, reason);
	if (sandbox->fallback_count == OUTCOME_MAX_FALLBACKS)
		return;
	entry = &sandbox->fallback[sandbox->fallback_count++];
	(void)snprintf(entry->engine, sizeof(entry->engine), "%s", engine);
	(void)snprintf(entry->reason, sizeof(entry->reason), "%s", reason);
}

static bool goes_before(const struct candidate *a, const struct candidate *b)
{
	return a->plan.level > b->plan.level ||
	       (a->plan.level == b->plan.level && a->warm && !b->warm);
}

static void insert_candidate(struct psb_sandbox *sandbox, const struct candidate *candidate)
{
	size_t at = sandbox->candidate_count++;

	/* Those that were tried stay where they are. */
	while (at > sandbox->candidate_next &&
	       goes_before(candidate, &sandbox->candidates[at - 1])) {
		sandbox->candidates[at] = sandbox->candidates[at - 1];
		at--;
	}
	sandbox->candidates[at] = *candidate;
}

/* The plan borrows the sandbox's strings: the sandbox outlives it. */
static void plan_init(const struct psb_sandbox *sandbox, const struct engine_ops *ops,
		      const struct engine_probe *probe, struct plan *plan)
{
	memset(plan, 0, sizeof(*plan));
	plan->engine = ops->name;
	memcpy(plan->rung, probe->rung, sizeof(plan->rung));
	plan->limits = sandbox->limits;
	memcpy(plan->policy_name, sandbox->policy.name, sizeof(plan->policy_name));
	memcpy(plan->policy_sha256, sandbox->policy.sha256, sizeof(plan->policy_sha256));
	plan->import_mode = sandbox->policy.import_mode;
	plan->imports = buffer_text(&sandbox->imports_text);
	plan->python = sandbox->python;
	plan->preload = sandbox->preload;
	plan->libexec = sandbox->libexec;
	plan->pool_size = sandbox->pool_size;
	plan->single_use = sandbox->single_use;
	plan->fresh_worker = sandbox->policy.fresh_worker;
	plan->unshared_image = !sandbox->policy.share_image;
	plan->input_files = sandbox->policy.files.max_inputs > 0;
	plan->output_files = sandbox->policy.files.output;
}

static bool is_wished(const struct psb_sandbox *sandbox, const struct engine_ops *ops)
{
	return !sandbox->engine_wish || strcmp(sandbox->engine_wish, ops->name) == 0;
}

/* Another engine may come before one of this level. */
static bool has_rival(const struct psb_sandbox *sandbox, const struct engine_ops *ops, int level)
{
	for (size_t i = 0; sandbox->engines[i]; i++) {
		const struct engine_ops *other = sandbox->engines[i];

		if (other != ops && is_wished(sandbox, other) &&
		    (other->level_most == 0 || other->level_most >= level))
			return true;
	}
	return false;
}

/*
 * The host's mitigations are twenty files to read, a tenth of a millisecond, and matter from level 9
 * on. Where neither the floor nor the order of the engines depends on them, they are read while the
 * template starts: the cold path does not wait for them.
 */
static bool needs_host(const struct psb_sandbox *sandbox, const struct candidate *candidate)
{
	const struct floor *floor = &sandbox->policy.floor;
	struct plan at_best = candidate->plan;
	int level = level_by_table(&candidate->plan);

	if (floor->controls & (1u << CONTROL_hardware_speculation))
		return true;
	at_best.walls |= WALL_MITIGATIONS;
	return level_by_table(&at_best) >= 9 &&
	       (floor->level > level || has_rival(sandbox, candidate->ops, level));
}

static void settle(struct psb_sandbox *sandbox, struct plan *plan)
{
	if (!sandbox->host_known)
		speculation_read(SPECULATION_DIR, &sandbox->host);
	sandbox->host_known = true;
	level_settle(plan, &sandbox->host);
}

/* A plan that fails keeps the probe's level: its turn comes where it would have, with its reason. */
static void make_plan(struct psb_sandbox *sandbox, const struct engine_probe *probe,
		      struct candidate *candidate)
{
	struct psb_error reason = {.message = ""};

	plan_init(sandbox, candidate->ops, probe, &candidate->plan);
	candidate->warm = probe->warm;
	if (candidate->ops->plan(&candidate->plan, &reason)) {
		candidate->plan.level = probe->level;
		(void)snprintf(candidate->misfit, sizeof(candidate->misfit), "%s", reason.message);
		return;
	}
	if (needs_host(sandbox, candidate))
		settle(sandbox, &candidate->plan);
	else
		candidate->plan.level = level_by_table(&candidate->plan);
}

static bool look_at(struct psb_sandbox *sandbox, const struct engine_ops *ops)
{
	struct candidate candidate = {.ops = ops};
	struct engine_probe probe = {.available = false};

	ops->probe(sandbox->rung, &probe);
	if (!probe.available) {
		note_fallback(sandbox, ops->name, probe.missing);
	} else if (sandbox->candidate_count < SANDBOX_MAX_ENGINES) {
		make_plan(sandbox, &probe, &candidate);
		insert_candidate(sandbox, &candidate);
	}
	return probe.available;
}

static bool can_wait(const struct psb_sandbox *sandbox, const struct engine_ops *ops)
{
	for (size_t i = 0; i < sandbox->candidate_count; i++) {
		const struct candidate *candidate = &sandbox->candidates[i];

		if (!candidate->misfit[0] && candidate->plan.level > ops->level_most)
			return ops->level_most > 0;
	}
	return false;
}

int choose_candidates(struct psb_sandbox *sandbox, struct psb_error *err)
{
	bool known = !sandbox->engine_wish;

	for (size_t i = 0; sandbox->engines[i]; i++) {
		const struct engine_ops *ops = sandbox->engines[i];

		if (!is_wished(sandbox, ops))
			continue;
		known = true;
		if (can_wait(sandbox, ops) && sandbox->later_count < SANDBOX_MAX_ENGINES)
			sandbox->later[sandbox->later_count++] = ops;
		else
			(void)look_at(sandbox, ops);
	}
	sandbox->probe_failures = sandbox->fallback_count;
	if (!known)
		return psb_fail(err, PSB_E_NOT_FOUND, 0,
				"engine: there is no \"%s\" in this build; use auto or one that "
				"`pysandbox engines` lists",
				sandbox->engine_wish);
	return 0;
}

/* Once until the next choose_restart(), after which those that are missing are missing again. */
static void look_at_the_rest(struct psb_sandbox *sandbox)
{
	size_t missing = 0;

	if (sandbox->later_seen)
		return;
	sandbox->later_seen = true;
	for (size_t i = 0; i < sandbox->later_count; i++)
		if (!look_at(sandbox, sandbox->later[i]))
			sandbox->later[missing++] = sandbox->later[i];
	sandbox->later_count = missing;
}

void choose_all(struct psb_sandbox *sandbox)
{
	look_at_the_rest(sandbox);
	for (size_t i = 0; i < sandbox->candidate_count; i++)
		settle(sandbox, &sandbox->candidates[i].plan);
}

int choose_fits(const struct psb_sandbox *sandbox, const struct candidate *candidate,
		struct psb_error *err)
{
	const struct policy_site *site = &sandbox->policy.site;
	struct psb_error reason = {.message = ""};

	if (candidate->misfit[0])
		return psb_fail(err, PSB_E_UNSUPPORTED, 0, "%s", candidate->misfit);
	if (!floor_met(&candidate->plan, &sandbox->policy.floor, &reason))
		return 0;
	return psb_fail(err, PSB_E_UNSUPPORTED, 0, "%s%s", reason.message,
			floor_met(&candidate->plan, &site->floor, NULL) ? site->note[site->floor_by]
									: "");
}

static int open_candidate(struct psb_sandbox *sandbox, const struct candidate *candidate,
			  struct psb_error *err)
{
	int error = choose_fits(sandbox, candidate, err);

	if (error)
		return error;
	sandbox->plan = candidate->plan;
	place_learn(&sandbox->place);
	error = candidate->ops->template_open(&sandbox->plan, &sandbox->tmpl, err);
	if (error)
		return error;
	sandbox->ops = candidate->ops;
	settle(sandbox, &sandbox->plan);
	logger_say(&sandbox->logger, PSB_LOG_INFO,
		   "engine %s is open: level %d, rung %s, policy %s", sandbox->ops->name,
		   sandbox->plan.level, sandbox->plan.rung[0] ? sandbox->plan.rung : "-",
		   sandbox->plan.policy_name);
	return 0;
}

/* Every engine that was looked at, with its own reason; as far as the message has room. */
static int none_left(const struct psb_sandbox *sandbox, struct psb_error *err)
{
	char text[400] = "";
	size_t len = 0;

	for (size_t i = 0; i < sandbox->fallback_count && len < sizeof(text) - 1; i++) {
		int more = snprintf(text + len, sizeof(text) - len, "%s%s: %s", i ? "; " : "",
				    sandbox->fallback[i].engine, sandbox->fallback[i].reason);

		len += more > 0 ? (size_t)more : 0;
	}
	return psb_fail(err, PSB_E_ENGINE, 0, "no engine can run this here: %s",
			text[0] ? text : "none is built in");
}

static const struct candidate *next_candidate(struct psb_sandbox *sandbox)
{
	if (sandbox->candidate_next > 0)
		look_at_the_rest(sandbox); /* the first was the one they waited for */
	if (sandbox->candidate_next == sandbox->candidate_count)
		return NULL;
	return &sandbox->candidates[sandbox->candidate_next++];
}

int choose_engine(struct psb_sandbox *sandbox, struct psb_error *err)
{
	const struct candidate *candidate;

	while (!sandbox->ops && (candidate = next_candidate(sandbox))) {
		struct psb_error reason = {.message = ""};

		if (open_candidate(sandbox, candidate, &reason))
			note_fallback(sandbox, candidate->ops->name, reason.message);
	}
	return sandbox->ops ? 0 : none_left(sandbox, err);
}

void choose_drop(struct psb_sandbox *sandbox, const char *reason)
{
	if (!sandbox->ops)
		return;
	pool_clear(sandbox);
	if (sandbox->proven) {
		logger_say(&sandbox->logger, PSB_LOG_WARNING, "engine %s is opened anew: %s",
			   sandbox->ops->name, reason);
		sandbox->candidate_next--;
	} else
		note_fallback(sandbox, sandbox->ops->name, reason);
	sandbox->proven = false;
	schedule_release(sandbox, sandbox->ops, sandbox->tmpl);
	sandbox->tmpl = NULL;
	sandbox->ops = NULL;
	sandbox->pool_failures = 0;
}

void choose_restart(struct psb_sandbox *sandbox)
{
	if (sandbox->ops)
		return;
	if (sandbox->candidate_next < sandbox->candidate_count)
		return;
	sandbox->candidate_next = 0;
	sandbox->later_seen = false;
	sandbox->fallback_count = sandbox->probe_failures;
}
