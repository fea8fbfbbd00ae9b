/*
 * The end of a finished run without the keeper: the end frame has come, so the host reads the
 * slot's counters, kills the guest and the init of its namespace and has all the evidence there is.
 * No guest code runs after that; the keeper reaps and clears up on its own time. Asked instead is
 * the keeper whenever a limit was met or anything does not work here: it knows which and why.
 * Trust: counters and pidfds are the kernel's, handed over by the keeper.
 */
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroup/counters.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "native.h"

void native_take_means(struct engine_instance *instance, const struct keeper_message *message,
		       int fds[READY_FDS])
{
	struct slot_counters *counters = &instance->tmpl->counters[instance->slot];

	if (fds[3] >= 0) {
		close_fd(&counters->cpu_fd);
		close_fd(&counters->peak_fd);
		close_fd(&counters->refusals_fd);
		counters->cpu_fd = take_fd(fds[2]);
		counters->peak_fd = take_fd(fds[3]);
		counters->refusals_fd = take_fd(fds[4]);
	}
	instance->bases = message->bases;
	instance->guest.pidfd = take_fd(fds[0]);
	instance->init_pidfd = take_fd(fds[1]);
	fds[0] = fds[1] = -1;
}

static bool met_a_limit(const struct engine_instance *instance, const struct evidence *evidence)
{
	const struct slot_counters *counters = &instance->tmpl->counters[instance->slot];
	const struct slot_limits *limits = &instance->limits;

	return evidence->wall_us >= limits->wall_ms * 1000 ||
	       evidence->cpu_us >= limits->cpu_ms * 1000 ||
	       evidence->memory_peak_bytes >= limits->memory_bytes ||
	       counter_refusals(counters->refusals_fd) > instance->bases.refused;
}

static int kill_by(int pidfd)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

bool native_finish_here(struct engine_instance *instance)
{
	const struct slot_counters *counters = &instance->tmpl->counters[instance->slot];
	const struct counter_bases *bases = &instance->bases;
	struct evidence evidence = {.ended = true};

	if (instance->guest.pidfd < 0 || instance->init_pidfd < 0 || counters->cpu_fd < 0)
		return false;
	evidence.cpu_us =
		counter_above(counter_cpu_us(counters->cpu_fd, bases->unified != 0), bases->cpu_us);
	evidence.memory_peak_bytes =
		counter_above(counter_peak_bytes(counters->peak_fd), bases->memory_bytes);
	evidence.wall_us = clock_us() - instance->start_us;
	/* A guest that is gone already has died of something. */
	if (met_a_limit(instance, &evidence) || kill_by(instance->guest.pidfd) < 0)
		return false;
	(void)kill_by(instance->init_pidfd); /* with it go processes that the guest has made */
	instance->evidence = evidence;
	return true;
}
