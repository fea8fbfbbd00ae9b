/*
 * What a helper program does before anything else: nothing of the host application's process state
 * stays in force. Makes system calls only.
 * Trust: the host is trusted; but what it has of signal handling, terminals or folders is not ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engines/orphan.h"

/* A host that runs with real-time priority would have guests that the kernel's own threads wait for.
 * By number: musl has no such function. */
static void take_ordinary_priority(void)
{
	const struct sched_param none = {0};

	(void)syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &none);
}

static int digit_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Bytes of a cpu_set_t in hexadecimal digits. */
static void take_processors(const char *text)
{
	uint8_t bytes[sizeof(cpu_set_t)];
	cpu_set_t set;

	for (size_t i = 0; i < sizeof(bytes); i++) {
		int high = text ? digit_value(text[2 * i]) : -1;
		int low = high >= 0 ? digit_value(text[2 * i + 1]) : -1;

		if (low < 0)
			return;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(&set, bytes, sizeof(set));
	(void)sched_setaffinity(0, sizeof(set), &set);
}

void orphan_begin(const char *name, const char *processors)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct sigaction fallback = {.sa_handler = SIG_DFL};
	int null = open("/dev/null", O_RDWR);

	for (int fd = 0; fd < 3 && null >= 0; fd++)
		(void)dup2(null, fd);
	(void)syscall(SYS_close_range, ORPHAN_CONTROL_FD + 1, ~0u, 0);
	(void)fcntl(ORPHAN_CONTROL_FD, F_SETFD, FD_CLOEXEC);
	for (int number = 1; number < NSIG; number++)
		(void)sigaction(number, &fallback, NULL);
	/* Ctrl-C and hang-ups of the host's terminal are the host's: we end with its socket. */
	(void)setsid();
	take_ordinary_priority();
	(void)sigaction(SIGPIPE, &ignore, NULL);
	take_processors(processors);
	(void)prctl(PR_SET_NAME, name);
	(void)!chdir("/");
}

int orphan_watch_host(bool *gone)
{
	struct ucred host;
	socklen_t len = sizeof(host);
	int fd;

	*gone = false;
	if (getsockopt(ORPHAN_CONTROL_FD, SOL_SOCKET, SO_PEERCRED, &host, &len) < 0 ||
	    host.pid <= 0)
		return -1;
	fd = (int)syscall(SYS_pidfd_open, host.pid, 0);
	*gone = fd < 0 && errno == ESRCH;
	return fd;
}

void orphan_raise_open_files(uint64_t wanted)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}
