/*
 * Theory of operation: each fact is one attempt. Namespaces are tried by a child that shares our
 * memory, runs on its own stack, does nothing and ends at once: a clone without an exit signal is
 * invisible to the host application's SIGCHLD handling and waitpid(-1).
 * Trust: the kernel's answers only.
 */
#include "host_probe/probe.h"

#include <errno.h>
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

static int do_nothing(void *unused)
{
	(void)unused;
	return 0;
}

/* Goes on beside us, on a stack that is ours: it is waited for before that goes. */
static int begin_namespaces(char stack[PROBE_STACK_BYTES])
{
	/* Whoever may make these two may make the others in them. */
	const int flags = CLONE_VM | CLONE_NEWUSER | CLONE_NEWPID;
	sigset_t all;
	sigset_t before;
	int pid;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = clone(do_nothing, stack + PROBE_STACK_BYTES, flags, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pid;
}

static bool end_namespaces(int pid)
{
	if (pid < 0)
		return false;
	while (waitpid(pid, NULL, (int)__WCLONE) < 0 && errno == EINTR)
		;
	return access("/proc/self/uid_map", F_OK) == 0;
}

static bool try_seccomp(void)
{
	uint32_t action = SECCOMP_RET_USER_NOTIF;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

void host_probe(struct host_facts *out)
{
	char stack[PROBE_STACK_BYTES] __attribute__((aligned(16)));
	int child = begin_namespaces(stack);
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
	out->namespaces = end_namespaces(child);
}
