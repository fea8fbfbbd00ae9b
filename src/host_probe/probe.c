/*
 * Theory of operation: each fact is one attempt. Namespaces are tried by making a process in new ones
 * under a number that no kernel gives the first process of one: it makes the namespaces, then refuses
 * the number, so there is no process to wait for, nor one that the host application could notice. Where
 * that call is not to be had, a child is made that does nothing: a clone without an exit signal is
 * invisible to the host application's SIGCHLD handling and waitpid(-1).
 * Trust: the kernel's answers only.
 */
#include "host_probe/probe.h"

#include <errno.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup/cgroup.h"
#include "jail/jail.h"

#define PROBE_STACK_BYTES 16384
/* Whoever may make these two may make the others in them. */
#define PROBE_FLAGS ((uint64_t)(CLONE_NEWUSER | CLONE_NEWPID))

static int do_nothing(void *unused)
{
	(void)unused;
	return 0;
}

static bool make_child(void)
{
	char stack[PROBE_STACK_BYTES] __attribute__((aligned(16)));
	sigset_t all;
	sigset_t before;
	int pid;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = clone(do_nothing, stack + PROBE_STACK_BYTES, CLONE_VM | (int)PROBE_FLAGS, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return false;
	while (waitpid(pid, NULL, (int)__WCLONE) < 0 && errno == EINTR)
		;
	return true;
}

/* The first process of a pid namespace has number 1. EINVAL is also what a kernel says that has no
 * namespaces: then their files are missing, too. */
static bool try_namespaces(void)
{
	pid_t impossible = 2;
	struct clone_args args = {.flags = CLONE_VM | CLONE_FILES | PROBE_FLAGS,
				  .set_tid = (uintptr_t)&impossible,
				  .set_tid_size = 1};
	long rc = syscall(SYS_clone3, &args, sizeof(args));

	if (rc < 0 && errno != EINVAL && !make_child())
		return false;
	return access("/proc/self/uid_map", F_OK) == 0 && access("/proc/self/ns/pid", F_OK) == 0;
}

static bool try_seccomp(void)
{
	uint32_t action = SECCOMP_RET_USER_NOTIF;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

void host_probe(struct host_facts *out)
{
	struct cgroup_host groups;
	struct psb_error err = {0};

	*out = (struct host_facts){.root = geteuid() == 0};
	out->cgroups = cgroup_find("/sys/fs/cgroup", "/proc/self/cgroup", &groups, &err) == 0;
	out->cgroup_v2 = out->cgroups && groups.unified;
	if (!out->cgroups)
		(void)snprintf(out->cgroup_missing, sizeof(out->cgroup_missing), "%.255s",
			       err.message);
	out->seccomp = try_seccomp();
	out->landlock_abi = jail_landlock_abi();
	out->namespaces = try_namespaces();
}
