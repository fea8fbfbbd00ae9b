/*
 * Which engine runs: candidates by level, each planned and checked against the floor before its
 * template is opened. Everything that fails here fails before a request's first byte, so the next
 * candidate may be tried; each failure is kept and shown in the outcome.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
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

static void insert_by_level(struct psb_sandbox *sandbox, struct candidate candidate)
{
	size_t at = sandbox->candidate_count++;

	while (at > 0 && sandbox->candidates[at - 1].level < candidate.level) {
		sandbox->candidates[at] = sandbox->candidates[at - 1];
		at--;
	}
	sandbox->candidates[at] = candidate;
}

static struct candidate candidate_of(const struct engine_ops *ops, const struct engine_probe *probe)
{
	struct candidate candidate = {.ops = ops, .level = probe->level};

	memcpy(candidate.rung, probe->rung, sizeof(candidate.rung));
	return candidate;
}

int choose_candidates(struct psb_sandbox *sandbox, struct psb_error *err)
{
	bool known = !sandbox->engine_wish;

	for (size_t i = 0; sandbox->engines[i]; i++) {
		const struct engine_ops *ops = sandbox->engines[i];
		struct engine_probe probe = {.available = false};

		if (sandbox->engine_wish && strcmp(sandbox->engine_wish, ops->name) != 0)
			continue;
		known = true;
		ops->probe(sandbox->rung, &probe);
		if (!probe.available)
			note_fallback(sandbox, ops->name, probe.missing);
		else if (sandbox->candidate_count < SANDBOX_MAX_ENGINES)
			insert_by_level(sandbox, candidate_of(ops, &probe));
	}
	sandbox->probe_failures = sandbox->fallback_count;
	if (!known)
		return psb_fail(err, PSB_E_NOT_FOUND, 0,
				"engine: there is no \"%s\" in this build; use auto or one that "
				"`pysandbox engines` lists",
				sandbox->engine_wish);
	return 0;
}

/* The plan borrows the sandbox's strings: the sandbox outlives it. */
static void plan_init(const struct psb_sandbox *sandbox, const struct candidate *candidate,
		      struct plan *plan)
{
	memset(plan, 0, sizeof(*plan));
	plan->engine = candidate->ops->name;
	memcpy(plan->rung, candidate->rung, sizeof(plan->rung));
	plan->limits = sandbox->limits;
	memcpy(plan->policy_name, sandbox->policy.name, sizeof(plan->policy_name));
	memcpy(plan->policy_sha256, sandbox->policy.sha256, sizeof(plan->policy_sha256));
	plan->import_mode = sandbox->policy.import_mode;
	plan->import_list = sandbox->policy.import_list;
	plan->python = sandbox->python;
	plan->preload = sandbox->preload;
	plan->libexec = sandbox->libexec;
	plan->pool_size = sandbox->pool_size;
	plan->single_use = sandbox->single_use;
}

static int check_floor(const struct psb_sandbox *sandbox, const struct plan *plan,
		       struct psb_error *err)
{
	int error = 0;

	if (sandbox->require)
		error = floor_met(plan, sandbox->require, err);
	if (!error && (!sandbox->require || sandbox->policy.require_fixed))
		error = floor_met(plan, sandbox->policy.require, err);
	return error;
}

static int open_candidate(struct psb_sandbox *sandbox, const struct candidate *candidate,
			  struct psb_error *err)
{
	const struct engine_ops *ops = candidate->ops;
	int error;

	plan_init(sandbox, candidate, &sandbox->plan);
	error = ops->plan(&sandbox->plan, err);
	if (!error)
		error = check_floor(sandbox, &sandbox->plan, err);
	if (!error)
		error = ops->template_open(&sandbox->plan, &sandbox->tmpl, err);
	if (error)
		return error;
	sandbox->ops = ops;
	logger_say(&sandbox->logger, PSB_LOG_INFO,
		   "engine %s is open: level %d, rung %s, policy %s", ops->name,
		   sandbox->plan.level, sandbox->plan.rung[0] ? sandbox->plan.rung : "-",
		   sandbox->plan.policy_name);
	return 0;
}

int choose_engine(struct psb_sandbox *sandbox, struct psb_error *err)
{
	while (!sandbox->ops && sandbox->candidate_next < sandbox->candidate_count) {
		const struct candidate *candidate;
		struct psb_error reason = {.message = ""};

		candidate = &sandbox->candidates[sandbox->candidate_next++];
		if (open_candidate(sandbox, candidate, &reason))
			note_fallback(sandbox, candidate->ops->name, reason.message);
	}
	if (sandbox->ops)
		return 0;
	return psb_fail(err, PSB_E_ENGINE, 0, "no engine can run this here: %s%s%s",
			sandbox->fallback_count ? sandbox->fallback[0].engine : "none is built in",
			sandbox->fallback_count ? ": " : "",
			sandbox->fallback_count
				? sandbox->fallback[sandbox->fallback_count - 1].reason
				: "");
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
	sandbox->fallback_count = sandbox->probe_failures;
}
