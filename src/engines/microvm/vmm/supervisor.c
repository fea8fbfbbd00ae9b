/*
 * Theory of operation: forks a worker for each VMM_PREPARE, kills on VMM_STOP, tells of every
 * death. Data never pass through here: library and worker have pipes of their own. When the
 * library's socket ends, however that came about, all workers are killed and reaped.
 * Trust boundary: the library is trusted. Workers cannot speak to the supervisor at all; their
 * deaths are the kernel's word.
 */
#include "supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "ipc/fdpass.h"
#include "worker.h"

static void reply(const struct supervisor *supervisor, const struct vmm_reply *message)
{
	(void)fdpass_send(supervisor->host_fd, message, sizeof(*message), NULL, 0);
}

void supervisor_tell(const struct supervisor *supervisor, uint32_t type, const char *text)
{
	struct vmm_reply message = {.type = type, .slot = MICROVM_MAX_SLOTS};

	(void)snprintf(message.text, sizeof(message.text), "%.399s", text);
	reply(supervisor, &message);
}

static bool serve_once(const struct supervisor *supervisor)
{
	return supervisor->config.single_use || supervisor->config.fresh_worker;
}

__attribute__((noreturn)) static void become_worker(const struct supervisor *supervisor,
						    uint32_t slot, int fds[MICROVM_PIPES])
{
	static struct worker worker;
	sigset_t none;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setsid();
	worker.snapshot = &supervisor->snapshot;
	worker.limits = supervisor->config.limits;
	worker.command_fd = fds[0];
	worker.outbox.fd = fds[1];
	worker.void_fd = supervisor->void_fd;
	worker.unshared = supervisor->config.unshared_image != 0;
	if (groups_enter(&supervisor->groups, slot) < 0)
		worker_fail(&worker, "vmm: a worker cannot enter its control group");
	worker.once = serve_once(supervisor);
	worker_main(&worker, supervisor->kvm_fd);
}

static void lose(struct supervisor *supervisor, uint32_t slot, uint32_t generation,
		 int signal_number, uint64_t cpu_us)
{
	const struct vmm_reply message = {.type = VMM_GONE,
					  .slot = slot,
					  .generation = generation,
					  .signal_number = signal_number,
					  .oom_killed =
						  groups_oom_killed(&supervisor->groups, slot),
					  .cpu_us = cpu_us};

	reply(supervisor, &message);
}

/* For the library to say where it is woken. */
static void show_worker(const struct supervisor *supervisor, const struct vmm_request *request,
			pid_t pid)
{
	const struct vmm_reply message = {
		.type = VMM_STARTED, .slot = request->slot, .generation = request->generation};
	auto_fd pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (pidfd >= 0)
		(void)fdpass_send(supervisor->host_fd, &message, sizeof(message), &pidfd, 1);
}

static void start_worker(struct supervisor *supervisor, const struct vmm_request *request,
			 int fds[MICROVM_PIPES])
{
	struct supervised *slot = &supervisor->slots[request->slot];
	pid_t pid = slot->pid ? -1 : fork();

	if (pid == 0)
		become_worker(supervisor, request->slot, fds);
	if (pid < 0) {
		lose(supervisor, request->slot, request->generation, 0, 0);
		return;
	}
	*slot = (struct supervised){.pid = pid, .generation = request->generation};
	if (!serve_once(supervisor))
		show_worker(supervisor, request, pid);
}

static void signal_worker(const struct supervised *slot, const struct vmm_request *request)
{
	const union sigval execution = {.sival_int = (int)request->execution};

	if (request->type == VMM_KILL)
		(void)kill(slot->pid, SIGKILL);
	else if (request->type == VMM_INTERRUPT)
		(void)sigqueue(slot->pid, SIGUSR1, execution);
}

static void send_directory(struct supervisor *supervisor, const struct vmm_request *request)
{
	const struct vmm_reply message = {
		.type = VMM_DIRECTORY_IS, .slot = request->slot, .generation = request->generation};
	int fd = supervisor->files_fd;

	(void)fdpass_send(supervisor->host_fd, &message, sizeof(message), &fd, fd >= 0);
}

static void on_request(struct supervisor *supervisor, const struct vmm_request *request,
		       int fds[MICROVM_PIPES])
{
	struct supervised *slot;

	if (request->slot >= supervisor->config.slots)
		return;
	slot = &supervisor->slots[request->slot];
	if (request->type == VMM_PREPARE && fds[1] >= 0)
		start_worker(supervisor, request, fds);
	else if (request->type == VMM_DIRECTORY)
		send_directory(supervisor, request);
	else if (slot->pid && slot->generation == request->generation)
		signal_worker(slot, request);
}

/* False: the library is gone. */
static bool host_turn(struct supervisor *supervisor)
{
	for (;;) {
		struct vmm_request request;
		int fds[MICROVM_PIPES] = {-1, -1};
		int rc = fdpass_receive(supervisor->host_fd, &request, sizeof(request), fds,
					MICROVM_PIPES, MSG_DONTWAIT, NULL);

		if (rc == FDPASS_EMPTY)
			return true;
		if (rc == FDPASS_END)
			return false;
		if (rc >= 0)
			on_request(supervisor, &request, fds);
		for (size_t i = 0; i < MICROVM_PIPES; i++)
			close_fd(&fds[i]);
	}
}

static void reap(struct supervisor *supervisor, pid_t pid, int status, const struct rusage *usage)
{
	uint64_t cpu_us = (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000 +
			  (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);

	for (uint32_t i = 0; i < supervisor->config.slots; i++) {
		struct supervised *slot = &supervisor->slots[i];

		if (slot->pid != pid)
			continue;
		slot->pid = 0;
		lose(supervisor, i, slot->generation, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
		     cpu_us);
		return;
	}
}

static void child_turn(struct supervisor *supervisor)
{
	struct signalfd_siginfo drained;
	struct rusage usage;
	int status;
	pid_t pid;

	(void)!read(supervisor->signal_fd, &drained, sizeof(drained));
	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0)
		reap(supervisor, pid, status, &usage);
}

static void end_all(struct supervisor *supervisor)
{
	for (uint32_t i = 0; i < supervisor->config.slots; i++)
		if (supervisor->slots[i].pid)
			(void)kill(supervisor->slots[i].pid, SIGKILL);
	while (wait4(-1, NULL, 0, NULL) > 0 || errno == EINTR)
		;
}

void supervisor_serve(struct supervisor *supervisor)
{
	for (;;) {
		struct pollfd fds[] = {
			{.fd = supervisor->host_fd, .events = POLLIN},
			{.fd = supervisor->signal_fd, .events = POLLIN},
			{.fd = supervisor->host_pidfd, .events = POLLIN},
			{.fd = supervisor->outside_fd, .events = POLLIN},
		};

		if (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents)
			child_turn(supervisor);
		if (fds[2].revents || fds[3].revents || (fds[0].revents && !host_turn(supervisor)))
			break;
	}
	end_all(supervisor);
}
