/*
 * psb_execute(): one job from call to outcome. Waiting for an instance may change the engine;
 * from start() on nothing is ever tried again. The clock of `queue_ms` ends at start(), that of
 * the run is the engine's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json_check.h"
#include "core/run.h"

#define READY_WAIT_US UINT64_C(60000000)
#define MAX_STARTS 3

/* A result counts only if the guest announced it and it is JSON. */
static int take_result(struct run *run, const struct guest_report *report,
		       struct psb_outcome *outcome)
{
	size_t len = 0;
	const uint8_t *text = frame_decoder_result(run->decoder, &len);
	int error;

	if (!report->present || !report->has_result || run->facts.result_over)
		return 0;
	error = json_check(text, len, JSON_PORTABLE | JSON_NESTED, NULL);
	if (error == PSB_E_MEMORY)
		return error;
	run->facts.result_invalid = error != 0;
	if (error)
		return 0;
	outcome->result = frame_decoder_take_result(run->decoder, &outcome->result_len);
	return outcome->result ? 0 : PSB_E_MEMORY;
}

static void take_outputs(struct run *run, struct psb_outcome *outcome)
{
	for (int i = 0; i < 2; i++) {
		outcome->output[i] = run->streams[i].kept;
		buffer_init(&run->streams[i].kept, 0);
		outcome->truncated[i] = run->streams[i].cut;
	}
}

static int collect(struct run *run, struct psb_outcome *outcome)
{
	auto_fd fd = -1;
	struct files_workspace workspace;
	struct psb_error reason = {.message = ""};

	outcome->has_files = run->job->output_fd >= 0;
	if (!outcome->has_files || run->evidence.instance_lost)
		return 0;
	fd = run->sandbox->ops->workspace(run->instance, &reason);
	workspace = job_workspace(run->job, fd, reason.message);
	return files_collect(&workspace, run->job->output_fd, &run->job->limits, outcome,
			     &run->facts.workspace_over);
}

/* The run has ended: everything that was seen becomes the outcome. */
static int conclude(struct run *run, struct psb_outcome *outcome, struct psb_error *err)
{
	struct guest_report report = {.present = false};
	struct outcome_parts parts = {
		&run->evidence, &run->job->limits, &report, &run->facts, NULL, 0};
	size_t end_len = 0;
	const uint8_t *end = frame_decoder_end(run->decoder, &end_len);
	int error = run->no_memory ? PSB_E_MEMORY : 0;

	if (!error && frame_decoder_ended(run->decoder))
		error = report_read(&report, end, end_len);
	if (error == PSB_E_INVALID)
		error = 0;
	if (!error)
		error = take_result(run, &report, outcome);
	if (!error)
		error = collect(run, outcome);
	if (!error) {
		classify(&run->evidence, &run->facts, &report, &outcome->verdict);
		outcome->has_result = outcome->result && outcome->verdict.status <= PSB_EXIT;
		take_outputs(run, outcome);
		parts.stray = frame_decoder_stray(run->decoder, &parts.stray_len);
		error = outcome_settle(outcome, &parts);
	}
	report_free(&report);
	if (error == PSB_E_MEMORY)
		return psb_fail(err, error, 0, "execute: out of memory for the outcome");
	return error;
}

/* A ready instance that took the request, or an error: PSB_E_ENGINE, PSB_E_BUSY (cancelled). */
static int start_somewhere(struct psb_sandbox *sandbox, const struct job *job,
			   struct engine_instance **out, struct psb_error *err)
{
	uint64_t deadline = clock_us() + READY_WAIT_US;
	int starts = 0;

	for (;;) {
		struct psb_error reason = {.message = ""};
		struct engine_instance *instance;
		int error = pool_wait(sandbox, 1, deadline, err);

		if (error == PSB_E_BUSY && atomic_load(&sandbox->run_state) != RUN_CANCELLED) {
			sandbox->proven = false;
			choose_drop(sandbox, "no instance was ready within 60 s");
			deadline = clock_us() + READY_WAIT_US;
			continue;
		}
		if (error)
			return error;
		instance = pool_take(sandbox);
		if (sandbox->ops->start(instance, &job->limits, job->bytes, job->len, &reason) ==
		    0) {
			*out = instance;
			return 0;
		}
		sandbox->ops->recycle(instance);
		if (++starts < MAX_STARTS)
			continue;
		starts = 0;
		sandbox->proven = false;
		choose_drop(sandbox, reason.message);
	}
}

static int not_run(struct psb_outcome *outcome, int status, const char *type, const char *reason)
{
	outcome->verdict = (struct verdict){.status = status, .limit = LIMIT_NONE};
	return outcome_set_error(outcome, type, "%s", reason);
}

static void take_fallbacks(const struct psb_sandbox *sandbox, struct psb_outcome *outcome)
{
	memcpy(outcome->fallback, sandbox->fallback,
	       sandbox->fallback_count * sizeof(sandbox->fallback[0]));
	outcome->fallback_count = sandbox->fallback_count;
}

/* After a run: frees the instance and asks for the next, so that it is ready in time. */
static void clean_up(struct run *run)
{
	struct psb_sandbox *sandbox = run->sandbox;
	struct psb_error reason = {.message = ""};

	sandbox->ops->recycle(run->instance);
	if (run->template_dead)
		choose_drop(sandbox, "its keeper ended");
	else if (!sandbox->single_use && pool_fill(sandbox, &reason))
		choose_drop(sandbox, reason.message);
}

static int run_job(struct psb_sandbox *sandbox, const struct job *job, struct psb_outcome *outcome,
		   struct psb_error *err)
{
	struct psb_error reason = {.message = ""};
	uint64_t queued_us = clock_us();
	struct run run;
	int error = run_init(&run, sandbox, job);

	if (error)
		return psb_fail(err, error, 0, "execute: out of memory");
	error = start_somewhere(sandbox, job, &run.instance, &reason);
	outcome->queue_us = clock_us() - queued_us;
	take_fallbacks(sandbox, outcome);
	if (error == PSB_E_BUSY) {
		error = not_run(outcome, PSB_CANCELLED, "Cancelled", "cancelled before it began");
	} else if (error) {
		error = not_run(outcome, PSB_UNAVAILABLE, "Unavailable", reason.message);
	} else {
		run_to_end(&run);
		outcome_set_engine(outcome, &sandbox->plan);
		error = conclude(&run, outcome, err);
		clean_up(&run);
	}
	run_free(&run);
	return error;
}

/* A cancel that came is used up, also when it came too late. */
static void reset_cancel(struct psb_sandbox *sandbox)
{
	if (atomic_exchange(&sandbox->run_state, RUN_IDLE) == RUN_CANCELLED)
		sandbox_drain_wake(sandbox);
}

static int execute(struct psb_sandbox *sandbox, const struct job *job, psb_outcome **out,
		   struct psb_error *err)
{
	struct psb_outcome *outcome = outcome_new(job->request.tag);
	int error;

	if (!outcome)
		return psb_fail(err, PSB_E_MEMORY, 0, "execute: out of memory");
	memcpy(outcome->id, job->id, sizeof(outcome->id));
	atomic_store(&sandbox->run_state, RUN_ACTIVE);
	choose_restart(sandbox);
	error = run_job(sandbox, job, outcome, err);
	reset_cancel(sandbox);
	if (error)
		psb_outcome_free(outcome);
	else
		*out = outcome;
	return error;
}

int psb_execute(psb_sandbox *sandbox, const struct psb_request *request, psb_outcome **out,
		struct psb_error *err)
{
	struct job job;
	int error;

	if (!sandbox || !request || !out)
		return psb_fail(err, PSB_E_INVALID, 0,
				"psb_execute: sandbox, request or `out` is NULL");
	error = sandbox_enter(sandbox, err);
	if (error)
		return error;
	error = job_build(sandbox, request, &job, err);
	if (!error) {
		error = execute(sandbox, &job, out, err);
		job_free(&job);
	}
	sandbox_leave(sandbox);
	return error;
}
