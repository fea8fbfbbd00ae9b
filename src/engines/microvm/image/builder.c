/*
 * Theory of operation: packing and booting take seconds, in which nobody could look whether the
 * library is still there. So they happen in a child, with a process group of its own for all that
 * it starts; this process waits for its reports and for the end of the library's socket or process.
 * When that ends the whole group is killed, and when this process is killed itself the kernel kills the child.
 * What the child tells is handed on at a bounded rate, and told again while a long step lasts: the
 * library gives up an engine that is silent for a minute. A builder that makes no step for ten
 * minutes is stuck (or waits for one that is) and is ended.
 * Trust boundary: the child runs our code; the guest that it boots is in a process below it.
 */
#include "builder.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/error.h"

#define RATE_US UINT64_C(100000)
#define REPEAT_US UINT64_C(5000000)
#define STUCK_US UINT64_C(600000000)

struct watch {
	const struct builder *builder;
	pid_t pid;
	int report_fd;
	uint64_t step_us; /* when the child last spoke */
	uint64_t told_us; /* when we last did */
	bool told;        /* the text below was handed on */
	char text[MICROVM_TEXT_BYTES];
};

void builder_tell(const struct builder *builder, const char *text)
{
	struct vmm_reply report = {.type = VMM_PROGRESS};

	(void)snprintf(report.text, sizeof(report.text), "%s", text);
	(void)send(builder->report_fd, &report, sizeof(report), MSG_NOSIGNAL);
}

__attribute__((noreturn)) static void child_main(struct builder *builder, pid_t parent)
{
	struct vmm_reply report = {.type = VMM_DONE};
	struct psb_error err = {0};

	/* The guest that will be booted is below us. */
	(void)close(builder->host->fd);
	(void)close(builder->host->pidfd);
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (builder->work(builder, builder->argument, &err) < 0) {
		report.type = VMM_FAILED;
		(void)snprintf(report.text, sizeof(report.text), "%.399s", err.message);
	}
	(void)send(builder->report_fd, &report, sizeof(report), MSG_NOSIGNAL);
	_exit(0);
}

static void hand_on(struct watch *watch, uint64_t now)
{
	uint64_t lasting_s = (now - watch->step_us) / 1000000;
	char text[MICROVM_TEXT_BYTES];

	if (lasting_s > 0)
		(void)snprintf(text, sizeof(text), "%.380s (%llu s)", watch->text,
			       (unsigned long long)lasting_s);
	else
		(void)snprintf(text, sizeof(text), "%s", watch->text);
	if (watch->builder->host->progress)
		watch->builder->host->progress(watch->builder->host->context, text);
	watch->told = true;
	watch->told_us = now;
}

/* 1: goes on, 0: done, negative: failed. */
static int take_report(struct watch *watch, struct psb_error *err)
{
	struct vmm_reply report;
	ssize_t n = recv(watch->report_fd, &report, sizeof(report), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	if (n != (ssize_t)sizeof(report))
		return psb_fail(err, PSB_E_ENGINE, 0, "image: the builder was killed");
	report.text[sizeof(report.text) - 1] = '\0';
	if (report.type == VMM_DONE)
		return 0;
	if (report.type == VMM_FAILED)
		return psb_fail(err, PSB_E_ENGINE, 0, "%s", report.text);
	memcpy(watch->text, report.text, sizeof(watch->text));
	watch->told = false;
	watch->step_us = clock_us();
	return 1;
}

static int wait_ms(const struct watch *watch, uint64_t now)
{
	uint64_t due = watch->told_us + (watch->told ? REPEAT_US : RATE_US);

	return due > now ? (int)((due - now) / 1000 + 1) : 0;
}

static int watch_child(struct watch *watch, struct psb_error *err)
{
	struct pollfd fds[] = {
		{.fd = watch->report_fd, .events = POLLIN},
		/* Its messages may wait; only its end matters. */
		{.fd = watch->builder->host->fd, .events = POLLRDHUP},
		{.fd = watch->builder->host->pidfd, .events = POLLIN},
	};

	for (;;) {
		uint64_t now = clock_us();
		int rc = poll(fds, 3, wait_ms(watch, now));

		if (rc < 0 && errno != EINTR)
			return psb_fail(err, PSB_E_SYSTEM, errno, "image: poll: %s",
					strerror(errno));
		if (rc > 0 && (fds[1].revents || fds[2].revents))
			return psb_fail(err, PSB_E_SYSTEM, 0, "image: nobody waits for it");
		if (rc > 0 && fds[0].revents) {
			rc = take_report(watch, err);
			if (rc <= 0)
				return rc;
		}
		now = clock_us();
		if (wait_ms(watch, now) == 0)
			hand_on(watch, now);
		if (now - watch->step_us > STUCK_US)
			return psb_fail(err, PSB_E_ENGINE, 0,
					"image: stuck for 600 s at \"%.200s\"; see whether "
					"another builder hangs",
					watch->text);
	}
}

int builder_run(struct builder *builder, struct psb_error *err)
{
	struct watch watch = {.builder = builder,
			      .step_us = clock_us(),
			      .told = true,
			      .text = "waiting for another builder"};
	auto_fd ours = -1;
	int ends[2];
	pid_t parent = getpid();
	int adopts = 0;
	int rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "image: socketpair: %s", strerror(errno));
	ours = ends[0];
	watch.report_fd = ours;
	builder->report_fd = ends[1];
	watch.told_us = watch.step_us;
	(void)prctl(PR_GET_CHILD_SUBREAPER, &adopts);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	watch.pid = fork();
	if (watch.pid == 0)
		child_main(builder, parent);
	(void)close(ends[1]);
	if (watch.pid < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "image: fork: %s", strerror(errno));
	(void)setpgid(watch.pid, watch.pid); /* the child does so too: whoever is first */
	rc = watch_child(&watch, err);
	if (rc < 0)
		(void)kill(-watch.pid, SIGKILL);
	/* Its orphans become ours: nothing of the group is left when this returns. */
	while (waitpid(-watch.pid, NULL, 0) > 0 || errno == EINTR)
		;
	(void)prctl(PR_SET_CHILD_SUBREAPER, adopts);
	return rc;
}
