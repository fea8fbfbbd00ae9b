/* Control groups around the workers: a second wall behind what the machine and its filter allow. */
#ifndef PSB_VMM_GROUPS_H
#define PSB_VMM_GROUPS_H

#include <stdbool.h>

#include "../protocol.h"
#include "cgroup/cgroup.h"

#define GROUPS_MEMORY_SLACK_BYTES (UINT64_C(96) << 20)

/* What is left of a slot's group after the making: descriptors that work without rights. */
struct group_slot {
	int enter_fds[CGROUP_CONTROLLERS]; /* a process that writes "0" here is in; -1: none */
	int oom_fd;
	uint64_t oom_kills; /* of former workers */
};

struct groups {
	bool made;
	uint32_t slots;
	struct cgroup_tree tree;
	struct group_slot slot[MICROVM_MAX_SLOTS];
};

/* With the caller's rights, before they are given up: the parents, then a group for each slot, with
 * the walls. */
int groups_begin(struct groups *groups, struct psb_error *err);
int groups_open(struct groups *groups, uint32_t slots, uint64_t memory_bytes,
		struct psb_error *err);
/* By a process that still has the rights: removes the groups of the slots and their parent. */
void groups_remove(struct groups *groups);

/* In a new worker. 0 or -errno. */
int groups_enter(const struct groups *groups, uint32_t slot);
/* Whether the kernel ended a worker of that slot for its memory since this was last asked. */
bool groups_oom_killed(struct groups *groups, uint32_t slot);

#endif
