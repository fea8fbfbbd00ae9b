/*
 * The asynchronous calls. A task that was submitted is moved on by whatever thread is in the
 * library: by psb_next(), or by a psb_execute() that waits for its own. Callbacks and outcomes come
 * from psb_next() alone.
 */
#include "core/error.h"
#include "core/task.h"

static struct task *next_due(const struct psb_sandbox *sandbox)
{
	uint64_t now = clock_us();
	struct task *task;

	TAILQ_FOREACH(task, &sandbox->running, link)
	if (task_is_async(task) && !task->busy &&
	    (task_has_news(task) || now >= task_deadline(task)))
		return task;
	return NULL;
}

void async_turn(struct psb_sandbox *sandbox)
{
	struct task *task;

	watch_turn(sandbox);
	do {
		while ((task = next_due(sandbox)))
			task_drive(sandbox, task);
		schedule_turn(sandbox);
	} while (next_due(sandbox));
}

int psb_fd(psb_sandbox *sandbox, struct psb_error *err)
{
	int error;

	if (!sandbox)
		return psb_fail(err, PSB_E_INVALID, 0, "psb_fd: the sandbox is NULL");
	error = sandbox_lock(sandbox, err);
	if (error)
		return error;
	error = watch_open(sandbox, err);
	sandbox_unlock(sandbox);
	return error ? error : sandbox->watch.fd;
}

/* Room in the queue, taken before the request is read and encoded. */
static int reserve(struct psb_sandbox *sandbox, struct psb_error *err)
{
	int error = sandbox_lock(sandbox, err);

	if (error)
		return error;
	if (sandbox->waiting_count >= sandbox->queue_length)
		error = psb_fail(err, PSB_E_BUSY, 0,
				 "psb_submit: %zu jobs wait for an instance or for psb_next(), "
				 "queue_length is %u; fetch outcomes first, or open the sandbox "
				 "with a longer queue",
				 sandbox->waiting_count, sandbox->queue_length);
	if (!error)
		error = watch_open(sandbox, err);
	if (!error)
		sandbox->waiting_count++;
	sandbox_unlock(sandbox);
	return error;
}

int psb_submit(psb_sandbox *sandbox, const struct psb_request *request, uint64_t *job,
	       struct psb_error *err)
{
	struct psb_error reason = {.message = ""};
	struct task *task = NULL;
	int error;

	if (!sandbox || !request || !job)
		return psb_fail(err, PSB_E_INVALID, 0,
				"psb_submit: sandbox, request or `job` is NULL");
	error = sandbox_check_owner(sandbox, err);
	if (error)
		return error;
	error = reserve(sandbox, &reason);
	if (error)
		return sandbox_refuse(sandbox, "psb_submit", request, &reason, err);
	error = task_new(sandbox, request, &task, &reason);
	sandbox_relock(sandbox);
	if (task) {
		task->number = ++sandbox->last_job;
		task->outcome->job = task->number;
		*job = task->number;
		sandbox->async_count++;
		schedule_add(sandbox, task);
		schedule_turn(sandbox);
	} else {
		sandbox->waiting_count--;
	}
	sandbox_unlock(sandbox);
	return error ? sandbox_refuse(sandbox, "psb_submit", request, &reason, err) : 0;
}

static struct task *find(struct task_list *list, uint64_t number)
{
	struct task *task;

	TAILQ_FOREACH(task, list, link)
	if (task->number == number)
		return task;
	return NULL;
}

/* An end that is in the pipe already was there before the cancel. */
static void cancel_running(struct psb_sandbox *sandbox, struct task *task)
{
	if (!task->busy)
		task_drive(sandbox, task);
	if (task->state != TASK_RUNNING)
		return;
	task->run.cancel = true;
	if (task->busy)
		task->due = true; /* its callback is at work: whoever holds it goes on */
	else
		task_drive(sandbox, task);
}

static void cancel(struct psb_sandbox *sandbox, uint64_t number)
{
	struct task *task = find(&sandbox->queue, number);

	if (task) {
		TAILQ_REMOVE(&sandbox->queue, task, link);
		task_end_unrun(sandbox, task, PSB_CANCELLED, "Cancelled",
			       "cancelled before it began");
		return;
	}
	task = find(&sandbox->running, number);
	if (task)
		cancel_running(sandbox, task);
	schedule_turn(sandbox);
}

int psb_cancel(psb_sandbox *sandbox, uint64_t job, struct psb_error *err)
{
	int error;

	if (!sandbox)
		return psb_fail(err, PSB_E_INVALID, 0, "psb_cancel: the sandbox is NULL");
	error = sandbox_lock(sandbox, err);
	if (error)
		return error;
	if (job == 0 || job > sandbox->last_job)
		error = psb_fail(err, PSB_E_NOT_FOUND, 0,
				 "psb_cancel: this sandbox has given no job the number %llu",
				 (unsigned long long)job);
	else
		cancel(sandbox, job);
	sandbox_unlock(sandbox);
	return error;
}

static struct task *next_unshown(const struct psb_sandbox *sandbox)
{
	struct task *task;

	TAILQ_FOREACH(task, &sandbox->running, link)
	if (task_is_async(task) && !task->busy && task_has_unshown(task))
		return task;
	return NULL;
}

static void show_running(struct psb_sandbox *sandbox)
{
	struct task *task;

	while ((task = next_unshown(sandbox))) {
		task->busy = true;
		sandbox_unlock(sandbox);
		task_show(task);
		sandbox_relock(sandbox);
		task->busy = false;
	}
}

static struct task *take_done(struct psb_sandbox *sandbox)
{
	struct task *task = TAILQ_FIRST(&sandbox->done);

	if (!task) {
		async_turn(sandbox);
		show_running(sandbox);
		task = TAILQ_FIRST(&sandbox->done);
	}
	if (task) {
		TAILQ_REMOVE(&sandbox->done, task, link);
		sandbox->waiting_count--;
	}
	return task;
}

int psb_next(psb_sandbox *sandbox, psb_outcome **out, struct psb_error *err)
{
	struct task *task;
	int error;

	if (!sandbox || !out)
		return psb_fail(err, PSB_E_INVALID, 0, "psb_next: sandbox or `out` is NULL");
	error = sandbox_lock(sandbox, err);
	if (error)
		return error;
	if (sandbox->watch.fd < 0) {
		sandbox_unlock(sandbox); /* nothing was ever submitted */
		return 0;
	}
	task = take_done(sandbox);
	sandbox_unlock(sandbox);
	if (!task)
		return 0;
	task_show(task);
	*out = task->outcome;
	task->outcome = NULL;
	task_retire(sandbox, task);
	return 1;
}
