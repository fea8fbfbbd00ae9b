/*
 * The end of a run: the guest's last words, its result, its files and the evidence become the
 * outcome. Runs without the sandbox's lock, since checking a large result or copying files takes
 * its time; nobody else touches the task meanwhile.
 *
 * Trust boundary: everything from the decoder and the workspace is the guest's. It is checked here
 * (result: JSON; report: bounded and typed) and never decides a status alone: classify.c does.
 */
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json_check.h"
#include "core/task.h"

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

static int collect(struct task *task)
{
	struct files_workspace workspace = job_workspace(&task->job, task->workspace_fd);

	task->outcome->has_files = task->job.output_fd >= 0;
	if (task->workspace_fd < 0)
		return 0;
	return files_collect(&workspace, task->job.output_fd, &task->job.limits, task->outcome,
			     &task->run.facts.workspace_over);
}

static int settle(struct task *task, struct guest_report *report)
{
	struct psb_outcome *outcome = task->outcome;
	struct run *run = &task->run;
	struct outcome_parts parts = {
		&run->evidence, &task->job.limits, task->job.policy, report, &run->facts, NULL, 0};

	classify(&run->evidence, &run->facts, report, &outcome->verdict);
	outcome->has_result = outcome->result && outcome->verdict.status <= PSB_EXIT;
	parts.stray = frame_decoder_stray(run->decoder, &parts.stray_len);
	return outcome_settle(outcome, &parts);
}

void task_conclude(struct task *task)
{
	struct guest_report report = {.present = false};
	struct run *run = &task->run;
	size_t end_len = 0;
	const uint8_t *end = frame_decoder_end(run->decoder, &end_len);
	int error = run->no_memory ? PSB_E_MEMORY : 0;

	take_outputs(run, task->outcome);
	if (!error && frame_decoder_ended(run->decoder))
		error = report_read(&report, end, end_len);
	if (error == PSB_E_INVALID)
		error = 0; /* a malformed end is no end */
	if (!error)
		error = take_result(run, &report, task->outcome);
	if (!error)
		error = collect(task);
	if (!error)
		error = settle(task, &report);
	report_free(&report);
	close_fd(&task->workspace_fd);
	if (error == PSB_E_MEMORY)
		(void)psb_fail(&task->reason, error, 0, "execute: out of memory for the outcome");
	if (error)
		task->error = error;
}
