/*
 * Evidence and bytes to a status. A pure function over three structs: what the kernel saw
 * (evidence), what the host counted (facts), what the guest claims (report).
 *
 * Trust boundary: the report decides nothing but ok, error and exit, and only when no outside
 * evidence speaks. Precedence, by contract: cancelled, denied, memory, output (with result and
 * workspace), cpu, wall, crash, then the guest's report, then a bare exit, then unknown.
 *
 * A crash after a whole end frame is still a crash: the engine reports a signal only if it was not
 * ours, and we stop an instance as soon as its end frame is in.
 */
#include "core/classify.h"

static unsigned int bit(bool condition, enum limit_name limit)
{
	return condition ? 1u << (unsigned int)limit : 0;
}

static unsigned int all_hits(const struct evidence *evidence, const struct host_facts *facts,
			     const struct guest_report *report)
{
	return bit(evidence->oom_killed || evidence->memory_limit_hit, LIMIT_memory) |
	       bit(evidence->cpu_fired, LIMIT_cpu) |
	       bit(evidence->wall_fired || facts->overdue, LIMIT_wall) |
	       bit(evidence->process_limit_hit, LIMIT_processes) |
	       bit(facts->stdout_over || facts->stdout_cut, LIMIT_stdout) |
	       bit(facts->stderr_over || facts->stderr_cut, LIMIT_stderr) |
	       bit(facts->result_over, LIMIT_result) |
	       bit(facts->workspace_over || evidence->workspace_over, LIMIT_workspace) |
	       (report->present ? report->limits_hit : 0);
}

static void decide(struct verdict *out, int status, enum limit_name limit)
{
	out->status = status;
	out->limit = limit;
}

/* No limit and no kill explains the end: the guest's own ways out. */
static void decide_own_end(const struct evidence *evidence, const struct host_facts *facts,
			   const struct guest_report *report, struct verdict *out)
{
	if (evidence->signalled) {
		decide(out, PSB_CRASH, LIMIT_NONE);
		out->signal_number = evidence->signal_number;
	} else if (report->present) {
		decide(out, facts->result_invalid ? PSB_ERROR : report->status, LIMIT_NONE);
		out->exit_code = out->status == PSB_EXIT ? report->exit_code : 0;
	} else if (evidence->exited) {
		decide(out, PSB_EXIT, LIMIT_NONE);
		out->exit_code = evidence->exit_code;
	} else if (evidence->process_limit_hit && !evidence->instance_lost) {
		decide(out, PSB_PROCESS_LIMIT, LIMIT_processes);
	} else {
		decide(out, PSB_UNKNOWN, LIMIT_NONE);
	}
}

void classify(const struct evidence *evidence, const struct host_facts *facts,
	      const struct guest_report *report, struct verdict *out)
{
	*out = (struct verdict){.limit = LIMIT_NONE};
	if (facts->cancelled)
		decide(out, PSB_CANCELLED, LIMIT_NONE);
	else if (evidence->denied)
		decide(out, PSB_DENIED, LIMIT_NONE);
	else if (evidence->oom_killed)
		decide(out, PSB_MEMORY_LIMIT, LIMIT_memory);
	else if (facts->stdout_over)
		decide(out, PSB_OUTPUT_LIMIT, LIMIT_stdout);
	else if (facts->stderr_over)
		decide(out, PSB_OUTPUT_LIMIT, LIMIT_stderr);
	else if (facts->result_over)
		decide(out, PSB_RESULT_LIMIT, LIMIT_result);
	else if (facts->workspace_over || evidence->workspace_over)
		decide(out, PSB_DISK_LIMIT, LIMIT_workspace);
	else if (evidence->cpu_fired)
		decide(out, PSB_CPU_LIMIT, LIMIT_cpu);
	else if (evidence->wall_fired || facts->overdue)
		decide(out, PSB_TIMEOUT, LIMIT_wall);
	else
		decide_own_end(evidence, facts, report, out);
	out->limits_hit = all_hits(evidence, facts, report);
	if (out->limit != LIMIT_NONE)
		out->limits_hit &= ~(1u << (unsigned int)out->limit);
}
