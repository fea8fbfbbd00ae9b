/*
 * Theory of operation: an outer process makes the namespaces (user, pid, mount, network, ipc, uts,
 * cgroup) in a child whose identity maps it writes, as only an outsider may; that child makes the
 * first process of the pid namespace and is gone. The one inside pivots into an empty root and gives
 * up all capabilities. Used twice: for the supervisor, whose children the workers are, and for the
 * process that boots a machine. Whatever a guest could make of either, it finds no file, no network,
 * no other process; and when the first process ends, the kernel ends all others inside.
 * The outer process may stay, as the adoptive parent of the one inside, to clear away what only an
 * outsider can.
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
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/error.h"
#include "jail/jail.h"
#include "nest.h"

#define GUEST_ID 1000u
#define UID_RANGE_START 1200000000u

struct nest_pipes {
	int up[2];   /* "m": write my maps */
	int down[2]; /* "k": done */
};

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

static int enter_namespaces(const struct nest_pipes *pipes, struct jail_fault *fault)
{
	const int flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
			  CLONE_NEWCGROUP | CLONE_NEWPID;
	char byte = 'm';

	if (geteuid() == 0 && setgroups(0, NULL) < 0)
		return jail_fail(fault, errno, "setgroups");
	if (unshare(flags) < 0)
		return jail_fail(fault, errno, "unshare namespaces");
	if (write(pipes->up[1], &byte, 1) != 1 || read(pipes->down[0], &byte, 1) != 1 ||
	    byte != 'k')
		return jail_fail(fault, EPERM, "write the identity maps");
	return 0;
}

static int complete(const struct nest *nest, struct jail_fault *fault)
{
	const struct jail_root empty = {.no_devices = true};

	if (syscall(SYS_setresgid, GUEST_ID, GUEST_ID, GUEST_ID) < 0 ||
	    syscall(SYS_setresuid, GUEST_ID, GUEST_ID, GUEST_ID) < 0)
		return jail_fail(fault, errno, "take the namespace's id");
	if (jail_root_enter(&empty, fault) < 0)
		return -1;
	if (nest->prepare)
		nest->prepare(nest->context);
	return jail_caps_clear(fault);
}

/* Inside, with linger: ends with the process outside, which is our parent once the middle one, the
 * last to hold the pipe, is gone. */
static int tie_to_parent(int pipe_ends[2], struct jail_fault *fault)
{
	char byte;

	close_fd(&pipe_ends[1]);
	if (read(pipe_ends[0], &byte, 1) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return jail_fail(fault, errno, "be adopted");
	close_fd(&pipe_ends[0]);
	return 0;
}

/* The middle process: ends once the one inside is born. Returns inside only. */
static int middle(const struct nest *nest, const struct nest_pipes *pipes)
{
	struct jail_fault fault = {0};
	struct psb_error err = {0};
	int tie[2];
	pid_t pid;

	if (enter_namespaces(pipes, &fault) < 0)
		goto failed;
	if (pipe2(tie, O_CLOEXEC) < 0) {
		(void)jail_fail(&fault, errno, "pipe");
		goto failed;
	}
	pid = fork();
	if (pid > 0)
		_exit(0);
	if (pid == 0 && complete(nest, &fault) == 0 &&
	    (!nest->linger || tie_to_parent(tie, &fault) == 0)) {
		close_fd(&tie[0]);
		close_fd(&tie[1]);
		return 0;
	}
	if (pid < 0)
		(void)jail_fail(&fault, errno, "fork inside the namespaces");
failed:
	(void)fail(&fault, &err);
	nest->failed(nest->context, err.message);
	_exit(1);
}

/* Outside. The orphan inside is adopted, so that its end is seen. */
__attribute__((noreturn)) static void stay_outside(const struct nest *nest, pid_t middle_pid)
{
	int worst = 0;
	int status;

	if (!nest->linger) {
		(void)waitpid(middle_pid, NULL, 0);
		_exit(0);
	}
	for (;;) {
		pid_t pid = wait(&status);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			break;
		worst |= status;
	}
	if (nest->ended)
		nest->ended(nest->context);
	_exit(worst != 0);
}

static int start_middle(const struct nest *nest, struct nest_pipes *pipes, struct psb_error *err)
{
	char byte = 'k';
	pid_t pid;

	if (nest->linger && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: adopt orphans: %s",
				strerror(errno));
	pid = fork();
	if (pid < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: fork: %s", strerror(errno));
	if (pid == 0) {
		close_fd(&pipes->up[0]);
		close_fd(&pipes->down[1]);
		return middle(nest, pipes);
	}
	close_fd(&pipes->up[1]);
	close_fd(&pipes->down[0]);
	if (read(pipes->up[0], &byte, 1) == 1) {
		byte = write_maps(pid) == 0 ? 'k' : 'x';
		(void)!write(pipes->down[1], &byte, 1);
	}
	/* Or one that waits for an answer would wait as long as we do for its end. */
	close_fd(&pipes->up[0]);
	close_fd(&pipes->down[1]);
	stay_outside(nest, pid);
}

static int give_up_privileges(struct psb_error *err)
{
	struct jail_fault fault = {0};

	if (jail_no_new_privs(&fault) < 0)
		return fail(&fault, err);
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: prctl: %s", strerror(errno));
	return 0;
}

int nest_enter(const struct nest *nest, struct psb_error *err)
{
	struct nest_pipes pipes = {{-1, -1}, {-1, -1}};
	int rc;

	if (!nest->namespaces)
		return give_up_privileges(err);
	if (pipe2(pipes.up, O_CLOEXEC) < 0 || pipe2(pipes.down, O_CLOEXEC) < 0)
		rc = psb_fail(err, PSB_E_SYSTEM, errno, "vmm: pipe: %s", strerror(errno));
	else
		rc = start_middle(nest, &pipes, err);
	close_fd(&pipes.up[0]);
	close_fd(&pipes.up[1]);
	close_fd(&pipes.down[0]);
	close_fd(&pipes.down[1]);
	return rc < 0 ? rc : give_up_privileges(err);
}
