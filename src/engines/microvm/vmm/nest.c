/*
 * Theory of operation: this process makes the supervisor as the first process of new namespaces
 * (user, pid, mount, network, ipc, uts, cgroup), writes its identity maps, as only an outsider may,
 * and is gone. The supervisor pivots into an
 * empty root and gives up all capabilities. Workers are its children: whatever a guest could make
 * of a worker, it finds no file, no network, no other process; and when the supervisor ends, the
 * kernel ends them all.
 * Trust boundary: no foreign byte has been read yet. Any failure ends the engine.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/error.h"
#include "jail/jail.h"
#include "supervisor.h"

#define GUEST_ID 1000u
#define UID_RANGE_START 1200000000u
#define MAPS_WRITTEN 'k'

static int write_file(const char *path, const char *text)
{
	auto_fd fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

/* Root gives each supervisor an id of its own, far above any account. */
static int write_maps(pid_t pid)
{
	char path[64];
	char map[64];
	bool root = geteuid() == 0;
	unsigned int uid = root ? UID_RANGE_START + (unsigned int)getpid() : getuid();
	unsigned int gid = root ? uid : getgid();

	(void)snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)pid);
	if (!root && write_file(path, "deny") < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)pid);
	(void)snprintf(map, sizeof(map), "%u %u 1\n", GUEST_ID, gid);
	if (write_file(path, map) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)pid);
	(void)snprintf(map, sizeof(map), "%u %u 1\n", GUEST_ID, uid);
	return write_file(path, map);
}

static int fail(const struct jail_fault *fault, struct psb_error *err)
{
	return psb_fail(err, PSB_E_SYSTEM, fault->sys_errno, "vmm: %s: %s", fault->step,
			strerror(fault->sys_errno));
}

static int complete(struct supervisor *supervisor, struct jail_fault *fault)
{
	const struct jail_root empty = {0};

	if (syscall(SYS_setresgid, GUEST_ID, GUEST_ID, GUEST_ID) < 0 ||
	    syscall(SYS_setresuid, GUEST_ID, GUEST_ID, GUEST_ID) < 0)
		return jail_fail(fault, errno, "take the namespace's id");
	if (jail_root_enter(&empty, fault) < 0)
		return -1;
	if (supervisor->files_fd < 0)
		files_open(supervisor);
	return jail_caps_clear(fault);
}

/* Returns in the supervisor only, when its maps are written. */
static int begin(struct supervisor *supervisor, int maps_fd, struct psb_error *err)
{
	struct jail_fault fault = {0};
	char byte = 'x';

	if (read(maps_fd, &byte, 1) != 1 || byte != MAPS_WRITTEN)
		(void)jail_fail(&fault, EPERM, "write the identity maps");
	else if (complete(supervisor, &fault) == 0)
		return 0;
	return fail(&fault, err);
}

/* The outer process; the supervisor goes on alone and holds the library's socket. */
__attribute__((noreturn)) static void write_maps_and_go(pid_t pid, int maps_fd)
{
	char byte = MAPS_WRITTEN;

	if (write_maps(pid) == 0)
		(void)!write(maps_fd, &byte, 1);
	_exit(0);
}

static int enter_namespaces(struct supervisor *supervisor, struct psb_error *err)
{
	const unsigned long flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC |
				    CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWPID | SIGCHLD;
	auto_fd read_end = -1;
	auto_fd write_end = -1;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: pipe: %s", strerror(errno));
	read_end = ends[0];
	write_end = ends[1];
	if (geteuid() == 0 && setgroups(0, NULL) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: setgroups: %s", strerror(errno));
	pid = (pid_t)syscall(SYS_clone, flags, 0, 0, 0, 0);
	if (pid < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: clone into namespaces: %s",
				strerror(errno));
	if (pid > 0)
		write_maps_and_go(pid, write_end);
	close_fd(&write_end);
	return begin(supervisor, read_end, err);
}

int nest_enter(struct supervisor *supervisor, struct psb_error *err)
{
	struct jail_fault fault = {0};

	if (supervisor->config.namespaces && enter_namespaces(supervisor, err) < 0)
		return -1;
	if (jail_no_new_privs(&fault) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return fail(&fault, err);
	return 0;
}
