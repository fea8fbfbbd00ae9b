/*
 * A template on the library's side: the supervisor's socket and the table of workers. Messages are
 * matched by slot and generation, so a late word about a former worker finds nobody.
 * Trust boundary: the supervisor is ours; workers' bytes go through events.c.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/error.h"
#include "engines/orphan.h"
#include "ipc/fdpass.h"
#include "microvm.h"

#define CLOSE_WAIT_MS 2000
#define CONTROL_TAG MICROVM_MAX_SLOTS
#define TURN_EVENTS 16

struct vm_limits microvm_limits(const struct psb_limits *limits)
{
	return (struct vm_limits){
		.wall_ms = limits->wall_ms,
		.cpu_ms = limits->cpu_ms,
		.memory_bytes = limits->memory_bytes,
		.workspace_bytes = limits->workspace_bytes,
		.workspace_files = limits->workspace_files,
		.open_files = limits->open_files,
		.threads = limits->processes,
	};
}

static int start(struct engine_template *tmpl, const struct plan *plan, struct psb_error *err)
{
	auto_free struct vmm_config *config = calloc(1, sizeof(*config));
	struct epoll_event watch = {.events = EPOLLIN, .data.u32 = CONTROL_TAG};
	int rc;

	if (!config)
		return psb_fail(err, PSB_E_MEMORY, ENOMEM, "microvm: out of memory");
	rc = microvm_configure(plan, config, err);
	if (rc < 0)
		return rc;
	tmpl->slots = config->slots;
	tmpl->limits = config->limits;
	tmpl->single_use = plan->single_use || plan->fresh_worker;
	rc = orphan_start(plan->libexec, "pysandbox-vmm", "microvm", config, sizeof(*config),
			  &tmpl->control_fd, err);
	if (rc < 0)
		return rc;
	if (epoll_ctl(tmpl->epoll_fd, EPOLL_CTL_ADD, tmpl->control_fd, &watch) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "microvm: epoll: %s", strerror(errno));
	return 0;
}

int microvm_template_open(const struct plan *plan, struct engine_template **out,
			  struct psb_error *err)
{
	struct engine_template *tmpl = calloc(1, sizeof(*tmpl));
	int rc;

	if (!tmpl)
		return psb_fail(err, PSB_E_MEMORY, ENOMEM, "microvm: out of memory");
	tmpl->control_fd = tmpl->files_fd = -1;
	for (uint32_t i = 0; i < MICROVM_MAX_SLOTS; i++)
		tmpl->vms[i].command_fd = tmpl->vms[i].command_keep_fd = tmpl->vms[i].event_fd =
			tmpl->vms[i].placed.pidfd = -1;
	tmpl->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	rc = tmpl->epoll_fd < 0
		     ? psb_fail(err, PSB_E_SYSTEM, errno, "microvm: epoll: %s", strerror(errno))
		     : start(tmpl, plan, err);
	if (rc < 0) {
		microvm_template_close(tmpl);
		return rc;
	}
	*out = tmpl;
	return 0;
}

static void die(struct engine_template *tmpl, const char *text)
{
	if (!tmpl->dead)
		(void)snprintf(tmpl->dead_text, sizeof(tmpl->dead_text), "%.399s", text);
	tmpl->dead = true;
}

/* The worker of a slot, which is there to stay. */
static void on_started(struct engine_template *tmpl, const struct vmm_reply *message, int *pidfd)
{
	struct vm *vm;

	if (message->slot >= tmpl->slots)
		return;
	vm = &tmpl->vms[message->slot];
	if (vm->state == VM_FREE || vm->generation != message->generation || vm->placed.pidfd >= 0)
		return;
	vm->placed.pidfd = take_fd(*pidfd);
}

static void on_gone(struct engine_template *tmpl, const struct vmm_reply *message)
{
	struct vm *vm;

	if (message->slot >= tmpl->slots)
		return;
	vm = &tmpl->vms[message->slot];
	if (vm->state == VM_FREE || vm->generation != message->generation)
		return;
	vm->gone = true;
	vm->oom_killed = message->oom_killed != 0;
	vm->cpu_us_total = message->cpu_us;
	if (vm->instance)
		instance_on_gone(vm->instance);
	else
		vm_free(tmpl, message->slot);
}

/* Whoever waits for it is to be asked again. */
static void on_files(struct engine_template *tmpl, int *fd)
{
	for (uint32_t i = 0; i < tmpl->slots; i++)
		if (tmpl->vms[i].instance)
			tmpl->vms[i].instance->news = true;
	if (tmpl->files_fd < 0)
		tmpl->files_fd = take_fd(*fd);
	tmpl->files_seen = true;
}

static void on_progress(struct engine_template *tmpl, const char *text)
{
	(void)snprintf(tmpl->progress_text, sizeof(tmpl->progress_text), "%.399s", text);
	tmpl->progressed = true;
}

const char *microvm_progress(struct engine_template *tmpl)
{
	bool news = tmpl->progressed;

	tmpl->progressed = false;
	return news ? tmpl->progress_text : NULL;
}

/* Takes all that is there. Returns why there is no more. */
static int take_messages(struct engine_template *tmpl)
{
	struct vmm_reply message;
	int rc;

	do {
		auto_fd fd = -1;

		rc = fdpass_receive(tmpl->control_fd, &message, sizeof(message), &fd, 1,
				    MSG_DONTWAIT, NULL);
		if (rc >= 0 && message.type == VMM_GONE)
			on_gone(tmpl, &message);
		else if (rc >= 0 && message.type == VMM_DIRECTORY_IS)
			on_files(tmpl, &fd);
		else if (rc >= 0 && message.type == VMM_STARTED)
			on_started(tmpl, &message, &fd);
		else if (rc >= 0 && message.type == VMM_FAILED)
			die(tmpl, message.text);
		else if (rc >= 0 && message.type == VMM_PROGRESS)
			on_progress(tmpl, message.text);
	} while (rc >= 0 || rc == FDPASS_SIZE);
	return rc;
}

/* A supervisor that ended with a message of ours unread makes the socket tell that first, and its
 * own last words only then. */
static void control_turn(struct engine_template *tmpl)
{
	int rc = take_messages(tmpl);

	if (rc == FDPASS_END)
		rc = take_messages(tmpl);
	if (rc == FDPASS_EMPTY)
		return;
	die(tmpl, "the supervisor ended unexpectedly");
	for (uint32_t i = 0; i < tmpl->slots; i++) {
		tmpl->vms[i].gone = true;
		if (tmpl->vms[i].instance)
			instance_on_gone(tmpl->vms[i].instance);
	}
}

struct idle_context {
	struct engine_template *tmpl;
	struct vm *vm;
};

static void ignore_data(void *context, uint32_t type, const uint8_t *data, size_t len)
{
	(void)context;
	(void)type;
	(void)data;
	(void)len;
}

/* Events of a worker that runs nothing. */
static void on_idle_event(void *context, uint32_t type, const uint8_t *data, size_t len)
{
	const struct idle_context *idle = context;
	struct vm *vm = idle->vm;

	if (type == VM_READY && len == sizeof(uint64_t) && vm->state == VM_PREPARING) {
		memcpy(&vm->cpu_us_ready, data, sizeof(vm->cpu_us_ready));
		vm->state = VM_IDLE;
		if (vm->instance && vm->instance->state == INSTANCE_PREPARING)
			vm->instance->state = INSTANCE_READY;
	} else if (type == VM_BROKEN) {
		char text[MICROVM_TEXT_BYTES];

		(void)snprintf(text, sizeof(text), "%.*s", (int)(len < 390 ? len : 390),
			       (const char *)data);
		die(idle->tmpl, text);
	}
}

static void idle_turn(struct engine_template *tmpl, uint32_t slot)
{
	struct vm *vm = &tmpl->vms[slot];
	struct idle_context idle = {tmpl, vm};
	const struct events_sink sink = {ignore_data, on_idle_event, &idle};

	if (vm->state == VM_DONE && vm->instance)
		vm->instance->news = true; /* its workspace comes */
	if (vm->state != VM_PREPARING && vm->state != VM_IDLE && vm->state != VM_DYING)
		return;
	if (vm_read_events(vm, 1, &sink))
		return;
	vm_unwatch(tmpl, slot);
	if (vm->state == VM_DYING)
		return;
	/* It has ended or talks nonsense: out, whatever it was to be. */
	vm->state = VM_DYING;
	vm_kill(tmpl, slot);
	if (vm->instance)
		vm->instance->state = INSTANCE_FAILED;
}

int microvm_turn(struct engine_template *tmpl, struct psb_error *err)
{
	struct epoll_event events[TURN_EVENTS];
	int count = epoll_wait(tmpl->epoll_fd, events, TURN_EVENTS, 0);

	for (int i = 0; i < count; i++) {
		if (events[i].data.u32 == CONTROL_TAG)
			control_turn(tmpl);
		else
			idle_turn(tmpl, events[i].data.u32);
	}
	if (tmpl->dead)
		return psb_fail(err, PSB_E_ENGINE, 0, "microvm: %s", tmpl->dead_text);
	return 0;
}

int microvm_template_fd(const struct engine_template *tmpl)
{
	return tmpl->epoll_fd;
}

static void free_template(struct engine_template *tmpl)
{
	for (uint32_t i = 0; i < MICROVM_MAX_SLOTS; i++)
		vm_free(tmpl, i);
	close_fd(&tmpl->control_fd);
	close_fd(&tmpl->files_fd);
	close_fd(&tmpl->epoll_fd);
	free(tmpl);
}

/* A child's copies only: the epoll set and all processes are the parent's. */
void microvm_template_abandon(struct engine_template *tmpl)
{
	if (!tmpl)
		return;
	for (uint32_t i = 0; i < MICROVM_MAX_SLOTS; i++)
		if (tmpl->vms[i].instance)
			instance_free(tmpl->vms[i].instance);
	free_template(tmpl);
}

/* The supervisor ends on our end of file, and all workers with it: wait until they have. */
void microvm_template_close(struct engine_template *tmpl)
{
	struct pollfd gone;
	char byte;

	if (!tmpl)
		return;
	if (tmpl->control_fd >= 0) {
		(void)shutdown(tmpl->control_fd, SHUT_WR);
		gone = (struct pollfd){.fd = tmpl->control_fd, .events = POLLIN};
		while (poll(&gone, 1, CLOSE_WAIT_MS) > 0 && recv(tmpl->control_fd, &byte, 1, 0) > 0)
			;
	}
	free_template(tmpl);
}
