/*
 * pysandbox-keeper: one per sandbox handle, exec'd by the library, single-threaded, control only.
 * Theory of operation: it reads its configuration from descriptor 3, makes the cage and the zygote
 * and then waits for: the host's messages, the zygote side's messages, forbidden system calls,
 * deaths of children, one timer. It ends when the host's socket ends, and with it all of its
 * processes, however either of them died.
 * Trust: the host is trusted; the zygote's socket and the notifications come from the caged side.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "engines/orphan.h"
#include "ipc/fdpass.h"
#include "keeper/keeper.h"

/* Host ids of guests: far above any account, and apart for every keeper of this host. */
#define UID_RANGE_START 1000000000u
#define UIDS_PER_KEEPER 256u
#define REAP_WAIT_MS 10000 /* nobody waits for us; on a busy host a bomb takes long to die */
#define KEEPER_OPEN_FILES 4096u

static void on_host_message(struct keeper *keeper, const struct host_message *message,
			    int fds[HOST_FDS])
{
	uint32_t index = message->slot;

	if (index >= keeper->config.slots)
		return;
	if (message->start_us != 0)
		slot_begin(keeper, &keeper->slots[index], message->start_us);
	switch (message->type) {
	case HOST_PREPARE:
		keeper->birthplaces[index] = message->processor;
		slot_prepare(keeper, index, message->generation, fds);
		memset(fds, -1, HOST_FDS * sizeof(int)); /* taken */
		break;
	case HOST_ARM: slot_arm(keeper, index, &message->limits); break;
	case HOST_STOP: slot_stop(keeper, index); break;
	case HOST_FINISH:
		slot_finish(keeper, index);
		if (message->release)
			slot_release(keeper, index);
		break;
	case HOST_WORKSPACE: slot_send_workspace(keeper, index); break;
	case HOST_RELEASE: slot_release(keeper, index); break;
	default: break;
	}
}

/* Returns false when the host is gone. */
static bool host_turn(struct keeper *keeper)
{
	struct host_message message;
	int fds[HOST_FDS];
	int rc;

	for (;;) {
		rc = fdpass_receive(keeper->host_fd, &message, sizeof(message), fds, HOST_FDS,
				    MSG_DONTWAIT, NULL);
		if (rc == FDPASS_EMPTY)
			return true;
		if (rc == FDPASS_END)
			return false;
		if (rc >= 0 && (message.type != HOST_PREPARE || rc == (int)HOST_FDS))
			on_host_message(keeper, &message, fds);
		for (size_t i = 0; i < HOST_FDS; i++)
			close_fd(&fds[i]);
	}
}

static void describe(const struct spawn_reply *reply, char text[KEEPER_TEXT_BYTES])
{
	char step[sizeof(reply->text) + 1];

	memcpy(step, reply->text, sizeof(reply->text));
	step[sizeof(reply->text)] = '\0';
	(void)snprintf(text, KEEPER_TEXT_BYTES, "cage: %s: %s", step, strerror(reply->sys_errno));
}

/* Word of the template's own processes, before any foreign code runs. */
static void on_template_reply(struct keeper *keeper, const struct spawn_reply *reply, pid_t sender,
			      int *fd)
{
	char text[KEEPER_TEXT_BYTES];

	switch (reply->type) {
	case SPAWN_INIT:
		if (keeper->first_pid == 0 && is_own_child(sender)) {
			keeper->first_pid = sender;
			slots_first_seen(keeper);
		}
		break;
	case SPAWN_LISTENER:
		if (keeper->listener_fd < 0 && is_own_child(sender)) {
			keeper->zygote_pid = sender;
			keeper->listener_fd = take_fd(*fd);
			if (template_open_late(keeper, text) < 0)
				host_fail_template(keeper, text);
			else
				slots_place_zygote(keeper);
		}
		break;
	case SPAWN_FAILED:
		describe(reply, text);
		host_fail_template(keeper, text);
		break;
	default: break;
	}
}

static void on_spawn_reply(struct keeper *keeper, const struct spawn_reply *reply, pid_t sender,
			   int *fd)
{
	char text[KEEPER_TEXT_BYTES];

	if (reply->slot >= keeper->config.slots) {
		on_template_reply(keeper, reply, sender, fd);
		return;
	}
	switch (reply->type) {
	case SPAWN_INIT: slot_init_seen(keeper, reply->slot, reply->generation, sender); break;
	case SPAWN_HELLO: slot_hello(keeper, reply->slot, sender, take_fd(*fd)); break;
	case SPAWN_READY: slot_ready(keeper, reply->slot); break;
	case SPAWN_SCOUTED: scout_done(keeper, sender); break;
	case SPAWN_FAILED:
		describe(reply, text);
		/* The zygote made no init, or has ended it. */
		if (sender == keeper->zygote_pid)
			keeper->slots[reply->slot].init_due = false;
		slot_spawn_failed(keeper, reply->slot, text);
		break;
	default: break;
	}
}

/* A zygote that cannot be heard is none: its death is told as such. A single-use one has become the
 * guest and has closed its end. */
static void zygote_lost(struct keeper *keeper)
{
	close_fd(&keeper->zygote_fd);
	if (keeper->zygote_pid > 0)
		(void)kill(keeper->zygote_pid, SIGKILL);
	else if (!keeper->placed)
		host_fail_template(keeper, "cage: the template's control channel was lost");
}

static void zygote_turn(struct keeper *keeper)
{
	struct spawn_reply reply;
	pid_t sender = 0;
	int fd = -1;
	int rc;

	for (;;) {
		rc = fdpass_receive(keeper->zygote_fd, &reply, sizeof(reply), &fd, 1, MSG_DONTWAIT,
				    &sender);
		if (rc == FDPASS_END)
			zygote_lost(keeper);
		if (rc == FDPASS_END || rc == FDPASS_EMPTY)
			return;
		if (rc >= 0)
			on_spawn_reply(keeper, &reply, sender, &fd);
		close_fd(&fd);
	}
}

/* What the interpreter says before it serves (an import error, say) explains a failed template. */
static void output_turn(struct keeper *keeper)
{
	char chunk[512];
	ssize_t n = read(keeper->output_fd, chunk, sizeof(chunk));
	size_t room = sizeof(keeper->output) - 1;

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		close_fd(&keeper->output_fd);
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (keeper->output_len == room) {
			memmove(keeper->output, keeper->output + 512, room - 512);
			keeper->output_len -= 512;
		}
		keeper->output[keeper->output_len++] = chunk[i] >= ' ' ? chunk[i] : ' ';
	}
}

static void zygote_died(struct keeper *keeper, int code, int status)
{
	char text[KEEPER_TEXT_BYTES];
	size_t len;

	keeper->zygote_pid = 0;
	if (keeper->output_fd >= 0)
		output_turn(keeper);
	while (keeper->output_len > 0 && keeper->output[keeper->output_len - 1] == ' ')
		keeper->output_len--;
	keeper->output[keeper->output_len] = '\0';
	len = keeper->output_len > 300 ? keeper->output_len - 300 : 0;
	(void)snprintf(text, sizeof(text),
		       "the interpreter ended (%s %d) before it could serve%s%s",
		       code == CLD_EXITED ? "exit" : "signal", status,
		       keeper->output_len ? ": " : "", keeper->output + len);
	host_fail_template(keeper, text);
}

/* Its work is done when it ends well; otherwise it has said why, unless it was killed. */
static void builder_died(struct keeper *keeper, int code, int status)
{
	keeper->builder_pid = 0;
	if (code == CLD_EXITED && status == 0)
		return;
	zygote_turn(keeper);
	host_fail_template(keeper, "cage: the builder was ended before it was done");
}

/* A process that no slot knows. One of the template's own, before it could say who it is or what went
 * wrong: then there will be no template, and the host need not wait for one. */
static void stranger_died(struct keeper *keeper)
{
	if (keeper->zygote_fd >= 0)
		zygote_turn(keeper);
	if (!keeper->placed && !keeper->slots[0].scout)
		host_fail_template(keeper,
				   "cage: a process of the template ended before it was done");
}

static void child_turn(struct keeper *keeper)
{
	struct signalfd_siginfo drained;
	struct rusage usage;
	siginfo_t info;
	uint64_t cpu_us;

	(void)!read(keeper->signal_fd, &drained, sizeof(drained));
	for (;;) {
		info.si_pid = 0;
		if (syscall(SYS_waitid, P_ALL, 0, &info, WEXITED | WNOHANG, &usage) < 0 ||
		    info.si_pid == 0)
			return;
		/* A death is told after what the host sent before it: the start of that run, say. */
		keeper->host_gone = keeper->host_gone || !host_turn(keeper);
		cpu_us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
			 (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
		if (info.si_pid == keeper->zygote_pid)
			zygote_died(keeper, info.si_code, info.si_status);
		else if (info.si_pid == keeper->builder_pid)
			builder_died(keeper, info.si_code, info.si_status);
		else if (info.si_pid == keeper->first_pid)
			keeper->first_pid = 0; /* the number may be another's soon */
		else if (!slot_reaped(keeper, info.si_pid, info.si_code, info.si_status, cpu_us,
				      (uint64_t)usage.ru_maxrss * 1024))
			stranger_died(keeper);
	}
}

static void serve(struct keeper *keeper)
{
	while (!keeper->host_gone) {
		struct pollfd fds[] = {
			{.fd = keeper->host_fd, .events = POLLIN},
			{.fd = keeper->listener_fd, .events = POLLIN},
			{.fd = keeper->timer_fd, .events = POLLIN},
			{.fd = keeper->zygote_fd, .events = POLLIN},
			{.fd = keeper->signal_fd, .events = POLLIN},
			{.fd = keeper->output_fd, .events = POLLIN},
			{.fd = keeper->starts_fd, .events = POLLIN},
			{.fd = keeper->host_pidfd, .events = POLLIN},
		};

		if (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 0 && errno != EINTR)
			return;
		if (fds[7].revents || (fds[0].revents && !host_turn(keeper)))
			return;
		if (fds[1].revents & POLLIN)
			notification_turn(keeper);
		else if (fds[1].revents)
			close_fd(&keeper->listener_fd);
		if (fds[6].revents)
			starts_turn(keeper);
		if (fds[2].revents)
			timers_turn(keeper);
		if (fds[3].revents)
			zygote_turn(keeper);
		if (fds[4].revents)
			child_turn(keeper);
		if (fds[5].revents)
			output_turn(keeper);
	}
}

static void kill_all(struct keeper *keeper)
{
	const pid_t template_pids[] = {keeper->builder_pid, keeper->zygote_pid};

	for (size_t i = 0; i < sizeof(template_pids) / sizeof(template_pids[0]); i++)
		if (template_pids[i] > 0)
			(void)kill(template_pids[i], SIGKILL);
	for (uint32_t i = 0; i < keeper->config.slots; i++)
		slot_kill(&keeper->slots[i]);
	if (keeper->first_pid > 0 && has_namespaces(keeper))
		(void)kill(keeper->first_pid, SIGKILL);
}

/* A process that the builder made but that has not announced itself yet is not known by its id: it
 * ends by the closed sockets, at the latest by its parent-death signal when we end. */
static void reap_all(struct keeper *keeper)
{
	struct pollfd wait = {.fd = keeper->signal_fd, .events = POLLIN};
	struct signalfd_siginfo drained;
	pid_t pid;

	for (;;) {
		do
			pid = waitpid(-1, NULL, __WALL | WNOHANG);
		while (pid > 0);
		if (pid < 0 || poll(&wait, 1, REAP_WAIT_MS) <= 0)
			return;
		(void)!read(keeper->signal_fd, &drained, sizeof(drained));
	}
}

static void shut_down(struct keeper *keeper)
{
	if (keeper->zygote_fd >= 0)
		zygote_turn(keeper); /* whoever has announced itself by now */
	kill_all(keeper);
	close_fd(&keeper->zygote_fd);
	close_fd(&keeper->liveness_fd); /* the janitor tidies up and ends by itself */
	reap_all(keeper);
	workspace_sweep(keeper->workspace_root); /* should the janitor have been killed */
	cgroup_tree_close(&keeper->cgroups, keeper->config.slots);
}

static void set_up_process(const char *processors)
{
	orphan_begin("psb-keeper", processors);
	(void)umask(022);
	orphan_raise_open_files(KEEPER_OPEN_FILES);
}

static int open_events(struct keeper *keeper)
{
	sigset_t signals;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGCHLD);
	if (sigprocmask(SIG_SETMASK, &signals, NULL) < 0)
		return -1;
	keeper->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	keeper->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return keeper->signal_fd < 0 || keeper->timer_fd < 0 || starts_open(keeper) < 0 ? -1 : 0;
}

static int read_config(struct keeper *keeper)
{
	ssize_t n;

	do
		n = recv(ORPHAN_CONTROL_FD, &keeper->config, sizeof(keeper->config), 0);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(keeper->config) && keeper->config.version == KEEPER_VERSION &&
			       keeper->config.slots >= 1 && keeper->config.slots <= KEEPER_MAX_SLOTS
		       ? 0
		       : -1;
}

int main(int argc, char **argv)
{
	static struct keeper keeper; /* 64 slots: too large for the stack */
	char text[KEEPER_TEXT_BYTES];

	set_up_process(argc > 1 ? argv[1] : NULL);
	keeper.host_fd = ORPHAN_CONTROL_FD;
	keeper.zygote_fd = keeper.output_fd = keeper.listener_fd = keeper.liveness_fd = -1;
	memset(keeper.scout.fds, -1, sizeof(keeper.scout.fds));
	for (size_t i = 0; i < KEEPER_MAX_SLOTS; i++) {
		keeper.slots[i].workspace_fd = -1;
		cgroup_slot_init(&keeper.slots[i].cgroup);
	}
	if (read_config(&keeper) < 0 || open_events(&keeper) < 0)
		return 1;
	keeper.rung = (enum jail_rung)keeper.config.rung;
	(void)sched_getaffinity(0, sizeof(keeper.processors), &keeper.processors);
	keeper.is_root = geteuid() == 0;
	if (keeper.is_root)
		keeper.uid_base = UID_RANGE_START + (uint32_t)getpid() * UIDS_PER_KEEPER;
	if (template_start(&keeper, text) < 0)
		host_fail_template(&keeper, text);
	/* Only now: the maps in /proc could not be written by an ordinary user's keeper else. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	/* Opened last: nobody below us is to have it. */
	keeper.host_pidfd = orphan_watch_host(&keeper.host_gone);
	serve(&keeper);
	shut_down(&keeper);
	return 0;
}
