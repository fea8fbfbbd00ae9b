/*
 * An instance on the library's side: a worker lent out for one execution. Afterwards the worker goes
 * back to its snapshot and serves again, unless the run ended by a limit, a crash or a stop, or the
 * worker has served long enough: then it is replaced.
 * Trust boundary: evidence comes from a worker that the guest may have taken over. It may lie about
 * its own execution; the wall limit is also kept by the caller's deadline and our stop.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/error.h"
#include "microvm.h"

#define READS_PER_TURN 4
#define MAX_EXECUTIONS 1000u
#define LEFT_READS 64 /* of a dead worker's pipe: its capacity is 1 MiB */

/* A worker that waits, one that will, or a free place for a new one. */
static int find_vm(const struct engine_template *tmpl)
{
	int best = -1;

	for (uint32_t i = 0; i < tmpl->slots; i++) {
		const struct vm *vm = &tmpl->vms[i];

		if (vm->instance)
			continue;
		if (vm->state == VM_IDLE)
			return (int)i;
		if (vm->state == VM_PREPARING ||
		    (vm->state == VM_FREE && (best < 0 || tmpl->vms[best].state == VM_FREE)))
			best = (int)i;
	}
	return best;
}

int microvm_prepare(struct engine_template *tmpl, int processor, struct engine_instance **out,
		    struct psb_error *err)
{
	auto_free struct engine_instance *instance = calloc(1, sizeof(*instance));
	int slot = find_vm(tmpl);
	struct vm *vm;
	int rc = 0;

	(void)processor; /* a worker stays where it served last */
	if (!instance)
		return psb_fail(err, PSB_E_MEMORY, ENOMEM, "microvm: out of memory");
	if (tmpl->dead)
		return psb_fail(err, PSB_E_ENGINE, 0, "microvm: %s", tmpl->dead_text);
	if (slot < 0)
		return psb_fail(err, PSB_E_BUSY, 0, "microvm: all %u workers are in use",
				tmpl->slots);
	vm = &tmpl->vms[slot];
	if (vm->state == VM_FREE)
		rc = vm_start(tmpl, (uint32_t)slot, err);
	/* A supervisor that has ended before it was asked has said why. */
	if (rc < 0)
		return microvm_turn(tmpl, err) < 0 ? PSB_E_ENGINE : rc;
	instance->tmpl = tmpl;
	instance->slot = (uint32_t)slot;
	instance->state = vm->state == VM_IDLE ? INSTANCE_READY : INSTANCE_PREPARING;
	vm->instance = instance;
	*out = take_ptr(instance);
	return 0;
}

enum instance_state microvm_state(const struct engine_instance *instance)
{
	return instance->state;
}

struct placed *microvm_process(struct engine_instance *instance)
{
	return &instance_vm(instance)->placed;
}

static void send_request(struct engine_instance *instance)
{
	const size_t head = sizeof(instance->command);
	uint8_t *command = (uint8_t *)&instance->command;
	uint8_t *request;
	ssize_t n;

	memcpy(&request, &instance->request, sizeof(request)); /* iovec lacks the const */
	while (instance->sent < head + instance->request_len) {
		struct iovec parts[2] = {{command, head}, {request, instance->request_len}};
		int first = instance->sent >= head;
		size_t skip = first ? instance->sent - head : instance->sent;

		parts[first].iov_base = (uint8_t *)parts[first].iov_base + skip;
		parts[first].iov_len -= skip;
		n = writev(instance_vm(instance)->command_fd, &parts[first], 2 - first);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		instance->sent += (size_t)n;
	}
}

int microvm_start(struct engine_instance *instance, const struct psb_limits *limits,
		  const uint8_t *request, size_t request_len, struct psb_error *err)
{
	struct vm *vm = instance_vm(instance);

	if (instance->state != INSTANCE_READY || vm->state != VM_IDLE || instance->tmpl->dead)
		return psb_fail(err, PSB_E_ENGINE, 0, "microvm: the instance is not ready");
	vm->executions++;
	instance->start_us = clock_us();
	instance->request = request;
	instance->request_len = request_len;
	instance->command = (struct vm_command){.magic = VM_COMMAND_MAGIC,
						.type = VM_START,
						.execution = vm->executions,
						.start_us = instance->start_us,
						.request_bytes = request_len,
						.limits = microvm_limits(limits)};
	instance->state = INSTANCE_RUNNING;
	vm->state = VM_RUNNING;
	send_request(instance);
	return 0;
}

size_t microvm_pollfds(const struct engine_instance *instance, bool end_only,
		       struct pollfd fds[ENGINE_MAX_POLLFDS])
{
	const struct vm *vm = instance_vm(instance);
	bool sending = instance->sent < sizeof(instance->command) + instance->request_len;
	size_t count = 0;

	(void)end_only; /* output and end come by one pipe */
	/* The template's has all event pipes in it, this one's too. */
	if (instance->state != INSTANCE_RUNNING || instance->pipe_ended) {
		fds[count++] = (struct pollfd){.fd = instance->tmpl->epoll_fd, .events = POLLIN};
		return count;
	}
	fds[count++] = (struct pollfd){.fd = vm->event_fd, .events = POLLIN};
	if (sending)
		fds[count++] = (struct pollfd){.fd = vm->command_fd, .events = POLLOUT};
	return count;
}

static void on_data(void *context, uint32_t type, const uint8_t *data, size_t len)
{
	const struct engine_instance *instance = context;
	const struct engine_sink *sink = instance->sink;

	if (type == VM_STDOUT)
		sink->on_stdout(sink->context, data, len);
	else if (type == VM_STDERR)
		sink->on_stderr(sink->context, data, len);
	else if (type == VM_RESULT)
		sink->on_frames(sink->context, data, len);
}

static void on_event(void *context, uint32_t type, const uint8_t *data, size_t len)
{
	struct engine_instance *instance = context;
	struct vm_ended ended;

	if (type != VM_ENDED || len != sizeof(ended) || instance->ended)
		return;
	memcpy(&ended, data, sizeof(ended));
	instance->evidence = (struct evidence){
		.ended = true,
		.exited = (ended.flags & VM_EXITED) != 0,
		.signalled = (ended.flags & VM_SIGNALLED) != 0,
		.wall_fired = (ended.flags & VM_WALL_FIRED) != 0,
		.cpu_fired = (ended.flags & VM_CPU_FIRED) != 0,
		.memory_limit_hit = (ended.flags & VM_MEMORY_HIT) != 0,
		.process_limit_hit = (ended.flags & VM_THREADS_HIT) != 0,
		.instance_lost = (ended.flags & VM_LOST) != 0,
		.exit_code = ended.exit_code & 0xff,
		.signal_number = ended.signal_number & 0x7f,
		.wall_us = ended.wall_us,
		.cpu_us = ended.cpu_us,
		.memory_peak_bytes = ended.memory_peak_bytes,
	};
	instance->ended = true;
}

/* It died under its execution: stopped by us, or lost. */
static void end_of_dead(struct engine_instance *instance)
{
	const struct vm *vm = instance_vm(instance);

	instance->evidence = (struct evidence){
		.ended = true,
		.instance_lost = !instance->stopped,
		.oom_killed = vm->oom_killed,
		.wall_us = clock_us() - instance->start_us,
	};
	if (vm->cpu_us_total > vm->cpu_us_ready)
		instance->evidence.cpu_us = vm->cpu_us_total - vm->cpu_us_ready;
	instance->ended = true;
}

static void settle(struct engine_instance *instance)
{
	struct vm *vm = instance_vm(instance);

	if (!instance->ended && instance->pipe_ended && vm->gone)
		end_of_dead(instance);
	if (!instance->ended)
		return;
	instance->state = INSTANCE_ENDED;
	vm->state = instance->pipe_ended ? VM_DYING : VM_DONE;
}

bool microvm_has_news(const struct engine_instance *instance)
{
	return instance->news;
}

int microvm_pump(struct engine_instance *instance, const struct engine_sink *sink,
		 struct psb_error *err)
{
	const struct events_sink events = {on_data, on_event, instance};
	struct vm *vm = instance_vm(instance);

	(void)err;
	instance->news = false;
	if (instance->state != INSTANCE_RUNNING)
		return 0;
	instance->sink = sink;
	if (!instance->pipe_ended)
		send_request(instance);
	if (!instance->pipe_ended &&
	    !vm_read_events(vm, vm->gone ? LEFT_READS : READS_PER_TURN, &events)) {
		instance->pipe_ended = true;
		vm_unwatch(instance->tmpl, instance->slot);
		vm_kill(instance->tmpl,
			instance->slot); /* nonsense ends it; a dead one does not mind */
	}
	instance->sink = NULL;
	settle(instance);
	return 0;
}

/* The worker's process is dead. */
void instance_on_gone(struct engine_instance *instance)
{
	instance->news = true;
	if (instance->state == INSTANCE_PREPARING || instance->state == INSTANCE_READY)
		instance->state = INSTANCE_FAILED;
	else if (instance->state == INSTANCE_RUNNING)
		settle(instance);
}

/* The run ends, its memory stays: the workspace can still be had. A worker that does not react is
 * killed when it is recycled. */
void microvm_stop(struct engine_instance *instance, enum stop_reason reason)
{
	if (instance->state != INSTANCE_RUNNING)
		return;
	instance->finished = reason == STOP_FINISHED || reason == STOP_COLLECT;
	instance->stopped = !instance->finished;
	vm_interrupt(instance->tmpl, instance->slot);
}

void microvm_evidence(const struct engine_instance *instance, struct evidence *out)
{
	*out = instance->evidence;
}

void instance_free(struct engine_instance *instance)
{
	workspace_free(instance);
	free(instance);
}

static bool may_serve_again(const struct engine_instance *instance)
{
	const struct vm *vm = instance_vm(instance);
	const struct evidence *evidence = &instance->evidence;

	return vm->state == VM_DONE && !vm->gone && !instance->stopped &&
	       !instance->tmpl->single_use && (evidence->exited || instance->finished) &&
	       !evidence->signalled && !evidence->wall_fired && !evidence->cpu_fired &&
	       !evidence->instance_lost && vm->executions < MAX_EXECUTIONS &&
	       instance->sent == sizeof(instance->command) + instance->request_len;
}

void microvm_recycle(struct engine_instance *instance)
{
	const struct vm_command reset = {.magic = VM_COMMAND_MAGIC, .type = VM_RESET};
	struct vm *vm;

	if (!instance)
		return;
	vm = instance_vm(instance);
	vm->instance = NULL;
	workspace_remove(instance);
	if (vm->gone) {
		vm_free(instance->tmpl, instance->slot);
	} else if (may_serve_again(instance) &&
		   write(vm->command_fd, &reset, sizeof(reset)) == (ssize_t)sizeof(reset)) {
		vm->state = VM_PREPARING;
	} else if (vm->state != VM_IDLE && vm->state != VM_PREPARING) {
		vm->state = VM_DYING;
		vm_kill(instance->tmpl, instance->slot);
	}
	instance_free(instance);
}
