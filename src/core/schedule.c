/*
 * Who runs next. Tasks wait in one queue, first come first served, whether a thread waits for them
 * or not; each gets an instance that is ready, and at most pool_size run at once. Whoever is in the
 * library moves the queue on, for everybody.
 *
 * Everything that fails here fails before a request's first byte, so another instance or another
 * engine may be tried. An engine that is given up while tasks run on it stays open until the last
 * of them has ended.
 */
#include <stdio.h>

#include "core/error.h"
#include "core/task.h"

#define READY_WAIT_US UINT64_C(60000000)
#define MAX_STARTS 3u
#define STAY_US UINT64_C(2000)
#define BUSY_US UINT64_C(1000)
#define WINDOW_US UINT64_C(50) /* longer, and we were interrupted: the guest may have run */

enum readiness { NOT_READY, IS_READY, LOOK_AGAIN };

void schedule_add(struct psb_sandbox *sandbox, struct task *task)
{
	task->state = TASK_QUEUED;
	task->queued_us = clock_us();
	if (sandbox->queue_timeout_us)
		task->queue_until_us = task->queued_us + sandbox->queue_timeout_us;
	TAILQ_INSERT_TAIL(&sandbox->queue, task, link);
	choose_restart(sandbox);
}

static bool is_used(const struct psb_sandbox *sandbox, const struct engine_template *tmpl)
{
	const struct task *task;

	TAILQ_FOREACH(task, &sandbox->running, link)
	if (task->tmpl == tmpl)
		return true;
	return false;
}

void schedule_release(struct psb_sandbox *sandbox, const struct engine_ops *ops,
		      struct engine_template *tmpl)
{
	if (is_used(sandbox, tmpl))
		return;
	watch_forget_template(sandbox, ops, tmpl);
	ops->template_close(tmpl);
}

void schedule_news(struct psb_sandbox *sandbox, const struct engine_ops *ops,
		   struct engine_template *tmpl)
{
	struct psb_error reason = {.message = ""};

	if (tmpl != sandbox->tmpl)
		(void)ops->turn(tmpl, NULL); /* given up already: its tasks see it by themselves */
	else if (pool_turn(sandbox, &reason))
		choose_drop(sandbox, reason.message);
}

/* After pool_turn() and pool_fill() found none that is ready. */
static enum readiness starve(struct psb_sandbox *sandbox)
{
	uint64_t now = clock_us();

	if (sandbox->starved_us == 0)
		sandbox->starved_us = now;
	if (now - sandbox->starved_us < READY_WAIT_US)
		return NOT_READY;
	sandbox->starved_us = 0;
	sandbox->proven = false;
	choose_drop(sandbox, "no instance was ready within 60 s");
	return LOOK_AGAIN;
}

static enum readiness find_ready(struct psb_sandbox *sandbox)
{
	struct psb_error reason = {.message = ""};

	if (pool_ready(sandbox) == 0 || pool_has_news(sandbox)) {
		if (pool_turn(sandbox, &reason) || pool_fill(sandbox, &reason)) {
			choose_drop(sandbox, reason.message);
			return LOOK_AGAIN;
		}
		if (pool_ready(sandbox) == 0)
			return starve(sandbox);
	}
	sandbox->starved_us = 0;
	return IS_READY;
}

/* Without its record in the audit log nothing runs. */
static void refuse(struct psb_sandbox *sandbox, struct task *task, const char *reason)
{
	TAILQ_REMOVE(&sandbox->queue, task, link);
	task_end_unrun(sandbox, task, PSB_UNAVAILABLE, "AuditLog", reason);
}

/* A thread waits for it and for nothing else, and nobody else is at work here: no other run, and no
 * instance that is made anew, as when one call follows the other at once. */
static bool runs_alone(const struct psb_sandbox *sandbox, const struct task *task)
{
	if (sandbox->refill_due && clock_us() < sandbox->left_us + BUSY_US)
		return false;
	return !task_is_async(task) && sandbox->running_count == 0 && sandbox->async_count == 0 &&
	       !TAILQ_NEXT(task, link) && !sandbox->single_use;
}

/* Taken up beside the thread that waits for it, or wherever there is room. */
static int send(struct psb_sandbox *sandbox, struct task *task, struct engine_instance *instance,
		struct psb_error *reason)
{
	const struct engine_ops *ops = sandbox->ops;
	struct placed *placed = ops->process ? ops->process(instance) : NULL;
	bool here = placed && runs_alone(sandbox, task) && place_pays(&sandbox->place) &&
		    place_here(&sandbox->place, placed);
	uint64_t start_us = clock_us();
	int error;

	sandbox->place.in_use = here;
	if (placed && !here)
		place_anywhere(&sandbox->place, placed);
	error = ops->start(instance, &task->job.limits, task->job.bytes.data, task->job.bytes.len,
			   reason);
	if (placed && placed->sees && placed->held)
		(clock_us() < start_us + WINDOW_US ? place_anywhere : place_threads_anywhere)(
			&sandbox->place, placed);
	task->stay_until_us = here ? clock_us() + STAY_US : 0;
	return error;
}

static void start(struct psb_sandbox *sandbox, struct task *task)
{
	const struct audit_run run = {
		.id = task->job.id,
		.tag = task->job.request.tag,
		.code = &task->job.code,
		.inputs_bytes = task->job.request.inputs ? task->job.request.inputs_len : 0,
		.file_count = task->job.request.file_count,
		.limits = &task->job.limits,
		.plan = &sandbox->plan,
	};
	struct psb_error reason = {.message = ""};
	struct engine_instance *instance;

	if (audit_accepted(sandbox->audit, &run, &reason)) {
		refuse(sandbox, task, reason.message);
		return;
	}
	instance = pool_take(sandbox);
	if (send(sandbox, task, instance, &reason) == 0) {
		TAILQ_REMOVE(&sandbox->queue, task, link);
		task_begin(sandbox, task, instance);
		return;
	}
	sandbox->ops->recycle(instance);
	audit_not_started(sandbox->audit, &run, reason.message);
	logger_say(&sandbox->logger, PSB_LOG_WARNING, "run %s: engine %s did not take it: %s",
		   task->job.id, sandbox->ops->name, reason.message);
	if (++task->starts < MAX_STARTS)
		return;
	task->starts = 0;
	sandbox->proven = false;
	choose_drop(sandbox, reason.message);
}

static bool expire(struct psb_sandbox *sandbox, struct task *task)
{
	char text[160];

	if (task->queue_until_us == 0 || clock_us() < task->queue_until_us)
		return false;
	(void)snprintf(text, sizeof(text),
		       "waited %llu ms for an instance, the queue's limit; give a larger pool_size "
		       "or queue_timeout_ms, or ask for less at once",
		       (unsigned long long)(sandbox->queue_timeout_us / 1000));
	TAILQ_REMOVE(&sandbox->queue, task, link);
	task_end_unrun(sandbox, task, PSB_UNAVAILABLE, "QueueTimeout", text);
	return true;
}

/* One step of the queue's head; false when it has to wait. */
static bool advance(struct psb_sandbox *sandbox, struct task *head)
{
	struct psb_error reason = {.message = ""};
	enum readiness found;

	if (expire(sandbox, head))
		return true;
	if (choose_engine(sandbox, &reason)) {
		TAILQ_REMOVE(&sandbox->queue, head, link);
		task_end_unrun(sandbox, head, PSB_UNAVAILABLE, "Unavailable", reason.message);
		return true;
	}
	watch_template(sandbox, sandbox->ops, sandbox->tmpl);
	if (sandbox->running_count >= sandbox->pool_size)
		return false;
	found = find_ready(sandbox);
	if (found == IS_READY)
		start(sandbox, head);
	return found != NOT_READY;
}

void schedule_turn(struct psb_sandbox *sandbox)
{
	struct task *head;

	while ((head = TAILQ_FIRST(&sandbox->queue)))
		if (!advance(sandbox, head))
			return;
	sandbox->starved_us = 0;
}

uint64_t schedule_deadline(const struct psb_sandbox *sandbox)
{
	const struct task *head = TAILQ_FIRST(&sandbox->queue);
	uint64_t due = UINT64_MAX;

	if (head && head->queue_until_us)
		due = head->queue_until_us;
	if (head && sandbox->starved_us && sandbox->starved_us + READY_WAIT_US < due)
		due = sandbox->starved_us + READY_WAIT_US;
	return due;
}
