#include "child.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
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
