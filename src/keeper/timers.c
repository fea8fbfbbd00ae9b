/*
 * One timer for all slots: the nearest wall deadline, CPU or workspace check. CPU time is not polled at a
 * rate: the next look is due when the budget could be used up at the earliest, with all processors
 * at work, and not sooner than the 5 ms grain. Wall and CPU limits end in SIGKILL from here, never
 * in a signal that the guest could handle.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "keeper/keeper.h"

#define CPU_GRAIN_US 5000

/* Without control groups an instance is one process: its CPU clock is the whole. */
static uint64_t process_cpu_us(pid_t pid)
{
	struct timespec used;
	clockid_t clock;

	if (pid <= 0 || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) < 0)
		return 0;
	return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

uint64_t slot_cpu_us(const struct keeper *keeper, const struct slot *slot)
{
	uint64_t total;

	if (has_cgroups(keeper))
		return cgroup_slot_cpu_us(&keeper->cgroups, &slot->cgroup);
	total = process_cpu_us(slot->guest_pid);
	return total > slot->cpu_base_us ? total - slot->cpu_base_us : 0;
}

static void check_cpu(struct keeper *keeper, struct slot *slot, uint64_t now)
{
	uint64_t used = slot_cpu_us(keeper, slot);
	uint64_t budget = slot->limits.cpu_ms * 1000;
	uint64_t wait;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (used >= budget) {
		slot->evidence.cpu_fired = true;
		slot_stop(keeper, (uint32_t)(slot - keeper->slots));
		return;
	}
	wait = (budget - used) / (uint64_t)(processors > 0 ? processors : 1);
	slot->cpu_check_us = now + (wait < CPU_GRAIN_US ? CPU_GRAIN_US : wait);
}

static uint64_t slot_due(const struct slot *slot)
{
	uint64_t due = slot->wall_deadline_us;

	due = slot->cpu_check_us < due ? slot->cpu_check_us : due;
	return slot->workspace_check_us < due ? slot->workspace_check_us : due;
}

void timers_turn(struct keeper *keeper)
{
	uint64_t now = clock_us();
	uint64_t expirations;

	(void)!read(keeper->timer_fd, &expirations, sizeof(expirations));
	keeper->armed_us = 0;
	for (uint32_t i = 0; i < keeper->config.slots; i++) {
		struct slot *slot = &keeper->slots[i];

		if (slot->state != SLOT_RUNNING || slot->killed)
			continue;
		if (now >= slot->wall_deadline_us) {
			slot->evidence.wall_fired = true;
			slot_stop(keeper, i);
		} else if (now >= slot->cpu_check_us) {
			check_cpu(keeper, slot, now);
		} else if (now >= slot->workspace_check_us) {
			workspace_check(keeper, slot);
			if (slot->evidence.workspace_over)
				slot_stop(keeper, i);
		}
	}
	timers_arm(keeper);
}

/* Only ever moved earlier here: a timer that fires too soon costs one look, setting it anew for
 * every execution would cost a system call each. */
void timers_arm(struct keeper *keeper)
{
	struct itimerspec spec = {0};
	uint64_t due = UINT64_MAX;

	for (uint32_t i = 0; i < keeper->config.slots; i++) {
		const struct slot *slot = &keeper->slots[i];

		if (slot->state == SLOT_RUNNING && !slot->killed && slot_due(slot) < due)
			due = slot_due(slot);
	}
	if (due == UINT64_MAX || (keeper->armed_us != 0 && keeper->armed_us <= due))
		return;
	keeper->armed_us = due;
	spec.it_value.tv_sec = (time_t)(due / 1000000);
	spec.it_value.tv_nsec = (long)(due % 1000000) * 1000 + 1;
	(void)timerfd_settime(keeper->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}
