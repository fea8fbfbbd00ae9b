/*
 * Theory of operation: the keeper's side of making a template: control groups, pipes, the fork of
 * the builder (cage.c) and the identity maps of its user namespace, which only an outsider may
 * write. The processes that the builder makes announce themselves on the control socket.
 * An ordinary user can map one id, its own; root gives the zygote and each slot one of their own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/place.h"
#include "engines/aside.h"
#include "keeper/keeper.h"

#define GUEST_ID 1000
#define NEEDED_OPEN_FILES 256u

static int fail_text(char text[KEEPER_TEXT_BYTES], int error, const char *step)
{
	(void)snprintf(text, KEEPER_TEXT_BYTES, "cage: %s: %s", step, strerror(error));
	return -1;
}

static int write_file(const char *path, const char *content)
{
	auto_fd fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	return write(fd, content, strlen(content)) == (ssize_t)strlen(content) ? 0 : -1;
}

static int write_maps(pid_t pid, const char *uid_map, const char *gid_map, bool deny_setgroups)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)pid);
	if (deny_setgroups && write_file(path, "deny") < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)pid);
	if (write_file(path, gid_map) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)pid);
	return write_file(path, uid_map);
}

/* As root each slot gets an id of its own: inside 1001+slot, outside uid_base+1+slot. As an
 * ordinary user only one's own id can be mapped. */
static int map_zygote(const struct keeper *keeper, pid_t pid)
{
	char uid_map[64];
	char gid_map[64];
	uint32_t count = KEEPER_MAX_SLOTS + 1;

	if (keeper->uid_base) {
		(void)snprintf(uid_map, sizeof(uid_map), "%d %u %u\n", GUEST_ID, keeper->uid_base,
			       count);
		return write_maps(pid, uid_map, uid_map, false);
	}
	(void)snprintf(uid_map, sizeof(uid_map), "%d %u 1\n", GUEST_ID, (unsigned int)getuid());
	(void)snprintf(gid_map, sizeof(gid_map), "%d %u 1\n", GUEST_ID, (unsigned int)getgid());
	return write_maps(pid, uid_map, gid_map, true);
}

/* Attach and map when the zygote says it has its namespaces, then let it go on. */
static int sync_with_zygote(struct keeper *keeper, int from, int to, char text[KEEPER_TEXT_BYTES])
{
	char byte;

	if (!has_namespaces(keeper))
		return 0;
	if (read(from, &byte, 1) != 1)
		return 0; /* it failed and has said so on the control socket */
	if (map_zygote(keeper, keeper->builder_pid) < 0) {
		(void)fail_text(text, errno, "write the identity maps");
		(void)!write(to, "x", 1);
		return -1;
	}
	return write(to, "k", 1) == 1 ? 0 : fail_text(text, errno, "wake the zygote");
}

static int start_builder(struct keeper *keeper, char text[KEEPER_TEXT_BYTES])
{
	int control[2];
	int output[2];
	int up[2];
	int down[2];
	int liveness[2];
	int one = 1;
	int rc = 0;
	struct place_stay stay;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0 ||
	    pipe2(output, O_CLOEXEC) < 0 || pipe2(up, O_CLOEXEC) < 0 ||
	    pipe2(down, O_CLOEXEC) < 0 || pipe2(liveness, O_CLOEXEC) < 0)
		return fail_text(text, errno, "pipe");
	if (setsockopt(control[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) < 0)
		return fail_text(text, errno, "ask for the senders' ids");
	(void)place_stay(&stay); /* we take turns with it until the maps are written */
	keeper->builder_pid = fork();
	if (keeper->builder_pid == 0) {
		const struct cage_pipes pipes = {control[1], output[1], down[0], up[1],
						 liveness[0]};

		(void)close(up[0]);
		(void)close(down[1]);
		(void)close(liveness[1]);
		cage_main(keeper, &pipes);
	}
	(void)close(control[1]);
	(void)close(output[1]);
	(void)close(up[1]);
	(void)close(down[0]);
	(void)close(liveness[0]);
	keeper->liveness_fd = liveness[1];
	keeper->zygote_fd = control[0];
	keeper->output_fd = output[0];
	(void)fcntl(output[0], F_SETFL, O_NONBLOCK);
	if (keeper->builder_pid < 0)
		rc = fail_text(text, errno, "fork the builder");
	if (rc == 0)
		rc = sync_with_zygote(keeper, up[0], down[1], text);
	aside_leave(&keeper->processors); /* the zygote will wake us, and has to go on */
	(void)close(up[0]);
	(void)close(down[1]);
	return rc;
}

static int open_cgroups(struct keeper *keeper, char text[KEEPER_TEXT_BYTES])
{
	struct psb_error err;

	if (!has_cgroups(keeper))
		return 0;
	if (cgroup_find("/sys/fs/cgroup", "/proc/self/cgroup", &keeper->cgroups.host, &err) == 0 &&
	    cgroup_tree_open(&keeper->cgroups, &err) == 0) {
		int rc = keeper->config.single_use ? slot_open_cgroup(keeper, 0) : 0;

		cgroup_sweep(&keeper->cgroups);
		return rc < 0 ? fail_text(text, -rc, "make the slot's control group") : 0;
	}
	(void)snprintf(text, KEEPER_TEXT_BYTES, "cage: %.380s", err.message);
	return -1;
}

/* A guest's own ends are placed above any limit that it may be given. */
static int check_open_files(char text[KEEPER_TEXT_BYTES])
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= NEEDED_OPEN_FILES)
		return 0;
	(void)snprintf(text, KEEPER_TEXT_BYTES,
		       "only %llu files may be open, %u are needed: raise the limit (ulimit -n)",
		       (unsigned long long)limit.rlim_cur, NEEDED_OPEN_FILES);
	return -1;
}

int template_start(struct keeper *keeper, char text[KEEPER_TEXT_BYTES])
{
	if (check_open_files(text) < 0)
		return -1;
	if (!enters_late(keeper) && open_cgroups(keeper, text) < 0)
		return -1;
	if (!has_namespaces(keeper) && workspace_root_make(keeper) < 0)
		return fail_text(text, errno, "make the workspaces in /tmp");
	return start_builder(keeper, text);
}

int template_open_late(struct keeper *keeper, char text[KEEPER_TEXT_BYTES])
{
	int rc;

	aside_roam(&keeper->processors);
	if (!enters_late(keeper))
		return 0;
	if (open_cgroups(keeper, text) < 0)
		return -1;
	rc = cgroup_slot_arm_ahead(&keeper->cgroups, &keeper->slots[0].cgroup,
				   keeper->config.limits.memory_bytes,
				   keeper->config.limits.processes);
	return rc < 0 ? fail_text(text, -rc, "set the slot's walls") : 0;
}
