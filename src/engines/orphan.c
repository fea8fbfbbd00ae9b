/*
 * Theory of operation: a clone that shares our memory (no exit signal: invisible to SIGCHLD and
 * waitpid(-1)) makes the real child, which execs, and ends at once; the program is then an orphan.
 * Nothing of the host's descriptors, environment or signal mask is inherited.
 * All three begin on one processor: two idle ones woken in turn take longer than all the rest. Then the
 * program has it for itself.
 * A host that is process 1 or a subreaper adopts the program, as it adopts every orphan.
 * Trust boundary: none is crossed; the program is our own, found by libexec_find().
 */
#include "engines/orphan.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/error.h"
#include "core/place.h"
#include "engines/aside.h"

#define SPAWN_STACK_BYTES (64u << 10)

struct spawn {
	const char *path;
	char *name;
	int socket;
	int error;
	bool stayed; /* on one processor */
	struct place_stay stay;
	char processors_text[2 * sizeof(cpu_set_t) + 1]; /* those from before */
};

/* In the second process: only system calls between here and exec. */
__attribute__((noreturn)) static void exec_program(struct spawn *spawn)
{
	char *argv[] = {spawn->name, spawn->stayed ? spawn->processors_text : NULL, NULL};
	char *envp[] = {NULL};
	sigset_t none;
	int fd = spawn->socket;

	/* If 3 is free the socket may already be there, close-on-exec: dup2 would change nothing. */
	if (fd == ORPHAN_CONTROL_FD)
		(void)fcntl(fd, F_SETFD, 0);
	else if (dup2(fd, ORPHAN_CONTROL_FD) < 0)
		_exit(127);
	(void)syscall(SYS_close_range, ORPHAN_CONTROL_FD + 1, ~0u, 0);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)execve(spawn->path, argv, envp);
	spawn->error = errno;
	_exit(127);
}

static int intermediate_main(void *argument)
{
	struct spawn *spawn = argument;
	pid_t pid = vfork();

	if (pid == 0)
		exec_program(spawn);
	if (pid < 0)
		spawn->error = errno;
	return 0;
}

/* It has our processors back when it has begun: at the exec the kernel would look for a better one. */
static void stay(struct spawn *spawn)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t bytes[sizeof(cpu_set_t)];

	spawn->stayed = place_stay(&spawn->stay);
	memcpy(bytes, &spawn->stay.before, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++) {
		spawn->processors_text[2 * i] = digits[bytes[i] >> 4];
		spawn->processors_text[2 * i + 1] = digits[bytes[i] & 15];
	}
}

static int spawn_orphan(struct spawn *spawn)
{
	auto_free char *stack = malloc(SPAWN_STACK_BYTES);
	sigset_t all;
	sigset_t before;
	int pid;

	if (!stack)
		return -ENOMEM;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	stay(spawn);
	pid = clone(intermediate_main, stack + SPAWN_STACK_BYTES, CLONE_VM | CLONE_VFORK, spawn);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		spawn->error = errno;
	while (pid > 0 && waitpid(pid, NULL, (int)__WCLONE) < 0 && errno == EINTR)
		;
	if (spawn->stayed)
		aside_go(&spawn->stay.before);
	return -spawn->error;
}

int orphan_start(const char *libexec, const char *program, const char *who, const void *config,
		 size_t config_bytes, int *control_fd, struct psb_error *err)
{
	char path[600];
	char name[64];
	struct spawn spawn = {.path = path, .name = name};
	auto_fd ours = -1;
	auto_fd theirs = -1;
	int pair[2];
	int rc;

	(void)snprintf(path, sizeof(path), "%.500s/%.60s", libexec, program);
	(void)snprintf(name, sizeof(name), "%.60s", program);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "%s: socketpair: %s", who,
				strerror(errno));
	ours = pair[0];
	theirs = pair[1];
	spawn.socket = theirs;
	/* Before there is anybody to read it: the program then need not wait for it. */
	if (send(ours, config, config_bytes, MSG_NOSIGNAL) != (ssize_t)config_bytes)
		return psb_fail(err, PSB_E_ENGINE, errno, "%s: cannot configure %s: %s", who, name,
				strerror(errno));
	rc = spawn_orphan(&spawn);
	if (rc < 0)
		return psb_fail(err, PSB_E_ENGINE, -rc, "%s: cannot start %.400s: %s", who, path,
				strerror(-rc));
	(void)fcntl(ours, F_SETFL, O_NONBLOCK);
	*control_fd = take_fd(ours);
	return 0;
}
