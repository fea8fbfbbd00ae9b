/*
 * Inside of a sandbox handle: what was asked for, the chosen engine with its template, and the
 * pool of instances. Split over sandbox.c (life), choose.c (which engine), pool.c (instances) and
 * execute.c (one run).
 */
#ifndef PSB_CORE_SANDBOX_H
#define PSB_CORE_SANDBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "core/clock.h"
#include "core/outcome.h"
#include "core/plan.h"
#include "core/policy.h"
#include "engines/engine.h"
#include "host_probe/speculation.h"

#define SANDBOX_MAX_POOL 64u
#define SANDBOX_MAX_ENGINES 8u

enum run_state { RUN_IDLE, RUN_ACTIVE, RUN_CANCELLED };

struct candidate {
	const struct engine_ops *ops;
	bool warm;
	struct plan plan;
	char misfit[504]; /* why it cannot be planned; "" if it can */
};

struct psb_sandbox {
	pid_t owner;
	atomic_flag busy;
	atomic_int run_state; /* enum run_state; psb_cancel_current() moves ACTIVE to CANCELLED */
	int wake_fd;          /* eventfd written by psb_cancel_current() */
	bool may_spin;        /* more than one CPU */

	struct policy policy;
	struct psb_limits limits; /* complete */
	char *engine_wish;        /* NULL: auto */
	char *rung;               /* NULL: the best */
	char *python;
	char *preload;
	char *tenant;
	char *libexec;
	uint32_t pool_size;
	bool single_use;

	struct speculation host;
	bool host_known;
	const struct engine_ops *const *engines; /* NULL-terminated */
	struct candidate candidates[SANDBOX_MAX_ENGINES];
	size_t candidate_count;
	size_t candidate_next; /* the first not yet tried */
	bool proven;           /* the open engine has given a ready instance */

	const struct engine_ops *ops; /* NULL: no engine is open */
	struct plan plan;
	struct engine_template *tmpl;
	struct engine_instance *pool[SANDBOX_MAX_POOL];
	size_t pool_count;
	uint32_t pool_failures; /* in a row, before READY */
	struct outcome_fallback fallback[OUTCOME_MAX_FALLBACKS];
	size_t fallback_count;
	size_t probe_failures; /* leading entries of fallback that stand for good */
};

/* sandbox.c: as psb_open(), with a list of engines in place of the registry. Not exported. */
int sandbox_open_with(const struct psb_options *options, const struct engine_ops *const *engines,
		      psb_sandbox **out, struct psb_error *err);

/* The same without starting an engine: options checked, candidates planned. psb_close() frees it. */
int sandbox_plan_with(const struct psb_options *options, const struct engine_ops *const *engines,
		      psb_sandbox **out, struct psb_error *err);

/* A handle serves one thread at a time and only the process that opened it: PSB_E_FORKED,
 * PSB_E_BUSY. */
int sandbox_enter(struct psb_sandbox *sandbox, struct psb_error *err);
void sandbox_leave(struct psb_sandbox *sandbox);
void sandbox_drain_wake(const struct psb_sandbox *sandbox); /* makes wake_fd unreadable again */

/* choose.c */
/* Probes and plans every engine that was wished for, best first. PSB_E_NOT_FOUND. */
int choose_candidates(struct psb_sandbox *sandbox, struct psb_error *err);
/* Completes every candidate's plan with the host's part; else only that of the engine that is
 * opened is sure to have it. */
void choose_settle(struct psb_sandbox *sandbox);
/* Does it fit profile, files, limits and floor? PSB_E_UNSUPPORTED says what is short. */
int choose_fits(const struct psb_sandbox *sandbox, const struct candidate *candidate,
		struct psb_error *err);
/* Opens the next candidate that starts and meets the floor, if none is open. PSB_E_ENGINE when
 * none is left; the reasons are in sandbox->fallback. */
int choose_engine(struct psb_sandbox *sandbox, struct psb_error *err);
/* Closes the open engine. One that has worked before may be opened once more (its keeper was
 * killed, say); else the reason is noted and the next choose_engine() goes on behind it. */
void choose_drop(struct psb_sandbox *sandbox, const char *reason);
void choose_restart(struct psb_sandbox *sandbox); /* begin again with the best candidate */

/* pool.c */
int pool_fill(struct psb_sandbox *sandbox, struct psb_error *err);
void pool_clear(struct psb_sandbox *sandbox);
size_t pool_ready(const struct psb_sandbox *sandbox);
/* Waits until `wanted` are ready. 0; PSB_E_ENGINE when no engine is left; PSB_E_BUSY when the
 * deadline passed or the run was cancelled first. */
int pool_wait(struct psb_sandbox *sandbox, size_t wanted, uint64_t deadline_us,
	      struct psb_error *err);
struct engine_instance *pool_take(struct psb_sandbox *sandbox); /* a ready one, or NULL */

#endif
