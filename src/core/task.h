/*
 * A task: one execution from the call to its outcome, waited for by psb_execute() or fetched with
 * psb_next(). QUEUED -> RUNNING -> COLLECTING (its files, if asked for) -> DONE; a task that never
 * runs goes from QUEUED to DONE.
 *
 * `busy` marks a task whose driver works on it without the lock (a callback, the outcome): nobody
 * else may touch its run then. A psb_execute() task is driven by its own thread only.
 */
#ifndef PSB_CORE_TASK_H
#define PSB_CORE_TASK_H

#include "core/run.h"

enum task_state { TASK_QUEUED, TASK_RUNNING, TASK_COLLECTING, TASK_DONE };

/* A descriptor in watch.news_fd. */
struct watched {
	int fd;
	short events;
};

struct task {
	TAILQ_ENTRY(task) link; /* in the sandbox's queue, running or done */
	enum task_state state;
	bool busy;
	bool due;              /* asynchronous: look at it at the next turn */
	uint64_t number;       /* what psb_submit() gave; 0: a psb_execute() task */
	unsigned cancels;      /* psb_execute(): the sandbox's count at its beginning */
	struct waiter *waiter; /* of psb_execute(); else NULL */

	struct job job;
	struct run run;
	struct psb_outcome *outcome; /* made at the beginning: ending needs no memory */
	int error;                   /* of the call: there is no proper outcome */
	struct psb_error reason;

	const struct engine_ops *ops; /* from RUNNING on; perhaps no longer the open engine's */
	struct engine_template *tmpl;
	uint64_t queued_us;
	uint64_t queue_until_us; /* 0: as long as it takes */
	uint64_t collect_until_us;
	uint64_t stay_until_us; /* the answer is expected on the caller's processor; 0: is not */
	unsigned starts;        /* that failed */
	int workspace_fd;
	size_t shown[2]; /* output handed to the callback */
	struct watched watched[ENGINE_MAX_POLLFDS];
	size_t watched_count;
};

static inline bool task_is_async(const struct task *task)
{
	return task->number != 0;
}

/* Checks and encodes the request; needs no lock. On the heap, also for psb_execute(): a forked child
 * can then still walk the lists. */
int task_new(struct psb_sandbox *sandbox, const struct psb_request *request, struct task **out,
	     struct psb_error *err);
/* Both with its outcome, unless that was taken out. A retired task's memory may serve the next one:
 * the sandbox keeps one, with BUFFER_KEPT_BYTES at most for each of its buffers. */
void task_retire(struct psb_sandbox *sandbox, struct task *task);
void task_free(struct task *task);

/* The lock is held for all of these. */
void task_begin(struct psb_sandbox *sandbox, struct task *task, struct engine_instance *instance);
/* Moves a running task on, perhaps to DONE. Lets go of the lock for a while if it has ended. */
void task_drive(struct psb_sandbox *sandbox, struct task *task);
bool task_has_news(const struct task *task);
uint64_t task_deadline(const struct task *task); /* when it must be driven without any news */
/* Ends a queued task that did not run; it must not be in the queue any more. */
void task_end_unrun(struct psb_sandbox *sandbox, struct task *task, int status, const char *type,
		    const char *reason);
/* psb_close(): kills it and takes it off its list, without an outcome. */
void task_abort(struct psb_sandbox *sandbox, struct task *task);

/* Output that the callback has not had yet. task_show() hands it over, without the lock; the task
 * must be busy, or its caller's own. */
bool task_has_unshown(const struct task *task);
void task_show(struct task *task);

/* conclude.c: makes task->outcome of what the run left, or sets task->error. Without the lock. */
void task_conclude(struct task *task);

/* schedule.c */
void schedule_add(struct psb_sandbox *sandbox, struct task *task);
/* Starts what can be started and ends what has waited too long or cannot run. */
void schedule_turn(struct psb_sandbox *sandbox);
/* Takes in a template's news. */
void schedule_news(struct psb_sandbox *sandbox, const struct engine_ops *ops,
		   struct engine_template *tmpl);
/* Closes a template unless a task still runs on it: the last one then does. */
void schedule_release(struct psb_sandbox *sandbox, const struct engine_ops *ops,
		      struct engine_template *tmpl);
uint64_t schedule_deadline(const struct psb_sandbox *sandbox); /* UINT64_MAX: none */

/* watch.c */
void watch_init(struct watch *watch);
int watch_open(struct psb_sandbox *sandbox, struct psb_error *err); /* if it is not yet */
void watch_close(struct watch *watch);
void watch_template(struct psb_sandbox *sandbox, const struct engine_ops *ops,
		    const struct engine_template *tmpl);
void watch_forget_template(struct psb_sandbox *sandbox, const struct engine_ops *ops,
			   const struct engine_template *tmpl);
void watch_task(struct psb_sandbox *sandbox, struct task *task); /* as pollfds() says now */
void watch_forget_task(struct psb_sandbox *sandbox, struct task *task);
/* Asks the kernel for news: marks tasks due, takes in templates' news. Never waits. */
void watch_turn(struct psb_sandbox *sandbox);
/* Makes the host's descriptor readable, or not, and sets the timer. */
void watch_update(struct psb_sandbox *sandbox);

/* async.c: drives every asynchronous task that has news. May let go of the lock. */
void async_turn(struct psb_sandbox *sandbox);

#endif
