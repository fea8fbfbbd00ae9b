/*
 * The victim: a copy of this process that does nothing. It holds a secret at a known address, may
 * be traced by anybody of its user, and blocks every signal, so that one that arrives stays
 * pending and can be seen; SIGKILL and SIGSTOP show in its state. It ends when the pipe to us does,
 * so it cannot outlive us, and it keeps no other descriptor of ours.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "doctor.h"

#define LIFELINE_FD 3
#define VICTIM_FILES 333u /* recognisable: an attack that changes the limit is seen */

/* Async-signal-safe calls only: the parent may have threads. */
__attribute__((noreturn)) static void victim_main(int lifeline, int ready)
{
	struct rlimit files = {VICTIM_FILES, VICTIM_FILES};
	sigset_t all;
	char byte = 'r';

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	(void)setsid();
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	(void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	(void)setrlimit(RLIMIT_NOFILE, &files);
	if (write(ready, &byte, 1) != 1)
		_exit(1);
	/* Ours alone from here on: not the other end of the lifeline, not the keepers' sockets. */
	if (lifeline != LIFELINE_FD && dup2(lifeline, LIFELINE_FD) < 0)
		_exit(1);
	(void)syscall(SYS_close_range, LIFELINE_FD + 1, ~0u, 0);
	_exit(read(LIFELINE_FD, &byte, 1) != 0);
}

int victim_start(struct victim *victim, const char *secret)
{
	int lifeline[2];
	int ready[2];
	char byte;
	bool well;

	*victim = (struct victim){.pid = -1, .lifeline = -1, .secret = secret};
	if (pipe2(lifeline, O_CLOEXEC))
		return -errno;
	if (pipe2(ready, O_CLOEXEC)) {
		close_fd(&lifeline[0]);
		close_fd(&lifeline[1]);
		return -errno;
	}
	victim->pid = fork();
	if (victim->pid == 0)
		victim_main(lifeline[0], ready[1]);
	(void)close(lifeline[0]);
	(void)close(ready[1]);
	victim->lifeline = lifeline[1];
	well = victim->pid > 0 && read(ready[0], &byte, 1) == 1;
	(void)close(ready[0]);
	if (!well)
		victim_end(victim);
	return well ? 0 : -EAGAIN;
}

void victim_end(struct victim *victim)
{
	close_fd(&victim->lifeline);
	if (victim->pid > 0) {
		(void)kill(victim->pid, SIGKILL);
		while (waitpid(victim->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	victim->pid = -1;
}

/* The value of a line of /proc/PID/status, "" if there is none. */
static void status_line(const char *text, const char *key, char *out, size_t room)
{
	const char *at = strstr(text, key);

	out[0] = '\0';
	if (!at)
		return;
	at += strlen(key);
	while (isspace((unsigned char)*at))
		at++;
	(void)snprintf(out, room, "%.*s", (int)strcspn(at, "\n"), at);
}

static uint64_t pending_signals(const char *text, const char *key)
{
	char value[64];

	status_line(text, key, value, sizeof(value));
	return strtoull(value, NULL, 16);
}

/* NULL, or what is wrong: static, or in `said`. */
static const char *whats_wrong(const struct victim *victim, char said[32])
{
	char text[8192] = "";
	char path[64];
	char value[64];
	uint64_t pending;
	auto_file file = NULL;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)victim->pid);
	file = fopen(path, "re");
	if (!file || !fread(text, 1, sizeof(text) - 1, file))
		return "cannot be looked at";
	status_line(text, "\nState:", value, sizeof(value));
	if (value[0] == 'T' || value[0] == 't')
		return "was stopped";
	status_line(text, "\nTracerPid:", value, sizeof(value));
	if (strcmp(value, "0") != 0)
		return "is traced";
	pending = pending_signals(text, "\nSigPnd:") | pending_signals(text, "\nShdPnd:");
	/* On a busy machine the dead may need a while to be gone. */
	if (pending >> (SIGKILL - 1) & 1)
		return "was killed";
	if (!pending)
		return NULL;
	(void)snprintf(said, 32, "was signalled (%d)", __builtin_ctzll(pending) + 1);
	return said;
}

static bool memory_is_whole(const struct victim *victim)
{
	char text[MARK_BYTES] = "";
	struct iovec here = {text, MARK_BYTES - 1};
	struct iovec there = {(void *)(uintptr_t)victim->secret, MARK_BYTES - 1};
	ssize_t n = process_vm_readv(victim->pid, &here, 1, &there, 1, 0);

	/* Where we may not look (Yama and the like) nobody may write either. */
	return n < 0 || !strcmp(text, victim->secret);
}

static bool limits_are_whole(const struct victim *victim)
{
	struct rlimit files;
	bool known = !prlimit(victim->pid, RLIMIT_NOFILE, NULL, &files);

	return (!known || files.rlim_cur == VICTIM_FILES) &&
	       getpriority(PRIO_PROCESS, (id_t)victim->pid) == getpriority(PRIO_PROCESS, 0);
}

bool victim_check(struct victim *victim, struct judge *judge)
{
	const char *wrong;
	char said[32];

	if (waitpid(victim->pid, NULL, WNOHANG) != 0) {
		victim->pid = -1;
		judge_effect(judge, "victim", "signals", "the victim was killed");
		return true;
	}
	wrong = whats_wrong(victim, said);
	if (wrong)
		judge_effect(judge, "victim", "signals", wrong);
	if (!memory_is_whole(victim)) {
		wrong = "its memory was changed";
		judge_effect(judge, "victim", "host_memory", wrong);
	}
	if (!limits_are_whole(victim)) {
		wrong = "its limits were changed";
		judge_effect(judge, "victim", "signals", wrong);
	}
	return wrong != NULL;
}
