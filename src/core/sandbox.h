/*
 * Inside of a sandbox handle: what was asked for, the chosen engine with its template, the pool of
 * instances, and the tasks that wait, run or have ended. Split over sandbox.c (life, lock),
 * choose.c (which engine), pool.c (instances), schedule.c (who runs next), task.c (one execution),
 * execute.c and async.c (the two ways to call) and watch.c (the host's descriptor).
 *
 * Locking: everything below `lock` is only touched while it is held. It is never held while a
 * thread waits, while a callback runs or while an outcome is put together; the one file that is
 * written under it is the audit log, before a run begins. Locks of the logger and of the audit log
 * are taken inside of it.
 */
#ifndef PSB_CORE_SANDBOX_H
#define PSB_CORE_SANDBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "audit/audit.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/logger.h"
#include "core/outcome.h"
#include "core/outcome_store.h"
#include "core/place.h"
#include "core/plan.h"
#include "core/policy.h"
#include "engines/engine.h"
#include "host_probe/speculation.h"
#include "metrics/metrics.h"

#define SANDBOX_MAX_POOL 64u
#define SANDBOX_MAX_ENGINES 8u

struct task;
TAILQ_HEAD(task_list, task);

/* A thread that sleeps inside the library. Made on demand, kept until the sandbox is closed, so
 * that psb_cancel_current() can walk the list from a signal handler. */
struct waiter {
	struct waiter *next; /* fixed once the waiter is in the list */
	int fd;              /* eventfd: readable to wake it */
	bool taken;
	bool asleep;
	bool rung;
	bool warming; /* psb_warm(): wake it when more instances are ready */
};

/* The host's descriptor and what is behind it (watch.c). All -1 until the first asynchronous
 * call. */
struct watch {
	int fd;       /* epoll: news_fd and ring_fd; what psb_fd() gives */
	int news_fd;  /* epoll: timer, templates, instances of asynchronous tasks */
	int ring_fd;  /* eventfd: something waits for psb_next() */
	int timer_fd; /* the nearest deadline */
	bool rung;
	const struct engine_template *tmpl; /* the one in news_fd that was opened last */
	bool incomplete;   /* a descriptor could not be watched: look every few milliseconds */
	uint64_t armed_us; /* what timer_fd is set to; 0: off */
};

struct candidate {
	const struct engine_ops *ops;
	bool warm;
	struct plan plan;
	char misfit[504]; /* why it cannot be planned; "" if it can */
};

struct psb_sandbox {
	pid_t owner;
	atomic_uint cancels;              /* how often psb_cancel_current() was called */
	_Atomic(struct waiter *) waiters; /* only ever grows, at its head */
	_Atomic(struct task *) spare;     /* cleared, for the next execution; NULL: none */
	struct outcome_store *outcomes;   /* NULL: each has memory of its own */

	struct policy policy;
	struct psb_limits limits; /* complete */
	char *engine_wish;        /* NULL: auto */
	char *rung;               /* NULL: the best */
	char *python;
	char *preload;
	struct buffer imports_text; /* the policy's list as each request brings it */
	char *tenant;
	char *libexec;
	struct logger logger;
	struct audit *audit; /* NULL: none */
	uint32_t pool_size;  /* ready instances, and the most that run at once */
	bool single_use;
	uint32_t queue_length;
	uint64_t queue_timeout_us; /* 0: none */

	pthread_mutex_t lock;
	struct task_list queue;   /* wait for an instance, first come first served */
	struct task_list running; /* have one */
	struct task_list done;    /* wait for psb_next() */
	size_t running_count;
	size_t async_count;   /* asynchronous tasks in queue and running */
	size_t waiting_count; /* asynchronous tasks in queue and done: what queue_length bounds */
	uint64_t last_job;
	uint64_t starved_us; /* since when the queue has waited for a ready instance; 0: not */
	size_t warming;      /* psb_warm() calls in progress */
	size_t ready_told;   /* how many ready instances they know of */
	struct watch watch;
	struct metrics metrics;

	struct speculation host;
	bool host_known;
	const struct engine_ops *const *engines; /* NULL-terminated */
	struct candidate candidates[SANDBOX_MAX_ENGINES];
	size_t candidate_count;
	size_t candidate_next;                               /* the first not yet tried */
	const struct engine_ops *later[SANDBOX_MAX_ENGINES]; /* not probed yet: weaker for sure */
	size_t later_count;
	bool later_seen;
	bool proven; /* the open engine has given a ready instance */

	const struct engine_ops *ops; /* NULL: no engine is open */
	struct plan plan;
	struct engine_template *tmpl;
	struct place place; /* of its processes */
	struct engine_instance *pool[SANDBOX_MAX_POOL];
	size_t pool_count;
	struct engine_instance *spent[SANDBOX_MAX_POOL]; /* ended; to be recycled */
	size_t spent_count;
	bool refill_due;        /* a synchronous call left the refill to the next one */
	uint64_t left_us;       /* when the last run was over */
	uint32_t pool_failures; /* in a row, before READY */
	char pool_failure[400]; /* why the last one failed; "" if unknown */
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

/* A call that cannot be accepted: goes into the audit log, the metrics and `err`. Gives its code. */
int sandbox_refuse(struct psb_sandbox *sandbox, const char *call, const struct psb_request *request,
		   const struct psb_error *reason, struct psb_error *err);
int sandbox_check_owner(const struct psb_sandbox *sandbox, struct psb_error *err);
/* Takes the lock. PSB_E_FORKED in a process that did not open the sandbox. */
int sandbox_lock(struct psb_sandbox *sandbox, struct psb_error *err);
void sandbox_relock(struct psb_sandbox *sandbox); /* the same, when that is known */
/* Wakes whoever has to look after something, then lets go. */
void sandbox_unlock(struct psb_sandbox *sandbox);

/* A waiter for the calling thread, until it clears `taken`. PSB_E_MEMORY, PSB_E_SYSTEM. */
int sandbox_waiter(struct psb_sandbox *sandbox, struct waiter **out, struct psb_error *err);
void waiter_ring(struct waiter *waiter);
/* Lets go of the lock, waits for the descriptors or the waiter, takes the lock again. There must be
 * room for the waiter's descriptor behind `count`. `unlocked` (or NULL) is called in between. */
struct waiting {
	struct pollfd *fds;
	size_t count;
	uint64_t until_us;
	uint64_t stay_until_us; /* on this processor; 0: no need to */
	void (*unlocked)(void *context);
	void *context;
};
void sandbox_wait(struct psb_sandbox *sandbox, struct waiter *waiter, const struct waiting *what);

/* choose.c */
/* Probes and plans the engines that were wished for, best first. PSB_E_NOT_FOUND. */
int choose_candidates(struct psb_sandbox *sandbox, struct psb_error *err);
/* Looks at those too that choose_candidates() left for later, and completes every candidate's plan
 * with the host's part; else only that of the engine that is opened is sure to have it. */
void choose_all(struct psb_sandbox *sandbox);
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
/* Recycles what is spent and asks for what is missing. */
int pool_fill(struct psb_sandbox *sandbox, struct psb_error *err);
/* Takes an instance that has ended; it is recycled with the next pool_fill(). */
void pool_spend(struct psb_sandbox *sandbox, struct engine_instance *instance);
void pool_clear(struct psb_sandbox *sandbox);
size_t pool_ready(const struct psb_sandbox *sandbox);
bool pool_has_news(const struct psb_sandbox *sandbox);
/* Takes in the open engine's news and frees instances that failed on their way. An error means
 * that the engine must be dropped. */
int pool_turn(struct psb_sandbox *sandbox, struct psb_error *err);
struct engine_instance *pool_take(struct psb_sandbox *sandbox); /* a ready one, or NULL */

#endif
