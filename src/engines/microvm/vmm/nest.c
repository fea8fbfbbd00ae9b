/*
 * Theory of operation: an outer process makes the namespaces (user, pid, mount, network, ipc, uts,
 * cgroup) in a child whose identity maps it writes, as only an outsider may; that child goes into an
 * empty root, makes the first process of the pid namespace and is gone. The one inside gives up all
 * capabilities. Used twice: for the supervisor, whose children the workers are, and for the process
 * that boots a machine. Whatever a guest could make of either, it finds no file, no network, no
 * other process; and when the first process ends, the kernel ends all others inside.
 * To make namespaces takes most of a millisecond. So the outer process may do its own work
 * meanwhile: the child shares its table of descriptors until it is let go with what was prepared.
 * The outer process may stay, as the adoptive parent of the one inside, to clear away what only an
 * outsider can.
 * Trust boundary: no foreign byte has been read yet. Any failure ends the engine.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
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
#include "engines/aside.h"
#include "ipc/transfer.h"
#include "jail/jail.h"
#include "nest.h"

#define GUEST_ID 1000u
#define UID_RANGE_START 1200000000u

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

/* The table of descriptors is the outer process's: no end of file would tell of its end. */
static int end_with_parent(pid_t parent, struct jail_fault *fault)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		return jail_fail(fault, errno, "be tied to the parent");
	return 0;
}

static int enter_namespaces(const struct nest_birth *birth, pid_t parent, struct jail_fault *fault)
{
	const int flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
			  CLONE_NEWCGROUP | CLONE_NEWPID;
	char byte = 'm';

	if (geteuid() == 0 && setgroups(0, NULL) < 0)
		return jail_fail(fault, errno, "setgroups");
	if (unshare(flags) < 0)
		return jail_fail(fault, errno, "unshare namespaces");
	if (end_with_parent(parent, fault) < 0)
		return -1;
	if (write(birth->up[1], &byte, 1) != 1 || read(birth->down[0], &byte, 1) != 1 ||
	    byte != 'k')
		return jail_fail(fault, EPERM, "write the identity maps");
	return 0;
}

static int enter_root(pid_t parent, struct jail_fault *fault)
{
	const struct jail_root empty = {.no_devices = true};

	if (syscall(SYS_setresgid, GUEST_ID, GUEST_ID, GUEST_ID) < 0 ||
	    syscall(SYS_setresuid, GUEST_ID, GUEST_ID, GUEST_ID) < 0)
		return jail_fail(fault, errno, "take the namespace's id");
	/* A new identity has forgotten it. */
	if (end_with_parent(parent, fault) < 0)
		return -1;
	return jail_root_enter(&empty, fault);
}

/* What the outer process has prepared: descriptors, from here on our own, and its luggage. */
static int be_let_go(const struct nest *nest, const struct nest_birth *birth,
		     struct jail_fault *fault)
{
	char byte;

	if (!transfer_read(birth->down[0], nest->luggage, nest->luggage_bytes) ||
	    read(birth->down[0], &byte, 1) != 1)
		return jail_fail(fault, EPIPE, "be let go");
	if (unshare(CLONE_FILES) < 0)
		return jail_fail(fault, errno, "unshare descriptors");
	if (nest->prepare)
		nest->prepare(nest->context);
	return 0;
}

static void close_birth(struct nest_birth *birth)
{
	for (size_t i = 0; i < 2; i++) {
		close_fd(&birth->up[i]);
		close_fd(&birth->down[i]);
	}
	close_fd(&birth->pidfd);
}

/* Our parent is the process outside once the middle one is gone, which only it can tell. Its end
 * shows as that of the pipe. */
static int be_adopted(const struct nest_birth *birth, struct jail_fault *fault)
{
	struct pollfd outside = {.fd = birth->down[0], .events = POLLIN};
	char byte;

	if (!transfer_read(birth->down[0], &byte, 1) || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
	    poll(&outside, 1, 0) != 0)
		return jail_fail(fault, errno, "be adopted");
	return 0;
}

static int begin_inside(const struct nest *nest, struct nest_birth *birth, struct jail_fault *fault)
{
	close_fd(&birth->down[1]);
	if (jail_caps_clear(fault) < 0)
		return -1;
	if (nest->outside_fd)
		*nest->outside_fd = take_fd(birth->down[0]);
	else if (nest->linger && be_adopted(birth, fault) < 0)
		return -1;
	close_birth(birth);
	return 0;
}

/* The middle process: ends once the one inside is born. Returns inside only. */
static void middle(const struct nest *nest, struct nest_birth *birth, pid_t parent)
{
	struct jail_fault fault = {0};
	struct psb_error err = {0};
	pid_t pid = -1;

	if (enter_namespaces(birth, parent, &fault) == 0 && enter_root(parent, &fault) == 0 &&
	    be_let_go(nest, birth, &fault) == 0) {
		pid = fork();
		if (pid < 0)
			(void)jail_fail(&fault, errno, "fork inside the namespaces");
	}
	if (pid > 0)
		_exit(0);
	if (pid == 0 && begin_inside(nest, birth, &fault) == 0)
		return;
	(void)fail(&fault, &err);
	nest->failed(nest->context, err.message);
	_exit(1);
}

static int open_birth(struct nest_birth *birth, struct psb_error *err)
{
	*birth = (struct nest_birth){.up = {-1, -1}, .down = {-1, -1}, .pidfd = -1};
	if (pipe2(birth->up, O_CLOEXEC) < 0 || pipe2(birth->down, O_CLOEXEC) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: pipe: %s", strerror(errno));
	return 0;
}

/* A fork, but for the table of descriptors. */
static pid_t fork_sharing_files(int *pidfd)
{
	return (pid_t)syscall(SYS_clone, CLONE_FILES | CLONE_PIDFD | SIGCHLD, 0, pidfd, 0, 0);
}

static int start_middle(const struct nest *nest, struct nest_birth *birth, struct psb_error *err)
{
	pid_t parent = getpid();

	if (nest->linger && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: adopt orphans: %s",
				strerror(errno));
	birth->pid = fork_sharing_files(&birth->pidfd);
	if (birth->pid < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: fork: %s", strerror(errno));
	if (birth->pid > 0) {
		aside_send(birth->pid);
		return NEST_OUTSIDE;
	}
	middle(nest, birth, parent);
	return NEST_INSIDE;
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

int nest_begin(const struct nest *nest, struct nest_birth *birth, struct psb_error *err)
{
	int rc = open_birth(birth, err);

	if (rc == 0 && nest->namespaces)
		rc = start_middle(nest, birth, err);
	if (rc < 0)
		close_birth(birth);
	if (rc == NEST_INSIDE)
		return give_up_privileges(err) < 0 ? -1 : NEST_INSIDE;
	return rc < 0 ? rc : NEST_OUTSIDE;
}

int nest_write_maps(const struct nest *nest, const struct nest_birth *birth, struct psb_error *err)
{
	struct pollfd fds[] = {{.fd = birth->up[0], .events = POLLIN},
			       {.fd = birth->pidfd, .events = POLLIN}};
	char byte;

	if (!nest->namespaces)
		return 0;
	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: poll: %s", strerror(errno));
	if (!(fds[0].revents & POLLIN) || read(birth->up[0], &byte, 1) != 1)
		return psb_fail(err, PSB_E_SYSTEM, 0, "vmm: no namespaces were made");
	byte = write_maps(birth->pid) == 0 ? 'k' : 'x';
	if (write(birth->down[1], &byte, 1) != 1)
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: pipe: %s", strerror(errno));
	return 0;
}

/* False: it waits for the word until we end. */
static bool tell_adopted(const struct nest *nest, const struct nest_birth *birth)
{
	const char byte = 'a';

	return nest->outside_fd || transfer_write(birth->down[1], &byte, 1);
}

/* Outside. The orphan inside is adopted, so that its end is seen. */
__attribute__((noreturn)) static void stay_outside(const struct nest *nest,
						   const struct nest_birth *birth)
{
	int worst = 0;
	int status;

	if (!nest->linger) {
		(void)waitpid(birth->pid, NULL, 0);
		_exit(0);
	}
	if (nest->left)
		nest->left(nest->context);
	for (;;) {
		pid_t pid = wait(&status);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			break;
		worst |= status;
		if (pid == birth->pid && status == 0 && !tell_adopted(nest, birth))
			_exit(1);
	}
	if (nest->ended)
		nest->ended(nest->context);
	_exit(worst != 0);
}

int nest_let_go(const struct nest *nest, struct nest_birth *birth, struct psb_error *err)
{
	const char byte = 'g';

	if (!nest->namespaces)
		return give_up_privileges(err);
	if (!transfer_write(birth->down[1], nest->luggage, nest->luggage_bytes) ||
	    !transfer_write(birth->down[1], &byte, 1))
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: pipe: %s", strerror(errno));
	/* Nothing is closed: the middle process may not have its own table yet. */
	stay_outside(nest, birth);
}

void nest_give_up(struct nest_birth *birth)
{
	if (birth->pid > 0) {
		(void)kill(birth->pid, SIGKILL);
		(void)waitpid(birth->pid, NULL, 0);
	}
	close_birth(birth);
}

int nest_enter(const struct nest *nest, struct psb_error *err)
{
	struct nest_birth birth;
	int rc = nest_begin(nest, &birth, err);

	if (rc != NEST_OUTSIDE)
		return rc < 0 ? rc : 0;
	rc = nest_write_maps(nest, &birth, err);
	if (rc == 0)
		rc = nest_let_go(nest, &birth, err);
	if (rc < 0)
		nest_give_up(&birth);
	return rc;
}
