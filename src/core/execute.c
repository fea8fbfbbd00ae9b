/*
 * psb_execute(): a task and a thread that waits for it. While it waits it keeps the asynchronous
 * tasks of the sandbox moving too, since the host's only thread may be this one; their outcomes and
 * callbacks are left for psb_next().
 */
#include <poll.h>

#include "core/error.h"
#include "core/task.h"

#define IDLE_WAIT_US UINT64_C(1000000)
#define OTHERS_WAIT_US UINT64_C(10000)

static void check_cancel(struct psb_sandbox *sandbox, struct task *task)
{
	if (atomic_load(&sandbox->cancels) == task->cancels)
		return;
	task->run.cancel = true;
	if (task->state != TASK_QUEUED)
		return;
	TAILQ_REMOVE(&sandbox->queue, task, link);
	task_end_unrun(sandbox, task, PSB_CANCELLED, "Cancelled", "cancelled before it began");
}

static void step(struct psb_sandbox *sandbox, struct task *task)
{
	check_cancel(sandbox, task);
	if (task->state == TASK_RUNNING || task->state == TASK_COLLECTING)
		task_drive(sandbox, task);
	/* Whatever was taken in may be for the others. */
	if (!TAILQ_EMPTY(&sandbox->queue))
		schedule_turn(sandbox);
	if (sandbox->async_count > 0)
		async_turn(sandbox);
}

/* A callback of psb_next() keeps a task's pipes readable: no reason to wake for them. */
static bool others_are_busy(const struct psb_sandbox *sandbox)
{
	const struct task *task;

	TAILQ_FOREACH(task, &sandbox->running, link)
	if (task_is_async(task) && task->busy)
		return true;
	return false;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t wait_until(const struct task *task, bool others_busy)
{
	uint64_t now = clock_us();
	uint64_t until = task->queue_until_us ? task->queue_until_us : UINT64_MAX;

	if (task->state != TASK_QUEUED)
		until = task_deadline(task);
	else
		until = sooner(until, now + IDLE_WAIT_US);
	return others_busy ? sooner(until, now + OTHERS_WAIT_US) : until;
}

static void show(void *context)
{
	task_show(context);
}

/* The refill that the call before left over: now, while our own program runs. */
static void refill(struct psb_sandbox *sandbox)
{
	struct psb_error reason = {.message = ""};

	if (sandbox->refill_due && sandbox->ops && !sandbox->single_use &&
	    pool_fill(sandbox, &reason))
		choose_drop(sandbox, reason.message);
}

/* Beside us a guest waits for its processor while we look at what it printed: that can wait until it
 * has ended, or for STAY_US, unless somebody wants to see it. */
static bool wants_end_only(const struct task *task)
{
	return clock_us() < task->stay_until_us && !task->job.request.on_output;
}

/* The template's descriptor always comes first. */
static size_t gather(const struct psb_sandbox *sandbox, const struct task *task, struct pollfd *fds,
		     bool others_busy)
{
	const struct engine_ops *ops = task->state == TASK_QUEUED ? sandbox->ops : task->ops;
	struct pollfd watched[ENGINE_MAX_POLLFDS];
	size_t count = 0;
	size_t wanted = 0;

	fds[count++] = (struct pollfd){
		.fd = ops->template_fd(task->state == TASK_QUEUED ? sandbox->tmpl : task->tmpl),
		.events = POLLIN};
	if (task->state == TASK_RUNNING)
		wanted = ops->pollfds(task->run.instance, wants_end_only(task), watched);
	for (size_t i = 0; i < wanted; i++)
		if (watched[i].fd != fds[0].fd)
			fds[count++] = watched[i];
	if (sandbox->async_count > 0 && !others_busy)
		fds[count++] = (struct pollfd){.fd = sandbox->watch.news_fd, .events = POLLIN};
	return count;
}

/* It takes longer: its guest need not stay beside us. */
static void let_go(struct psb_sandbox *sandbox, struct task *task)
{
	if (task->state != TASK_RUNNING || !task->stay_until_us || clock_us() < task->stay_until_us)
		return;
	task->stay_until_us = 0;
	place_anywhere(&sandbox->place, task->ops->process(task->run.instance));
}

static void wait_for_news(struct psb_sandbox *sandbox, struct task *task)
{
	struct pollfd fds[ENGINE_MAX_POLLFDS + 3];
	bool others_busy = sandbox->async_count > 0 && others_are_busy(sandbox);
	struct engine_template *tmpl = task->state == TASK_QUEUED ? sandbox->tmpl : task->tmpl;
	const struct engine_ops *ops = task->state == TASK_QUEUED ? sandbox->ops : task->ops;
	struct waiting waiting = {.fds = fds,
				  .until_us = wait_until(task, others_busy),
				  .stay_until_us = task->stay_until_us,
				  .unlocked = task_has_unshown(task) ? show : NULL,
				  .context = task};

	if (!ops)
		return; /* it was dropped just now: the next step looks for another */
	waiting.count = gather(sandbox, task, fds, others_busy);
	sandbox_wait(sandbox, task->waiter, &waiting);
	/* Meanwhile another thread may have closed the template, unless our task runs on it. */
	if (fds[0].revents && (tmpl == sandbox->tmpl || tmpl == task->tmpl))
		schedule_news(sandbox, ops, tmpl);
}

static void run_task(struct psb_sandbox *sandbox, struct task *task)
{
	schedule_add(sandbox, task);
	for (;;) {
		step(sandbox, task);
		if (task->state == TASK_DONE)
			break;
		refill(sandbox);
		let_go(sandbox, task);
		wait_for_news(sandbox, task);
	}
	task->waiter->taken = false;
}

static int execute(struct psb_sandbox *sandbox, struct task *task, struct psb_error *err)
{
	int error;

	sandbox_relock(sandbox);
	error = sandbox_waiter(sandbox, &task->waiter, err);
	if (!error)
		run_task(sandbox, task);
	sandbox_unlock(sandbox);
	if (error)
		return error;
	task_show(task);
	if (task->error && err)
		*err = task->reason;
	return task->error;
}

int psb_execute(psb_sandbox *sandbox, const struct psb_request *request, psb_outcome **out,
		struct psb_error *err)
{
	struct psb_error reason = {.message = ""};
	unsigned int cancels;
	struct task *task;
	int error;

	if (!sandbox || !request || !out)
		return psb_fail(err, PSB_E_INVALID, 0,
				"psb_execute: sandbox, request or `out` is NULL");
	error = sandbox_check_owner(sandbox, err);
	if (error)
		return error;
	cancels = atomic_load(&sandbox->cancels);
	error = task_new(sandbox, request, &task, &reason);
	if (error)
		return sandbox_refuse(sandbox, "psb_execute", request, &reason, err);
	task->cancels = cancels;
	error = execute(sandbox, task, err);
	if (!error) {
		*out = task->outcome;
		task->outcome = NULL;
	}
	task_retire(sandbox, task);
	return error;
}
