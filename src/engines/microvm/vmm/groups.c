/*
 * Theory of operation: the groups are made by the supervisor's outer process, whose id they are
 * named by and which removes them when all is over; a later start removes those of one that was
 * killed (cgroup.c), when nothing waits for it. Each slot has one for memory and pids. The supervisor, without any rights, keeps
 * descriptors: a new worker writes "0" to them before anything else and is in; the kernel judges by
 * the rights of whoever opened them.
 * The walls are wide: the guest's memory is bounded by its slots and the filter lets a worker make no
 * process. They hold what neither sees: KVM's own memory, and whatever a taken-over worker finds.
 * Trust boundary: numbers come from the library and the kernel.
 */
#include "groups.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cgroup/counters.h"
#include "core/cleanup.h"
#include "core/error.h"

/* The worker, and threads that KVM makes in its name. */
#define WORKER_TASKS 8u
#define SYSFS "/sys/fs/cgroup"

static int take_descriptors(const struct cgroup_tree *tree, struct cgroup_slot *from,
			    struct group_slot *to)
{
	bool v2 = tree->host.unified;

	for (size_t i = 0; i < CGROUP_CONTROLLERS; i++)
		to->enter_fds[i] = v2 ? -1 : take_fd(from->tasks[i]);
	if (v2)
		to->enter_fds[0] = openat(from->dirs[0], "cgroup.procs", O_WRONLY | O_CLOEXEC);
	to->oom_fd = openat(from->dirs[CGROUP_MEMORY], v2 ? "memory.events" : "memory.oom_control",
			    O_RDONLY | O_CLOEXEC);
	return to->enter_fds[0] < 0 || to->oom_fd < 0 ? -errno : 0;
}

static int open_slot(struct groups *groups, uint32_t index, uint64_t memory_bytes,
		     struct psb_error *err)
{
	struct cgroup_slot slot;
	int rc;

	cgroup_slot_init(&slot);
	rc = cgroup_slot_open(&groups->tree, index, &slot);
	if (rc == 0)
		rc = cgroup_slot_arm(&groups->tree, &slot, memory_bytes, WORKER_TASKS);
	if (rc == 0)
		rc = take_descriptors(&groups->tree, &slot, &groups->slot[index]);
	cgroup_slot_close(&slot);
	if (rc < 0)
		return psb_fail(err, PSB_E_SYSTEM, -rc, "vmm: control group of worker %u: %s",
				index, strerror(-rc));
	return 0;
}

int groups_begin(struct groups *groups, struct psb_error *err)
{
	int rc = cgroup_find(SYSFS, "/proc/self/cgroup", &groups->tree.host, err);

	if (rc < 0)
		return rc;
	groups->made = true;
	rc = cgroup_tree_open(&groups->tree, err);
	if (rc < 0)
		groups_remove(groups);
	return rc;
}

int groups_open(struct groups *groups, uint32_t slots, uint64_t memory_bytes, struct psb_error *err)
{
	int rc = 0;

	groups->slots = slots;
	for (uint32_t i = 0; rc == 0 && i < slots; i++)
		rc = open_slot(groups, i, memory_bytes + GROUPS_MEMORY_SLACK_BYTES, err);
	if (rc < 0)
		groups_remove(groups);
	return rc;
}

void groups_remove(struct groups *groups)
{
	if (groups->made)
		cgroup_tree_close(&groups->tree, groups->slots);
}

int groups_enter(const struct groups *groups, uint32_t slot)
{
	for (size_t i = 0; groups->made && i < CGROUP_CONTROLLERS; i++) {
		int fd = groups->slot[slot].enter_fds[i];

		if (fd >= 0 && write(fd, "0", 1) != 1)
			return -errno;
	}
	return 0;
}

static uint64_t count_oom_kills(int fd)
{
	char text[512];

	return counter_text(fd, text, sizeof(text)) > 0 ? counter_keyed(text, "oom_kill") : 0;
}

bool groups_oom_killed(struct groups *groups, uint32_t slot)
{
	struct group_slot *group = &groups->slot[slot];
	uint64_t before = group->oom_kills;

	if (!groups->made)
		return false;
	group->oom_kills = count_oom_kills(group->oom_fd);
	return group->oom_kills > before;
}
