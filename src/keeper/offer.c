/*
 * Tells the host that an instance is ready and gives it the means to end a finished run by itself:
 * the host then needs no answer of ours before it has its own, which would cost two changes of
 * process. Only where the kernel's counters are the whole evidence of such an end (rung A); a run
 * that has met a limit is still ours to judge. What the host has killed is reaped here as ever.
 * Trust: the host may signal these processes anyway; a pidfd cannot reach another one.
 */
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "keeper/keeper.h"

static int open_pidfd(pid_t pid)
{
	return pid > 1 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
}

/* Without the peak (v2 before Linux 5.19) the evidence would not be whole. */
static bool can_share(const struct keeper *keeper, const struct slot *slot)
{
	return has_cgroups(keeper) && slot->cgroup.memory_peak >= 0;
}

void slot_offer(struct keeper *keeper, uint32_t index)
{
	const struct slot *slot = &keeper->slots[index];
	struct keeper_message message = {
		.type = KEEPER_READY, .slot = index, .generation = slot->generation};
	bool shared = keeper->counters_shared[index];
	int fds[READY_FDS] = {-1, -1, slot->cgroup.cpu_usage, slot->cgroup.memory_peak, -1};
	size_t count = 0;

	if (can_share(keeper, slot)) {
		fds[0] = open_pidfd(slot->guest_pid);
		fds[1] = open_pidfd(slot->init_pid);
		fds[4] = shared ? -1 : cgroup_slot_open_refusals(&keeper->cgroups, &slot->cgroup);
	}
	if (fds[0] >= 0 && fds[1] >= 0 && (shared || fds[4] >= 0))
		count = shared ? 2 : READY_FDS;
	message.bases = (struct counter_bases){.cpu_us = slot->cgroup.cpu_base_us,
					       .memory_bytes = slot->cgroup.memory_base,
					       .refused = slot->cgroup.pids_base,
					       .unified = keeper->cgroups.host.unified};
	if (count == 0)
		slot_let_go(keeper, index);
	host_send(keeper, &message, fds, count);
	keeper->counters_shared[index] |= count == READY_FDS;
	close_fd(&fds[0]);
	close_fd(&fds[1]);
	close_fd(&fds[4]);
}
