/* Control groups, v1 or v2, as the wall for memory, processes and CPU accounting of one slot. */
#ifndef PSB_CGROUP_H
#define PSB_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "pysandbox.h"

enum { CGROUP_MEMORY, CGROUP_PIDS, CGROUP_CPUACCT, CGROUP_CONTROLLERS };

struct cgroup_host {
	bool unified;                         /* v2: one directory serves all */
	char parent[CGROUP_CONTROLLERS][256]; /* directories in which groups may be made */
};

/* Looks where groups with memory and pids may be made; `sysfs` is "/sys/fs/cgroup" and `self`
 * "/proc/self/cgroup" except in tests. 0 or PSB_E_UNSUPPORTED with the remedy. */
int cgroup_find(const char *sysfs, const char *self, struct cgroup_host *out,
		struct psb_error *err);

/* v2: do the children of this group get memory and pids, perhaps from now on? */
bool cgroup_delegates(const char *dir);

struct cgroup_tree {
	struct cgroup_host host;
	char name[64]; /* "psb-<pid>-<start>" */
	bool made;
};

/* Makes the tree's top groups. */
int cgroup_tree_open(struct cgroup_tree *tree, struct psb_error *err);
/* Removes what dead owners left, wherever this tree's groups are. */
void cgroup_sweep(const struct cgroup_tree *tree);
/* Removes all of it that is empty. */
void cgroup_tree_close(struct cgroup_tree *tree, uint32_t slots);
/* v2: the zygote into its group, by an outsider. 0 or -errno. */
int cgroup_tree_attach(const struct cgroup_tree *tree, pid_t pid);
/* v1: the calling, single-threaded process into the top groups. 0 or -errno. */
int cgroup_tree_enter(const struct cgroup_tree *tree);

struct cgroup_slot {
	int dirs[CGROUP_CONTROLLERS];  /* -1 when not made; v2: only the first */
	int tasks[CGROUP_CONTROLLERS]; /* v1: a process enters by writing "0" here; -1 on v2 */
	int cpu_usage;                 /* kept open: read at the end of every execution */
	int memory_peak;
	bool armed_ahead;
	uint64_t oom_base;
	uint64_t pids_base;
	uint64_t fail_base;
	uint64_t cpu_base_us;
	uint64_t memory_base;
};

void cgroup_slot_init(struct cgroup_slot *slot);
int cgroup_slot_open(const struct cgroup_tree *tree, uint32_t index, struct cgroup_slot *slot);
void cgroup_slot_close(struct cgroup_slot *slot);
int cgroup_slot_enter(const struct cgroup_slot *slot);             /* v1: the caller; 0 or -errno */
bool cgroup_slot_holds(const struct cgroup_slot *slot, pid_t pid); /* v1 */
int cgroup_slot_attach(const struct cgroup_tree *tree, const struct cgroup_slot *slot, pid_t pid);
/* Limits count from what the slot's group holds now; also marks the base of all counters. */
int cgroup_slot_arm(const struct cgroup_tree *tree, struct cgroup_slot *slot, uint64_t memory_bytes,
		    uint64_t processes);

/* While it is empty and there is time: the next cgroup_slot_arm(), which must be for the same limits, then
 * only marks the base. */
int cgroup_slot_arm_ahead(const struct cgroup_tree *tree, struct cgroup_slot *slot,
			  uint64_t memory_bytes, uint64_t processes);

struct cgroup_usage {
	uint64_t cpu_us;
	uint64_t memory_peak_bytes;
	bool oom_killed;
	bool memory_limit_hit;
	bool process_limit_hit;
};
/* The file that counts what the slot's limit of processes has refused; -1: there is none. */
int cgroup_slot_open_refusals(const struct cgroup_tree *tree, const struct cgroup_slot *slot);
uint64_t cgroup_slot_cpu_us(const struct cgroup_tree *tree, const struct cgroup_slot *slot);
void cgroup_slot_usage(const struct cgroup_tree *tree, const struct cgroup_slot *slot,
		       bool with_events, struct cgroup_usage *out);

#endif
