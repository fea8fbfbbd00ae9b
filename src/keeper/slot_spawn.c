/*
 * Asks the zygote for an instance: its slot's group and directory, and what it is to be given.
 * Trust: the descriptors are the host's; everything in the message is ours.
 */
#include <stdio.h>
#include <string.h>

#include "keeper/keeper.h"

int slot_open_cgroup(struct keeper *keeper, uint32_t index)
{
	struct cgroup_slot *group = &keeper->slots[index].cgroup;

	return group->dirs[0] >= 0 ? 0 : cgroup_slot_open(&keeper->cgroups, index, group);
}

/* On v1 the guest moves itself, unless it was born in its group (cage.c). */
static int send_spawn(struct keeper *keeper, struct spawn_message *message, const int fds[4])
{
	const struct cgroup_slot *group = &keeper->slots[message->slot].cgroup;
	int all[SPAWN_PIPES + SPAWN_GROUPS];
	int rc = has_cgroups(keeper) ? slot_open_cgroup(keeper, message->slot) : 0;

	if (rc < 0)
		return rc;
	memcpy(all, fds, SPAWN_PIPES * sizeof(int));
	memcpy(all + SPAWN_PIPES, group->tasks, SPAWN_GROUPS * sizeof(int));
	message->groups = has_cgroups(keeper) && !keeper->cgroups.host.unified &&
			  (!message->in_place || enters_late(keeper));
	rc = spawn_send(keeper, message, all,
			message->groups ? SPAWN_PIPES + SPAWN_GROUPS : SPAWN_PIPES);
	keeper->slots[message->slot].init_due =
		rc == 0 && has_namespaces(keeper) && !message->in_place;
	return rc;
}

int slot_spawn(struct keeper *keeper, uint32_t index, const int fds[4])
{
	const struct slot_limits *limits = &keeper->config.limits;
	struct spawn_message message = {
		.kind = keeper->slots[index].scout ? SPAWN_SCOUT : SPAWN_INSTANCE,
		.slot = index,
		.generation = keeper->slots[index].generation,
		.uid = keeper->uid_base && has_namespaces(keeper) ? 1001 + index : 0,
		.rung = keeper->rung,
		.allow_fork = has_cgroups(keeper) && limits->processes > 1,
		.in_place = keeper->config.single_use,
		.workspace_bytes = limits->workspace_bytes,
		.workspace_files = limits->workspace_files,
		.open_files = limits->open_files,
		.processes = slot_process_rlimit(keeper, limits->processes),
	};

	if (!has_namespaces(keeper)) {
		int rc = workspace_slot_make(keeper, index);

		if (rc < 0)
			return rc;
		(void)snprintf(message.workspace, sizeof(message.workspace), "%.40s/s%u",
			       keeper->workspace_root, index);
	}
	return send_spawn(keeper, &message, fds);
}
