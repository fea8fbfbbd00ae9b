/*
 * For the doctor's own test: the attack as a plain program of the system's interpreter, in a group
 * of its own, with our environment and descriptors. Here every attack must get through, or it
 * would prove nothing that a cage holds it. Reached by an environment variable only, and never as
 * root (doctor.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "doctor.h"

#define PATIENCE_MS 20000
#define TEXT_MAX_BYTES (1u << 20)

/* In the child. */
__attribute__((noreturn)) static void become_python(char *program, const char *directory, int out)
{
	char words[3][8] = {"python3", "-I", "-c"};
	char *argv[] = {words[0], words[1], words[2], program, NULL};

	(void)setpgid(0, 0);
	if (chdir(directory) || dup2(out, STDOUT_FILENO) < 0)
		_exit(126);
	(void)execv("/usr/bin/python3", argv);
	_exit(127);
}

/* Until the end of its output, for it may start others in its place. */
static int collect(int fd, struct run_end *end)
{
	struct pollfd news = {.fd = fd, .events = POLLIN};

	end->text = malloc(TEXT_MAX_BYTES);
	if (!end->text)
		return -ENOMEM;
	while (end->len < TEXT_MAX_BYTES) {
		ssize_t n;

		if (poll(&news, 1, PATIENCE_MS) <= 0)
			return -ETIMEDOUT;
		n = read(fd, end->text + end->len, TEXT_MAX_BYTES - end->len);
		if (n <= 0)
			return n < 0 ? -errno : 0;
		end->len += (size_t)n;
	}
	return 0;
}

static void judge_status(int status, struct run_end *end)
{
	if (WIFSIGNALED(status)) {
		end->status = PSB_CRASH;
		end->signal = WTERMSIG(status);
	} else {
		end->status = WEXITSTATUS(status) ? PSB_ERROR : PSB_OK;
	}
}

int uncaged_execute(const char *source, const char *inputs, const char *directory,
		    struct run_end *end)
{
	auto_free char *program = NULL;
	int pipes[2];
	int status = 0;
	pid_t pid;
	int rc;

	if (asprintf(&program, "import json\nglobals().update(json.loads(r'''%s'''))\n%s",
		     inputs ? inputs : "{}", source) < 0)
		return -ENOMEM;
	if (pipe2(pipes, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid == 0)
		become_python(program, directory, pipes[1]);
	(void)close(pipes[1]);
	rc = pid < 0 ? -EAGAIN : collect(pipes[0], end);
	(void)close(pipes[0]);
	if (pid < 0)
		return rc;
	(void)kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	judge_status(status, end);
	return rc == -ETIMEDOUT ? 0 : rc;
}
