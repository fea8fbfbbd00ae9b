/*
 * One execution. The clock of `queue_ms` ends where the run begins, that of the run is the
 * engine's. From task_begin() on nothing is ever tried again.
 */
#include "core/task.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/error.h"

#define COLLECT_WAIT_US UINT64_C(10000000)

void task_free(struct task *task)
{
	if (!task)
		return;
	run_free(&task->run);
	job_free(&task->job);
	close_fd(&task->workspace_fd);
	psb_outcome_free(task->outcome);
	free(task);
}

/* One that is as new. The spare one is taken and given back without the lock. */
static struct task *blank(struct psb_sandbox *sandbox)
{
	struct task *task = atomic_exchange(&sandbox->spare, NULL);

	if (!task)
		task = calloc(1, sizeof(*task));
	if (!task)
		return NULL;
	task->job.output_fd = -1;
	task->workspace_fd = -1;
	return task;
}

/* Only memory goes from one execution to the next: whatever was in it is wiped here, not when it is
 * wanted again. */
static void clear(struct task *task)
{
	run_clear(&task->run);
	job_clear(&task->job);
	close_fd(&task->workspace_fd);
	psb_outcome_free(task->outcome);
	*task = (struct task){.run = task->run, .job = task->job, .workspace_fd = -1};
}

void task_retire(struct psb_sandbox *sandbox, struct task *task)
{
	struct task *none = NULL;

	clear(task);
	if (!atomic_compare_exchange_strong(&sandbox->spare, &none, task))
		task_free(task);
}

static int prepare(const struct psb_sandbox *sandbox, const struct psb_request *request,
		   struct task *task, struct psb_error *err)
{
	int error = job_build(sandbox, request, &task->job, err);

	if (error)
		return error;
	task->outcome = outcome_new(sandbox->outcomes, task->job.request.tag);
	if (!task->outcome || run_init(&task->run, &task->job))
		return psb_fail(err, PSB_E_MEMORY, 0, "execute: out of memory");
	memcpy(task->outcome->id, task->job.id, sizeof(task->outcome->id));
	return 0;
}

int task_new(struct psb_sandbox *sandbox, const struct psb_request *request, struct task **out,
	     struct psb_error *err)
{
	struct task *task = blank(sandbox);
	int error;

	if (!task)
		return psb_fail(err, PSB_E_MEMORY, 0, "execute: out of memory");
	error = prepare(sandbox, request, task, err);
	if (error)
		task_retire(sandbox, task);
	else
		*out = task;
	return error;
}

static void take_fallbacks(const struct psb_sandbox *sandbox, struct psb_outcome *outcome)
{
	memcpy(outcome->fallback, sandbox->fallback,
	       sandbox->fallback_count * sizeof(sandbox->fallback[0]));
	outcome->fallback_count = sandbox->fallback_count;
}

void task_begin(struct psb_sandbox *sandbox, struct task *task, struct engine_instance *instance)
{
	task->ops = sandbox->ops;
	task->tmpl = sandbox->tmpl;
	task->state = TASK_RUNNING;
	task->outcome->queue_us = clock_us() - task->queued_us;
	take_fallbacks(sandbox, task->outcome);
	outcome_set_engine(task->outcome, &sandbox->plan);
	run_begin(&task->run, sandbox->ops, instance);
	TAILQ_INSERT_TAIL(&sandbox->running, task, link);
	sandbox->running_count++;
	if (task_is_async(task)) {
		sandbox->waiting_count--;
		watch_task(sandbox, task);
	} else {
		waiter_ring(task->waiter);
	}
}

/* An asynchronous task is owed an outcome whatever happens, and the audit log an end. Without memory
 * it has no text. */
static void excuse(struct task *task)
{
	struct psb_outcome *outcome = task->outcome;

	if (!task->error)
		return;
	outcome->has_result = false;
	outcome->verdict = (struct verdict){.status = PSB_UNKNOWN, .limit = LIMIT_NONE};
	(void)outcome_set_error(outcome, "HostError", "%s", task->reason.message);
}

static void end(struct psb_sandbox *sandbox, struct task *task)
{
	task->state = TASK_DONE;
	metrics_outcome(&sandbox->metrics, task->outcome);
	logger_say(&sandbox->logger, PSB_LOG_DEBUG, "run %s: %s after %llu us", task->job.id,
		   psb_status_name(task->outcome->verdict.status),
		   (unsigned long long)task->outcome->wall_us);
	if (!task_is_async(task))
		return;
	sandbox->async_count--;
	sandbox->waiting_count++;
	TAILQ_INSERT_TAIL(&sandbox->done, task, link);
}

void task_end_unrun(struct psb_sandbox *sandbox, struct task *task, int status, const char *type,
		    const char *reason)
{
	struct psb_outcome *outcome = task->outcome;

	outcome->queue_us = clock_us() - task->queued_us;
	take_fallbacks(sandbox, outcome);
	outcome->verdict = (struct verdict){.status = status, .limit = LIMIT_NONE};
	task->error = outcome_set_error(outcome, type, "%s", reason);
	if (task->error)
		(void)psb_fail(&task->reason, task->error, 0, "execute: out of memory");
	if (task_is_async(task))
		sandbox->waiting_count--;
	else
		waiter_ring(task->waiter);
	/* Without memory its status still stands: it is right, only the text is missing. */
	if (task_is_async(task))
		task->error = 0;
	audit_ended(sandbox->audit, outcome);
	end(sandbox, task);
}

/* Whoever called psb_execute() waits for an outcome, not for the next instance: as long as others
 * are ready or on their way, asking for it is left to the next call. */
static bool may_refill_later(const struct psb_sandbox *sandbox, const struct task *task)
{
	return !task_is_async(task) && sandbox->pool_count > 0 && TAILQ_EMPTY(&sandbox->queue);
}

/* Off the running list; the instance is on its way out. */
static void leave(struct psb_sandbox *sandbox, struct task *task)
{
	struct engine_instance *instance = task->run.instance;
	struct psb_error reason = {.message = ""};

	watch_forget_task(sandbox, task);
	task->run.instance = NULL;
	TAILQ_REMOVE(&sandbox->running, task, link);
	sandbox->running_count--;
	if (task->tmpl != sandbox->tmpl) {
		task->ops->recycle(instance);
		schedule_release(sandbox, task->ops, task->tmpl);
		return;
	}
	pool_spend(sandbox, instance);
	sandbox->refill_due = true;
	sandbox->left_us = clock_us();
	if (!sandbox->single_use && !may_refill_later(sandbox, task) && pool_fill(sandbox, &reason))
		choose_drop(sandbox, reason.message);
}

/* False while the dead guest's files cannot be had yet. */
static bool has_workspace(struct task *task)
{
	struct psb_error reason = {.message = ""};
	int fd;

	if (task->job.output_fd < 0)
		return true;
	/* The program may have said that it ended well: without its files that is not so. */
	if (task->run.evidence.instance_lost) {
		if (frame_decoder_ended(task->run.decoder))
			task->error = psb_fail(&task->reason, PSB_E_SYSTEM, 0,
					       "output: the engine died before the files were had");
		return true;
	}
	fd = task->ops->workspace(task->run.instance, &reason);
	if (fd == PSB_E_BUSY && clock_us() < task->collect_until_us)
		return false;
	task->workspace_fd = fd >= 0 ? fd : -1;
	if (fd < 0)
		task->error = psb_fail(
			&task->reason, PSB_E_SYSTEM, 0, "output: no workspace: %.400s",
			fd == PSB_E_BUSY ? "the guest did not end in time" : reason.message);
	return true;
}

void task_drive(struct psb_sandbox *sandbox, struct task *task)
{
	task->due = false;
	if (task->state == TASK_RUNNING) {
		if (!run_step(&task->run)) {
			watch_task(sandbox, task);
			return;
		}
		run_finish(&task->run);
		if (task->stay_until_us)
			place_judge(&sandbox->place, task->run.evidence.wall_us,
				    task->run.evidence.cpu_us);
		task->state = TASK_COLLECTING;
		task->collect_until_us = clock_us() + COLLECT_WAIT_US;
		watch_forget_task(sandbox, task);
	}
	if (!has_workspace(task))
		return;
	task->busy = true;
	sandbox_unlock(sandbox);
	task_conclude(task);
	excuse(task);
	audit_ended(sandbox->audit, task->outcome);
	sandbox_relock(sandbox);
	task->busy = false;
	leave(sandbox, task);
	end(sandbox, task);
}

bool task_has_news(const struct task *task)
{
	return task->due || (task->ops->has_news && task->ops->has_news(task->run.instance));
}

uint64_t task_deadline(const struct task *task)
{
	return task->state == TASK_COLLECTING ? task->collect_until_us : task->run.deadline_us;
}

/* Not for one whose end has been recorded already. */
static void record_abort(struct psb_sandbox *sandbox, struct task *task)
{
	struct psb_outcome *outcome = task->outcome;

	outcome->verdict = (struct verdict){.status = PSB_CANCELLED, .limit = LIMIT_NONE};
	(void)outcome_set_error(outcome, "Cancelled", "the sandbox was closed");
	audit_ended(sandbox->audit, outcome);
}

void task_abort(struct psb_sandbox *sandbox, struct task *task)
{
	if (task->state != TASK_DONE)
		record_abort(sandbox, task);
	if (task->state == TASK_RUNNING || task->state == TASK_COLLECTING) {
		watch_forget_task(sandbox, task);
		task->ops->recycle(task->run.instance);
		TAILQ_REMOVE(&sandbox->running, task, link);
		if (task->tmpl != sandbox->tmpl)
			schedule_release(sandbox, task->ops, task->tmpl);
	} else {
		TAILQ_REMOVE(task->state == TASK_QUEUED ? &sandbox->queue : &sandbox->done, task,
			     link);
	}
}

/* The text moves into the outcome when the run has been concluded. */
static const struct buffer *output_of(const struct task *task, int stream)
{
	return task->state == TASK_DONE ? &task->outcome->output[stream]
					: &task->run.streams[stream].kept;
}

bool task_has_unshown(const struct task *task)
{
	return task->job.request.on_output && (output_of(task, 0)->len > task->shown[0] ||
					       output_of(task, 1)->len > task->shown[1]);
}

void task_show(struct task *task)
{
	const struct psb_request *request = &task->job.request;

	for (int i = 0; request->on_output && i < 2; i++) {
		const struct buffer *text = output_of(task, i);
		size_t from = task->shown[i];

		task->shown[i] = text->len;
		if (text->len > from)
			request->on_output(request->context, i == 0 ? PSB_STDOUT : PSB_STDERR,
					   (const char *)text->data + from, text->len - from);
	}
}
