/*
 * The filters in the kernel: a child installs both and tries what they refuse, as root and as an
 * ordinary user, on every rung. Effects are looked at, not only error numbers.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "bpf.h"
#include "child.h"
#include "jail/jail.h"
#include "verdict_rows.h"

static enum jail_rung rung;
static bool allow_fork;

static void install(void)
{
	struct jail_fault fault = {0};

	if (jail_caps_clear(&fault) < 0 || jail_seccomp_template(rung, NULL, &fault) < 0 ||
	    jail_seccomp_instance(rung, allow_fork, getpid(), RESULT_FD, &fault) < 0) {
		if (fault.sys_errno == EPERM || fault.sys_errno == ENOSYS)
			SKIP("%s: errno %d", fault.step, fault.sys_errno);
		child_end(1, "%s: errno %d", fault.step, fault.sys_errno);
	}
}

/* Only refusals are tried for real: a refused call has no effect whatever its arguments. Without
 * a listener a report reads as ENOSYS. */
static void try_refused(const struct row *row)
{
	uint32_t verdict = allow_fork ? row->forker : row->instance;
	int want = verdict == REPORT ? ENOSYS : (int)(verdict & SECCOMP_RET_DATA);
	const uint64_t *a = row->args;
	long rc;

	if (verdict == ALLOW || !strchr(row->rungs, 'A' + (int)rung))
		return;
	for (size_t i = 0; i < 6; i++) {
		if (a[i] == OWN_PID) /* the row knows another pid than this process has */
			return;
	}
	rc = syscall(row->number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (want == 0 ? rc != 0 : rc != -1 || errno != want)
		child_end(1, "row %d, rung %c: %s gave %ld, errno %d instead of %d", row->line,
			  'A' + (int)rung, jail_syscall_name(row->number), rc, errno, want);
}

static void rows_body(void)
{
	install();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		try_refused(&rows[i]);
}

static void kernel_agrees_with_the_rows(void **state)
{
	(void)state;
	for (int i = 0; i < 16; i++) {
		rung = (enum jail_rung)(i / 4);
		allow_fork = i & 1;
		(void)child_run(rows_body, i & 2, false);
	}
	allow_fork = false;
}

/* Numbers without a name in the policy, with arguments that would fail anyway. */
static void unknown_body(void)
{
	install();
	for (long number = 451; number <= 1000; number++) {
		CHECK(syscall(number, -1L, -1L, -1L, -1L, -1L, -1L) == -1);
		CHECK(errno == ENOSYS);
	}
	CHECK(syscall(400, -1L) == -1 && errno == EPERM);
}

static void unknown_numbers_are_absent(void **state)
{
	(void)state;
	rung = RUNG_A;
	(void)child_run(unknown_body, false, false);
	(void)child_run(unknown_body, true, false);
}

static void result_body(void)
{
	int pipes[2];
	char byte = 0;

	CHECK(pipe(pipes) == 0 && dup2(pipes[1], RESULT_FD) == RESULT_FD);
	install();
	CHECK(close(RESULT_FD) == 0);
	CHECK(syscall(SYS_close, RESULT_FD | (1L << 32)) == 0);
	CHECK(dup2(0, RESULT_FD) == -1 && errno == EBADF);
	CHECK(syscall(SYS_dup3, 0L, RESULT_FD | (1L << 40), 0L) == -1 && errno == EBADF);
	CHECK(syscall(SYS_close_range, 0, 1000, 0) == -1 && errno == ENOSYS);
	CHECK(fcntl(RESULT_FD, F_SETFL, O_NONBLOCK) == -1 && errno == EPERM);
	CHECK(write(RESULT_FD, "x", 1) == 1 && read(pipes[0], &byte, 1) == 1 && byte == 'x');
}

static void result_pipe_stays(void **state)
{
	(void)state;
	for (int i = RUNG_A; i <= RUNG_D; i++) {
		rung = (enum jail_rung)i;
		(void)child_run(result_body, false, false);
	}
}

static void signals_body(void)
{
	pid_t parent = getppid();

	install();
	CHECK(kill(getpid(), 0) == 0);
	CHECK(syscall(SYS_tgkill, getpid(), getpid(), 0) == 0);
	CHECK(kill(parent, 0) == -1 && errno == EPERM);
	CHECK(kill(0, 0) == -1 && errno == EPERM);
	CHECK(kill(-1, 0) == -1 && errno == EPERM);
	CHECK(kill(1, 0) == -1 && errno == EPERM);
	CHECK(syscall(SYS_tgkill, parent, parent, 0) == -1 && errno == EPERM);
	CHECK(syscall(SYS_tkill, parent, 0) == -1 && errno == EPERM);
	CHECK(syscall(SYS_kill, getpid() | (1L << 32), 0) == -1 && errno == EPERM);
}

static void signals_are_pinned(void **state)
{
	(void)state;
	rung = RUNG_C;
	(void)child_run(signals_body, false, false);
	rung = RUNG_D;
	(void)child_run(signals_body, true, false);
}

static void *thread_main(void *arg)
{
	*(int *)arg = 7;
	return NULL;
}

static void threads_body(void)
{
	pthread_t thread;
	int value = 0;

	install();
	CHECK(pthread_create(&thread, NULL, thread_main, &value) == 0);
	CHECK(pthread_join(thread, NULL) == 0 && value == 7);
	CHECK(fork() == -1 && errno == EAGAIN);
	CHECK(syscall(SYS_vfork) == -1 && errno == EAGAIN);
}

static void forks_body(void)
{
	int status = 0;
	pid_t pid;

	install();
	pid = fork();
	if (pid == 0)
		_exit(9);
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 9);
	CHECK(execl("/bin/true", "true", (char *)NULL) == -1 && errno == EPERM);
}

static void threads_work_and_forks_by_leave(void **state)
{
	(void)state;
	rung = RUNG_B;
	(void)child_run(threads_body, true, false);
	allow_fork = true;
	(void)child_run(forks_body, true, false);
	allow_fork = false;
}

static int send_fd(int socket, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	char byte = 'f';
	struct iovec iov = {&byte, 1};
	struct msghdr header = {.msg_iov = &iov,
				.msg_iovlen = 1,
				.msg_control = control.bytes,
				.msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(socket, &header, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static int receive_fd(int socket)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr header = {.msg_iov = &iov,
				.msg_iovlen = 1,
				.msg_control = control.bytes,
				.msg_controllen = sizeof(control.bytes)};
	int fd = -1;

	if (recvmsg(socket, &header, 0) == 1 && CMSG_FIRSTHDR(&header))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof(fd));
	return fd;
}

static void descriptors_body(void)
{
	int pair[2];
	char byte = 0;

	install();
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	CHECK(send(pair[0], "x", 1, 0) == 1 && recv(pair[1], &byte, 1, 0) == 1 && byte == 'x');
	CHECK(send_fd(pair[0], 0) == -1 && errno == EPERM);
	CHECK(recv(pair[1], &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
	CHECK(send(pair[0], "x", 1, MSG_OOB) == -1 && errno == EPERM);
	CHECK(socket(AF_INET, SOCK_STREAM, 0) == -1 && errno == EPERM);
	CHECK(socket(AF_UNIX, SOCK_STREAM, 0) == -1 && errno == EPERM);
	CHECK(fcntl(pair[0], F_SETOWN, getppid()) == -1 && errno == EPERM);
	CHECK(fcntl(pair[0], F_SETFL, O_ASYNC) == -1 && errno == EPERM);
	CHECK(ioctl(0, TIOCSTI, "x") == -1 && errno == EPERM);
}

static void descriptors_stay_inside(void **state)
{
	(void)state;
	for (int i = RUNG_A; i <= RUNG_D; i++) {
		rung = (enum jail_rung)i;
		(void)child_run(descriptors_body, true, false);
	}
}

static long int80_getpid(void)
{
	long rc;

	__asm__ volatile("int $0x80" : "=a"(rc) : "a"(20L) : "memory");
	return rc;
}

static long x32_getpid(void)
{
	return syscall(0x40000000L + SYS_getpid);
}

static long ptrace_attach(void)
{
	return syscall(SYS_ptrace, 16L, 1L, 0L, 0L);
}

/* Without a listener too such a call has no effect. */
static void foreign_body(void)
{
	install();
	CHECK(x32_getpid() == -1 && errno == ENOSYS);
	CHECK((int)int80_getpid() == -ENOSYS);
}

static void foreign_calls_do_nothing(void **state)
{
	(void)state;
	(void)child_run(foreign_body, true, false);
}

static int sockets[2];

__attribute__((noreturn)) static void reported_body(long (*call)(void))
{
	struct jail_fault fault;
	int listener = -1;

	if (jail_seccomp_template(RUNG_A, &listener, &fault) < 0)
		SKIP("%s: errno %d", fault.step, fault.sys_errno);
	CHECK(fcntl(listener, F_GETFD) == FD_CLOEXEC);
	CHECK(send_fd(sockets[1], listener) == 0);
	(void)close(listener);
	CHECK(jail_seccomp_instance(RUNG_A, false, getpid(), RESULT_FD, &fault) == 0);
	child_end(1, "the call gave %ld", call());
}

static void one_is_reported(long (*call)(void), int number, uint32_t arch)
{
	struct seccomp_notif request = {0};
	int listener;
	int status;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	pid = fork();
	if (pid == 0) {
		(void)close(sockets[0]);
		reported_body(call);
	}
	(void)close(sockets[1]);
	listener = receive_fd(sockets[0]);
	(void)close(sockets[0]);
	if (listener < 0) {
		(void)waitpid(pid, &status, 0);
		skip();
	}
	assert_int_equal(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request), 0);
	assert_int_equal(request.data.nr, number);
	assert_int_equal(request.data.arch, arch);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	(void)close(listener);
}

/* The kill class and foreign calls arrive at the listener by number, through the instance's filter,
 * and the caller never comes back. */
static void kill_class_is_reported(void **state)
{
	(void)state;
	one_is_reported(ptrace_attach, SYS_ptrace, AUDIT_ARCH_X86_64);
	one_is_reported(x32_getpid, 0x40000000 + SYS_getpid, AUDIT_ARCH_X86_64);
	one_is_reported(int80_getpid, 20, AUDIT_ARCH_I386);
}

static void bad_values_body(void)
{
	struct jail_fault fault = {0};

	CHECK(jail_seccomp_instance((enum jail_rung)9, false, 1, 3, &fault) == -1);
	CHECK(jail_seccomp_instance(RUNG_A, false, 0, 3, &fault) == -1);
	CHECK(jail_seccomp_instance(RUNG_A, false, 1, -1, &fault) == -1);
	CHECK(fault.sys_errno == EINVAL && fault.step[0]);
	CHECK(prctl(PR_GET_SECCOMP) == 0);
}

static void bad_values_install_nothing(void **state)
{
	(void)state;
	(void)child_run(bad_values_body, false, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_agrees_with_the_rows),
		cmocka_unit_test(unknown_numbers_are_absent),
		cmocka_unit_test(result_pipe_stays),
		cmocka_unit_test(signals_are_pinned),
		cmocka_unit_test(threads_work_and_forks_by_leave),
		cmocka_unit_test(descriptors_stay_inside),
		cmocka_unit_test(foreign_calls_do_nothing),
		cmocka_unit_test(kill_class_is_reported),
		cmocka_unit_test(bad_values_install_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
