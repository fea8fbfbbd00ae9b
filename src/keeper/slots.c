/*
 * Theory of operation: a slot holds one instance at a time. The zygote makes its processes as our
 * own children (CLONE_PARENT), so that exits, signals and usage come from wait(2), not from the
 * guest's side. Killing the init of the instance's pid namespace (A, B) or the single process
 * (C, D) ends all of it; a slot is free again when everything in it has been reaped.
 * A finished run (its end frame came) is killed and reported at once: no guest code runs after
 * that, only memory is still being freed. Every other end is reported when all of it is reaped.
 * Trust: HELLO, INIT and READY may come from a subverted zygote. They only count for a slot that is
 * being spawned, and only when their sender is a child of ours.
 */
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "host_probe/procfs.h"
#include "keeper/keeper.h"

/* An init that has not spoken yet counts: it runs on the slot's stack in the zygote's memory, so the
 * slot must not be used again before it is dead. */
static bool alive(const struct slot *slot)
{
	return slot->init_due || slot->init_pid != 0 || slot->guest_pid != 0;
}

static uint32_t index_of(const struct keeper *keeper, const struct slot *slot)
{
	return (uint32_t)(slot - keeper->slots);
}

static void send_slot(struct keeper *keeper, uint32_t index, uint32_t type, const char *text)
{
	struct keeper_message message = {.type = type, .slot = index};

	if (keeper->slots[index].scout)
		return;
	message.generation = keeper->slots[index].generation;
	message.evidence = keeper->slots[index].evidence;
	if (text)
		(void)snprintf(message.text, sizeof(message.text), "%s", text);
	host_send(keeper, &message, NULL, 0);
}

void slot_kill(struct slot *slot)
{
	slot->killed = true;
	if (slot->init_pid != 0)
		(void)kill(slot->init_pid, SIGKILL);
	if (slot->guest_pid != 0)
		(void)kill(slot->guest_pid, SIGKILL);
}

static void close_pipes(const int fds[HOST_FDS])
{
	for (size_t i = 0; i < SPAWN_PIPES; i++)
		(void)close(fds[i]);
}

void slot_prepare(struct keeper *keeper, uint32_t index, uint32_t generation,
		  const int fds[HOST_FDS])
{
	struct slot *slot = &keeper->slots[index];
	struct cgroup_slot cgroup = slot->cgroup;
	int start_timer = fds[SPAWN_PIPES];
	char text[KEEPER_TEXT_BYTES];
	int rc;

	if (slot->state != SLOT_FREE || !keeper->placed) {
		slot->has_pending = true;
		slot->pending_generation = generation;
		memcpy(slot->pending, fds, sizeof(slot->pending));
		return;
	}
	*slot = (struct slot){.state = SLOT_SPAWNING,
			      .generation = generation,
			      .workspace_fd = -1,
			      .cgroup = cgroup};
	start_timer_take(keeper, index, &start_timer);
	rc = slot_spawn(keeper, index, fds);
	close_pipes(fds);
	if (rc == 0)
		return;
	(void)snprintf(text, sizeof(text), "cannot prepare an instance: %s", strerror(-rc));
	slot_spawn_failed(keeper, index, text);
}

static void prepare_waiting(struct keeper *keeper, uint32_t index)
{
	struct slot *slot = &keeper->slots[index];
	int fds[HOST_FDS];

	if (!slot->has_pending)
		return;
	slot->has_pending = false;
	memcpy(fds, slot->pending, sizeof(fds)); /* the slot is overwritten */
	slot_prepare(keeper, index, slot->pending_generation, fds);
}

static void free_slot(struct keeper *keeper, uint32_t index)
{
	struct slot *slot = &keeper->slots[index];

	close_fd(&slot->workspace_fd);
	slot->state = SLOT_FREE;
	slot->released = false;
	prepare_waiting(keeper, index);
}

void slots_serve(struct keeper *keeper)
{
	keeper->placed = true;
	for (uint32_t i = 0; i < keeper->config.slots; i++)
		prepare_waiting(keeper, i);
}

/* Instances are only asked for when the zygote is where they are to be born. */
void slots_place_zygote(struct keeper *keeper)
{
	int rc = 0;

	if (has_cgroups(keeper) && keeper->cgroups.host.unified)
		rc = keeper->config.single_use
			     ? cgroup_slot_attach(&keeper->cgroups, &keeper->slots[0].cgroup,
						  keeper->zygote_pid)
			     : cgroup_tree_attach(&keeper->cgroups, keeper->zygote_pid);
	if (rc < 0) {
		host_fail_template(keeper, "cage: the zygote cannot be put into its control group");
		return;
	}
	if (!scout_begin(keeper) && !keeper->placed)
		slots_serve(keeper);
}

void slot_spawn_failed(struct keeper *keeper, uint32_t index, const char *text)
{
	struct slot *slot = &keeper->slots[index];

	if (slot->state != SLOT_SPAWNING && slot->state != SLOT_READY)
		return;
	slot->state = SLOT_ENDED;
	slot->reported = true;
	slot_kill(slot);
	send_slot(keeper, index, KEEPER_SLOT_FAILED, text);
	if (alive(slot))
		return;
	if (slot->scout)
		scout_over(keeper);
	else if (slot->released)
		free_slot(keeper, index);
}

bool is_own_child(pid_t pid)
{
	siginfo_t info;

	return pid > 1 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static void all_reaped(struct keeper *keeper, struct slot *slot);

/* The init and the guest run at the same time: this may come after the guest's READY, and it may
 * come when the instance has ended already. An init that no slot wants is ended here. */
void slot_init_seen(struct keeper *keeper, uint32_t index, uint32_t generation, pid_t pid)
{
	struct slot *slot = &keeper->slots[index];
	bool living = is_own_child(pid);

	if (!slot->init_due || slot->generation != generation) {
		if (living)
			(void)kill(pid, SIGKILL);
		return;
	}
	slot->init_due = false;
	slot->init_pid = living ? pid : 0;
	if (!living || slot->killed || slot->state != SLOT_SPAWNING)
		slot_kill(slot);
	else if (slot->ready_early)
		slot_ready(keeper, index);
	if (!alive(slot))
		all_reaped(keeper, slot);
}

/* Single use: the template's two processes are the instance's from here on. */
static void adopt_zygote(struct keeper *keeper, struct slot *slot)
{
	keeper->zygote_pid = 0;
	if (!has_namespaces(keeper))
		return;
	slot->init_pid = keeper->first_pid;
	keeper->first_pid = 0;
}

/* The first process may announce itself after the zygote has become the guest. */
void slots_first_seen(struct keeper *keeper)
{
	struct slot *slot = &keeper->slots[0];

	if (!keeper->config.single_use || keeper->zygote_pid != 0 || slot->guest_pid == 0 ||
	    slot->init_pid != 0)
		return;
	adopt_zygote(keeper, slot);
	if (slot->ready_early)
		slot_ready(keeper, 0);
}

void slot_hello(struct keeper *keeper, uint32_t index, pid_t pid, int workspace_fd)
{
	struct slot *slot = &keeper->slots[index];

	if (slot->state != SLOT_SPAWNING || slot->guest_pid != 0 || workspace_fd < 0 ||
	    !is_own_child(pid)) {
		if (workspace_fd >= 0)
			(void)close(workspace_fd);
		return;
	}
	slot->guest_pid = pid;
	slot->workspace_fd = workspace_fd;
	slot_born_near(keeper, index);
	if (slot->scout)
		scout_hello(keeper);
	if (pid == keeper->zygote_pid)
		adopt_zygote(keeper, slot);
}

/* A subverted zygote could have left the guest outside: believe the kernel. */
static int ensure_in_group(struct keeper *keeper, const struct slot *slot)
{
	if (!keeper->cgroups.host.unified)
		return cgroup_slot_holds(&slot->cgroup, slot->guest_pid) ? 0 : -ESRCH;
	if (keeper->config.single_use)
		return 0;
	return cgroup_slot_attach(&keeper->cgroups, &slot->cgroup, slot->guest_pid);
}

void slot_ready(struct keeper *keeper, uint32_t index)
{
	struct slot *slot = &keeper->slots[index];
	int rc = 0;

	if (slot->state != SLOT_SPAWNING || slot->guest_pid == 0)
		return;
	slot->ready_early = has_namespaces(keeper) && slot->init_pid == 0;
	if (slot->ready_early)
		return;
	slot->limits = keeper->config.limits;
	if (has_cgroups(keeper))
		rc = ensure_in_group(keeper, slot);
	if (rc == 0)
		rc = slot_limits_set(keeper, slot);
	if (rc == 0)
		rc = start_timer_reset(keeper, index);
	if (rc < 0) {
		slot_spawn_failed(keeper, index, "cannot set the instance's limits");
		return;
	}
	if (slot->scout) {
		scout_ready(keeper);
		return;
	}
	if (!has_cgroups(keeper)) {
		slot->cpu_base_us = 0;
		slot->cpu_base_us = slot_cpu_us(keeper, slot);
	}
	slot->state = SLOT_READY;
	if (slot->released) {
		slot_kill(slot);
		return;
	}
	slot_offer(keeper, index);
}

void slot_begin(const struct keeper *keeper, struct slot *slot, uint64_t start_us)
{
	if (slot->state != SLOT_READY)
		return;
	slot->state = SLOT_RUNNING;
	slot->start_us = start_us;
	slot->wall_deadline_us = slot->start_us + slot->limits.wall_ms * 1000;
	slot->cpu_check_us = slot->start_us + slot->limits.cpu_ms * 1000 / 16;
	slot->workspace_check_us = workspace_first_check_us(keeper, start_us);
}

static void fill_usage(struct keeper *keeper, struct slot *slot, bool with_events)
{
	struct evidence *evidence = &slot->evidence;
	struct cgroup_usage usage;

	evidence->wall_us = clock_us() - slot->start_us;
	evidence->ended = true;
	if (!has_cgroups(keeper))
		return;
	cgroup_slot_usage(&keeper->cgroups, &slot->cgroup, with_events, &usage);
	if (!with_events && usage.memory_peak_bytes >= slot->limits.memory_bytes)
		cgroup_slot_usage(&keeper->cgroups, &slot->cgroup, true, &usage);
	evidence->cpu_us = usage.cpu_us;
	evidence->memory_peak_bytes = usage.memory_peak_bytes;
	evidence->oom_killed = usage.oom_killed;
	evidence->memory_limit_hit = usage.memory_limit_hit;
	evidence->process_limit_hit = usage.process_limit_hit;
}

static void report_end(struct keeper *keeper, struct slot *slot, bool with_events)
{
	if (slot->reported)
		return;
	fill_usage(keeper, slot, with_events);
	workspace_check(keeper, slot);
	slot->state = SLOT_ENDED;
	slot->reported = true;
	send_slot(keeper, index_of(keeper, slot), KEEPER_ENDED, NULL);
}

void slot_stop(struct keeper *keeper, uint32_t index)
{
	struct slot *slot = &keeper->slots[index];

	if (slot->state == SLOT_RUNNING || slot->state == SLOT_READY)
		slot_kill(slot);
}

void slot_finish(struct keeper *keeper, uint32_t index)
{
	struct slot *slot = &keeper->slots[index];
	uint64_t peak;

	if (slot->state != SLOT_RUNNING || slot->killed)
		return;
	if (!has_cgroups(keeper) && slot->guest_pid != 0) {
		slot->evidence.cpu_us = slot_cpu_us(keeper, slot);
		peak = procfs_peak_rss_bytes(slot->guest_pid);
		if (peak > slot->peak_base_bytes)
			slot->evidence.memory_peak_bytes = peak - slot->peak_base_bytes;
	}
	slot_die_elsewhere(keeper, slot);
	slot_kill(slot);
	report_end(keeper, slot, false);
}

void slot_denied(struct slot *slot, const struct seccomp_data *call)
{
	if (slot->evidence.denied)
		return;
	slot->evidence.denied = true;
	slot->evidence.denied_syscall = call->nr;
	slot->evidence.denied_i386 = call->arch == AUDIT_ARCH_I386;
	slot_kill(slot);
}

struct slot *slot_of_task(struct keeper *keeper, pid_t tid)
{
	uint64_t namespace = has_namespaces(keeper) ? procfs_pid_namespace(tid) : 0;
	pid_t group = has_namespaces(keeper) ? 0 : procfs_thread_group(tid);

	for (uint32_t i = 0; i < keeper->config.slots; i++) {
		struct slot *slot = &keeper->slots[i];
		pid_t pid = slot->guest_pid ? slot->guest_pid : slot->init_pid;

		if (pid == 0)
			continue;
		if (pid == tid || (group != 0 && pid == group) ||
		    (namespace != 0 && procfs_pid_namespace(pid) == namespace))
			return slot;
	}
	return NULL;
}

static void guest_reaped(struct keeper *keeper, struct slot *slot, int code, int status,
			 uint64_t cpu_us, uint64_t peak_bytes)
{
	struct evidence *evidence = &slot->evidence;

	slot->guest_pid = 0;
	if (!slot->killed && slot->state == SLOT_RUNNING) {
		evidence->exited = code == CLD_EXITED;
		evidence->signalled = code != CLD_EXITED;
		evidence->exit_code = code == CLD_EXITED ? status : 0;
		evidence->signal_number = code == CLD_EXITED ? 0 : status;
	}
	if (!has_cgroups(keeper) && !slot->reported) {
		evidence->cpu_us = cpu_us > slot->cpu_base_us ? cpu_us - slot->cpu_base_us : 0;
		evidence->memory_peak_bytes =
			peak_bytes > slot->peak_base_bytes ? peak_bytes - slot->peak_base_bytes : 0;
	}
	if (slot->init_due || slot->init_pid != 0)
		slot_kill(slot);
}

static void all_reaped(struct keeper *keeper, struct slot *slot)
{
	uint32_t index = index_of(keeper, slot);

	if (slot->scout) {
		close_fd(&slot->workspace_fd);
		scout_over(keeper);
		return;
	}
	if (slot->state == SLOT_SPAWNING || slot->state == SLOT_READY) {
		if (slot->released)
			slot->state = SLOT_ENDED;
		else
			slot_spawn_failed(keeper, index, "the instance died before it ran");
	} else {
		report_end(keeper, slot, true);
	}
	if (slot->workspace_asked)
		slot_send_workspace(keeper, index);
	if (slot->released)
		free_slot(keeper, index);
}

bool slot_reaped(struct keeper *keeper, pid_t pid, int code, int status, uint64_t cpu_us,
		 uint64_t peak_bytes)
{
	for (uint32_t i = 0; i < keeper->config.slots; i++) {
		struct slot *slot = &keeper->slots[i];

		if (pid != slot->init_pid && pid != slot->guest_pid)
			continue;
		slot_catch_up(keeper, i);
		if (pid == slot->init_pid) {
			slot->init_pid = 0;
			/* Nobody but the kernel's zap of its namespace ends the guest now. */
			slot->killed = slot->killed || slot->guest_pid != 0;
		} else {
			guest_reaped(keeper, slot, code, status, cpu_us, peak_bytes);
		}
		if (!alive(slot))
			all_reaped(keeper, slot);
		return true;
	}
	return false;
}

void slot_send_workspace(struct keeper *keeper, uint32_t index)
{
	struct slot *slot = &keeper->slots[index];
	struct keeper_message message = {
		.type = KEEPER_WORKSPACE, .slot = index, .generation = slot->generation};

	slot->workspace_asked = alive(slot);
	if (!slot->workspace_asked)
		host_send(keeper, &message, &slot->workspace_fd, slot->workspace_fd >= 0);
}

void slot_release(struct keeper *keeper, uint32_t index)
{
	struct slot *slot = &keeper->slots[index];

	if (slot->has_pending) { /* the one before it has been released already */
		close_pipes(slot->pending);
		(void)close(slot->pending[SPAWN_PIPES]);
		slot->has_pending = false;
		return;
	}
	if (slot->state == SLOT_FREE)
		return;
	slot->released = true;
	if (!alive(slot) && slot->state == SLOT_ENDED)
		free_slot(keeper, index);
	else if (!slot->killed)
		slot_kill(slot);
}
