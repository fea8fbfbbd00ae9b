/*
 * The whole sequence of rungs A and B under the template's filter, as the zygote does it: a
 * pid namespace with an init, an instance in it with every step of the inner cage, then hostile
 * attempts. What the filters of the zygote must allow is only proven by doing it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"
#include "jail/jail.h"

#define RESULT_FD 250
#define MUST(call)                                                                                 \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			child_end(1, "%s: errno %d", fault.step, fault.sys_errno);                 \
	} while (0)

static char init_stack[1 << 16] __attribute__((aligned(16)));
static pid_t tid; /* the kernel writes the instance's there, and zero at its end */
static int done[2];

static int init_main(void *arg)
{
	(void)arg;
	(void)syscall(SYS_close, done[1]); /* else a dead instance would never be noticed */
	for (;;)
		(void)syscall(SYS_pause);
	return 0;
}

static void enter_cage(void)
{
	const uint64_t keep = JAIL_CAP(CAP_SYS_ADMIN) | JAIL_CAP(CAP_SETUID) | JAIL_CAP(CAP_SETGID);
	static const char *const dirs[] = {"/sandbox", NULL};
	const struct jail_bind bind = {.source = "/usr/lib"};
	const struct jail_root root = {.binds = &bind, .bind_count = 1, .dirs = dirs};
	struct jail_fault fault = {0};

	MUST(jail_root_enter(&root, &fault));
	MUST(jail_caps_bound(keep, &fault));
	MUST(jail_caps_ambient(keep, &fault));
	MUST(jail_seccomp_template(RUNG_A, NULL, &fault));
}

static void become_instance(void)
{
	const struct jail_landlock_rule rule = {.path = "/", .writable = true};
	const struct jail_rlimits limits = {.file_size_bytes = 1 << 16, .open_files = 64};
	struct jail_fault fault = {0};

	CHECK(setpgid(0, 0) == 0);
	MUST(jail_tmpfs_mount("/sandbox", 1 << 20, 32, &fault));
	CHECK(chdir("/sandbox") == 0 && mkdir("workspace", 0700) == 0);
	CHECK(syscall(SYS_setresgid, 0, 0, 0) == 0 && syscall(SYS_setresuid, 0, 0, 0) == 0);
	if (jail_landlock_abi() > 0) {
		int ruleset = jail_landlock_create(&rule, 1, false, &fault);

		MUST(ruleset);
		MUST(jail_landlock_restrict(ruleset, &fault));
		CHECK(close(ruleset) == 0);
	}
	CHECK(dup2(done[1], RESULT_FD) == RESULT_FD);
	CHECK(syscall(SYS_close_range, RESULT_FD + 1, ~0u, 0) == 0);
	MUST(jail_rlimits_apply(&limits, &fault));
	MUST(jail_caps_clear(&fault));
	MUST(jail_seccomp_instance(RUNG_A, false, getpid(), RESULT_FD, &fault));
}

/* Nobody but itself and the init of its namespace is there to be signalled. */
static void attack(void)
{
	struct statvfs fs;

	CHECK(getpid() == 2 && getppid() == 0);
	for (pid_t pid = 3; pid < 4096; pid++)
		CHECK(kill(pid, 0) == -1 && errno == ESRCH);
	CHECK(syscall(SYS_setns, 3, CLONE_NEWPID) == -1 && errno == EPERM);
	CHECK(syscall(SYS_clone, JAIL_CLONE_GUEST_FLAGS, 0, 0, 0, 0) == -1 && errno == EPERM);
	CHECK(syscall(SYS_clone, JAIL_CLONE_INIT_FLAGS, 0, 0, 0, 0) == -1 && errno == EPERM);
	CHECK(mount("tmpfs", "/sandbox/workspace", "tmpfs", 0xe, "") == -1 && errno == EPERM);
	CHECK(syscall(SYS_setresuid, 0, 0, 0) == -1 && errno == EPERM);
	CHECK(syscall(SYS_unshare, CLONE_NEWUSER) == -1 && errno == ENOSYS);
	CHECK(open("workspace/file", O_CREAT | O_RDWR, 0600) >= 0);
	CHECK(statvfs("/sandbox", &fs) == 0 && (fs.f_flag & ST_NOEXEC));
	CHECK(open("/usr/intruder", O_CREAT | O_RDWR, 0600) == -1);
	CHECK(write(RESULT_FD, "k", 1) == 1);
}

static void zygote_main(void)
{
	int own;
	int pidfd;
	pid_t init;
	long guest;
	char byte = 0;

	CHECK(pipe(done) == 0);
	enter_cage();
	own = (int)syscall(SYS_pidfd_open, getpid(), 0);
	init = clone(init_main, init_stack + sizeof(init_stack), JAIL_CLONE_INIT_FLAGS, NULL);
	CHECK(own >= 0 && init > 0);
	pidfd = (int)syscall(SYS_pidfd_open, init, 0);
	CHECK(pidfd >= 0 && setns(pidfd, CLONE_NEWPID) == 0);
	guest = syscall(SYS_clone, JAIL_CLONE_GUEST_FLAGS, 0, 0, &tid, 0);
	if (guest == 0) {
		become_instance();
		attack();
		_exit(0);
	}
	CHECK(guest > 0 && setns(own, CLONE_NEWPID) == 0);
	(void)close(done[1]);
	(void)!read(done[0], &byte, 1); /* the guest's own report says why, if not 'k' */
	CHECK(kill(init, SIGKILL) == 0);
	if (byte != 'k')
		_exit(1);
	CHECK(access("/sandbox/workspace", F_OK) == -1); /* its mount was its own */
	_exit(0);
}

static void wait_for(pid_t pid)
{
	int status = 0;

	if (waitpid(pid, &status, 0) != pid || status != 0)
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/* The way back from setns needs a pid namespace that belongs to the zygote's user namespace, and
 * CLONE_PARENT a caller that is not its init: hence two forks. The init's end takes all with it. */
static void zygote_body(void)
{
	pid_t pid;

	child_namespaces();
	CHECK(unshare(CLONE_NEWPID) == 0);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failing test leaves nothing behind */
		pid = fork();
		if (pid == 0)
			zygote_main();
		wait_for(pid);
		_exit(0);
	}
	CHECK(pid > 0);
	wait_for(pid);
}

static void an_instance_is_born(void **state)
{
	(void)state;
	(void)child_run(zygote_body, false, false);
	(void)child_run(zygote_body, true, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(an_instance_is_born)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
