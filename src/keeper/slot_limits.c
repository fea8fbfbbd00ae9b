/*
 * The limits of one instance, set from outside when it is ready and again when a call asks for
 * tighter ones. A limit that cannot be set ends the instance: a policy is never silently not
 * applied.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "host_probe/procfs.h"
#include "keeper/keeper.h"

#define OWN_PROCESSES 3u /* the first process, the zygote, the keeper */
#define UNKNOWN_OTHERS 4096u

/* The kernel lets a process limit another one of the same real ids, or with CAP_SYS_RESOURCE, which
 * root often lacks in a container. Without a user namespace the guest's id is borrowed for the call;
 * our effective id stays root's, so nothing else changes. */
static int limit_as_guest(const struct keeper *keeper, pid_t pid, jail_resource resource,
			  const struct rlimit *limit)
{
	uid_t id = keeper->uid_base;
	int rc = -1;

	if (setresgid(id, (gid_t)-1, (gid_t)-1) == 0 && setresuid(id, (uid_t)-1, (uid_t)-1) == 0)
		rc = prlimit(pid, resource, limit, NULL);
	if (setresuid(0, (uid_t)-1, (uid_t)-1) < 0 || setresgid(0, (gid_t)-1, (gid_t)-1) < 0)
		_exit(1); /* half a keeper is none */
	return rc;
}

static int limit_from_outside(const struct keeper *keeper, const struct slot *slot,
			      jail_resource resource, uint64_t value)
{
	const struct rlimit limit = {.rlim_cur = value, .rlim_max = value};

	if (prlimit(slot->guest_pid, resource, &limit, NULL) == 0)
		return 0;
	if (errno == EPERM && keeper->uid_base && !has_namespaces(keeper))
		return limit_as_guest(keeper, slot->guest_pid, resource, &limit);
	return -1;
}

static bool counts_by_namespace(void)
{
	struct utsname host;
	unsigned long major;
	char *rest = NULL;

	if (uname(&host) < 0)
		return false;
	major = strtoul(host.release, &rest, 10);
	return major > 5 || (major == 5 && *rest == '.' && strtoul(rest + 1, NULL, 10) >= 14);
}

/* The memory limit counts what the run adds to the ready instance. */
int slot_limits_set(struct keeper *keeper, struct slot *slot)
{
	const struct slot_limits *limits = &slot->limits;
	uint64_t space = procfs_address_space_bytes(slot->guest_pid);

	if (space == 0) /* no /proc on this host: a ready CPython with libraries maps less */
		space = UINT64_C(256) << 20;
	if (limit_from_outside(keeper, slot, RLIMIT_AS, space + limits->memory_bytes) < 0)
		return -EPERM;
	if (has_cgroups(keeper))
		return cgroup_slot_arm(&keeper->cgroups, &slot->cgroup, limits->memory_bytes,
				       limits->processes);
	slot->peak_base_bytes = procfs_peak_rss_bytes(slot->guest_pid);
	return 0;
}

/* The kernel counts by user, not by instance. On B root's instances have an id each; all else share
 * one, so the limit is that of all slots together. Without a user namespace of one's own (before
 * Linux 5.14 with one, too) an ordinary user's other processes count as well. */
uint64_t slot_process_rlimit(const struct keeper *keeper, uint64_t processes)
{
	uint64_t together = keeper->config.slots * (processes + 1) + OWN_PROCESSES;
	uint64_t others;

	if (has_cgroups(keeper) || (keeper->uid_base && has_namespaces(keeper)))
		return processes;
	if (keeper->uid_base || (has_namespaces(keeper) && counts_by_namespace()))
		return together;
	others = procfs_tasks_of_user(getuid());
	return together + (others > 0 ? others : UNKNOWN_OTHERS);
}

static int tighten(struct keeper *keeper, struct slot *slot)
{
	const struct slot_limits *limits = &slot->limits;

	if (slot_limits_set(keeper, slot) < 0 ||
	    limit_from_outside(keeper, slot, RLIMIT_NOFILE, limits->open_files) < 0 ||
	    limit_from_outside(keeper, slot, RLIMIT_FSIZE, limits->workspace_bytes) < 0)
		return -1;
	if (has_cgroups(keeper))
		return 0;
	return limit_from_outside(keeper, slot, RLIMIT_NPROC,
				  slot_process_rlimit(keeper, limits->processes));
}

void slot_arm(struct keeper *keeper, uint32_t index, const struct slot_limits *limits)
{
	struct slot *slot = &keeper->slots[index];
	const struct keeper_message message = {
		.type = KEEPER_ARMED, .slot = index, .generation = slot->generation};

	if (slot->state != SLOT_READY)
		return;
	slot->limits = *limits;
	if (tighten(keeper, slot) < 0)
		slot_spawn_failed(keeper, index, "cannot set the run's limits");
	else
		host_send(keeper, &message, NULL, 0);
}
