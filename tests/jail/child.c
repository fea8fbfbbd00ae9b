/*
 * Runs a body in a child of its own, as root or as an ordinary user, and tells what it reported:
 * filters and lost capabilities cannot be taken back in the test's process.
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define CHILD_SECONDS 20

static int report_fd = -1;

void child_end(int code, const char *format, ...)
{
	char text[400];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len > 0)
		(void)!write(report_fd, text, strlen(text));
	_exit(code);
}

static void child_main(void (*body)(void), bool as_nobody)
{
	(void)alarm(CHILD_SECONDS);
	if (as_nobody && geteuid() == 0) {
		if (syscall(SYS_setgroups, 0, NULL) < 0 ||
		    syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY) < 0 ||
		    syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY) < 0)
			SKIP("cannot become another user");
	}
	body();
	_exit(0);
}

int child_run(void (*body)(void), bool as_nobody, bool dies)
{
	char text[401] = "";
	ssize_t len;
	int pipes[2];
	int status = 0;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	report_fd = pipes[1];
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		child_main(body, as_nobody);
	(void)close(pipes[1]);
	len = read(pipes[0], text, sizeof(text) - 1);
	(void)close(pipes[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_SKIP) {
		print_message("skipped: %s\n", text);
		skip();
	}
	if (len > 0)
		fail_msg("%s", text);
	if (!dies && status != 0)
		fail_msg("the child ended with wait status 0x%x", (unsigned int)status);
	return status;
}

static void write_map(const char *path, unsigned int id)
{
	char text[40];
	int len = snprintf(text, sizeof(text), "0 %u 1", id);
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, (size_t)len) != len)
		SKIP("cannot write %s: errno %d", path, errno);
	(void)close(fd);
}

void child_namespaces(void)
{
	unsigned int uid = geteuid();
	unsigned int gid = getegid();
	int fd;

	(void)prctl(PR_SET_DUMPABLE, 1); /* a changed uid took /proc/self away */
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET) < 0)
		SKIP("the host denies user namespaces: errno %d", errno);
	fd = open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, "deny", 4);
		(void)close(fd);
	}
	write_map("/proc/self/uid_map", uid);
	write_map("/proc/self/gid_map", gid);
}
