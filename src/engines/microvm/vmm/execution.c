/*
 * Theory of operation: one execution: the run page is written, the vCPU goes on from the
 * snapshot's HOST_READ with the request's first bytes, and what it puts out becomes events. The
 * last event is the evidence. Afterwards the guest kernel may be asked once more for the
 * workspace, on a stack of its own.
 * Trust boundary: everything from the guest is passed on as bytes. Status evidence comes from the
 * VMM's own timers and exits; the soft limits and the exit code are the guest's word and count as
 * no more (docs/outcome.md).
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "hostcalls.h"
#include "worker.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)
#define FIRST_PID 1000u
#define PIDS 30000u
#define COLLECT_NS (UINT64_C(10000) * NS_PER_MS)

/* What the command did not bring along comes from the pipe. */
static int64_t read_request(void *context, uint8_t *to, uint64_t bytes)
{
	struct worker *worker = context;
	size_t ready = worker->inbox_end - worker->inbox_start;
	ssize_t got;

	if (bytes > worker->request_left)
		bytes = worker->request_left;
	if (bytes == 0)
		return 0;
	if (ready > 0) {
		got = (ssize_t)(ready < bytes ? ready : bytes);
		memcpy(to, worker->inbox + worker->inbox_start, (size_t)got);
		worker->inbox_start += (size_t)got;
	} else {
		got = read(worker->command_fd, to, bytes);
		if (got < 0)
			return errno == EINTR ? -EINTR : -EPIPE;
		if (got == 0)
			return -EPIPE;
	}
	worker->request_left -= (uint64_t)got;
	return got;
}

static uint32_t event_of(uint32_t stream)
{
	switch (stream) {
	case STREAM_STDOUT: return VM_STDOUT;
	case STREAM_STDERR: return VM_STDERR;
	case STREAM_RESULT: return VM_RESULT;
	default: return 0;
	}
}

static int put_output(void *context, uint32_t stream, const uint8_t *data, uint32_t bytes)
{
	struct worker *worker = context;
	uint32_t type = event_of(stream);

	return type ? outbox_add(&worker->outbox, type, data, bytes) : 0;
}

static int put_files(void *context, uint32_t stream, const uint8_t *data, uint32_t bytes)
{
	struct worker *worker = context;

	return stream == STREAM_FILES ? outbox_add(&worker->outbox, VM_FILES, data, bytes) : 0;
}

static int flush_output(void *context)
{
	struct worker *worker = context;

	return outbox_flush(&worker->outbox);
}

/* Ahead of the execution that uses it, so that it does not wait for it. */
bool execution_draw(struct worker *worker)
{
	struct drawn *drawn = &worker->drawn;
	const ssize_t bytes = sizeof(drawn->random);

	if (!drawn->fresh)
		drawn->fresh = getrandom(&drawn->random, (size_t)bytes, 0) == bytes;
	return drawn->fresh;
}

static bool write_run_info(struct worker *worker, const struct vm_limits *limits)
{
	struct run_info info = {
		.generation = ++worker->generation,
		.clock = run_guest_clock(worker->snapshot->header.tsc_khz),
		.pool_end = worker->memory.end,
		.memory_limit_bytes = limits->memory_bytes,
		.workspace_bytes = limits->workspace_bytes,
		.workspace_files = limits->workspace_files,
		.max_threads = limits->threads,
		.max_open_files = limits->open_files,
	};

	if (!execution_draw(worker))
		return false;
	memcpy(info.entropy, worker->drawn.random.entropy, sizeof(info.entropy));
	info.pid = FIRST_PID + worker->drawn.random.pid % PIDS;
	explicit_bzero(&worker->drawn, sizeof(worker->drawn));
	return memory_write(&worker->memory, GUEST_RUN_INFO, &info, sizeof(info));
}

/* The snapshot stands in HOST_READ: give it its answer. */
static bool give_first_bytes(struct worker *worker)
{
	const struct snapshot_header *header = &worker->snapshot->header;
	struct kvm_run *kvm = worker->machine.run;
	/* No more than can come: every page that is claimed is copied back. */
	uint64_t bytes = header->read_bytes < worker->request_left ? header->read_bytes
								   : worker->request_left;
	uint8_t *to = memory_claim(&worker->memory, header->read_buffer, bytes);
	int64_t got = to ? read_request(worker, to, bytes) : -EFAULT;

	kvm->s.regs.regs.rax = (uint64_t)got;
	kvm->s.regs.regs.rip = kvm->s.regs.regs.rcx;
	kvm->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
	return got >= 0;
}

/* What it had written when it was stopped still counts as its output. */
static void drain_rest(struct run *run)
{
	run->wall_deadline_ns = run->cpu_deadline_ns = run->kick_ns = 0;
	run->execution = 0;
	(void)output_drain(run);
}

static void describe_end(const struct run *run, enum run_end end, struct vm_ended *ended)
{
	switch (end) {
	case RUN_EXITED:
		if (run->exit_kind == EXIT_CODE) {
			ended->flags |= VM_EXITED;
			ended->exit_code = (int32_t)(run->exit_value & 0xff);
		} else {
			ended->flags |= VM_SIGNALLED;
			ended->signal_number = (int32_t)(run->exit_value & 0x7f);
		}
		break;
	case RUN_CRASHED:
		ended->flags |= VM_SIGNALLED;
		ended->signal_number = (int32_t)run->signal;
		break;
	case RUN_PANICKED:
		ended->flags |= VM_SIGNALLED;
		ended->signal_number = SIGABRT;
		break;
	case RUN_TIMED_OUT: ended->flags |= VM_WALL_FIRED; break;
	case RUN_CPU_SPENT: ended->flags |= VM_CPU_FIRED; break;
	case RUN_STOPPED: break;
	case RUN_CALLED_READ:
	case RUN_HOST_GONE:
	case RUN_BROKEN: ended->flags |= VM_LOST; break;
	}
	ended->address = run->address;
}

static void describe_guest(const struct worker *worker, struct vm_ended *ended)
{
	struct comm comm;

	if (!memory_read(&worker->memory, GUEST_COMM, &comm, sizeof(comm)))
		return;
	ended->flags |= comm.limits_hit & COMM_LIMIT_MEMORY ? VM_MEMORY_HIT : 0;
	ended->flags |= comm.limits_hit & COMM_LIMIT_PROCESSES ? VM_THREADS_HIT : 0;
	ended->unknown_calls = comm.unknown_calls;
	ended->memory_peak_bytes = comm.memory_peak_bytes < worker->memory.end
					   ? comm.memory_peak_bytes
					   : worker->memory.end;
}

static struct vm_limits tightest(const struct vm_limits *a, const struct vm_limits *b)
{
#define LESS(name) .name = a->name < b->name ? a->name : b->name
	return (struct vm_limits){LESS(wall_ms),         LESS(cpu_ms),          LESS(memory_bytes),
				  LESS(workspace_bytes), LESS(workspace_files), LESS(open_files),
				  LESS(threads)};
#undef LESS
}

static int skip_rest_of_request(struct worker *worker)
{
	uint8_t *scratch = worker->outbox.buffer + worker->outbox.end;
	size_t room = OUTBOX_BYTES - worker->outbox.end;
	int64_t got = 1;

	while (got > 0 || got == -EINTR)
		got = read_request(worker, scratch, room);
	return got < 0 ? -1 : 0;
}

int execution_start(struct worker *worker, const struct vm_command *command)
{
	const struct vm_limits limits = tightest(&command->limits, &worker->limits);
	uint64_t cpu_start = run_cpu_ns();
	struct run run = {
		.machine = &worker->machine,
		.execution = command->execution,
		.tsc_khz = worker->snapshot->header.tsc_khz,
		.io = {read_request, put_output, flush_output, worker},
		.wall_deadline_ns = command->start_us * NS_PER_US + limits.wall_ms * NS_PER_MS,
		.cpu_deadline_ns = cpu_start + limits.cpu_ms * NS_PER_MS,
		.cpu_limit_ns = limits.cpu_ms * NS_PER_MS,
	};
	struct vm_ended ended = {0};
	enum run_end end;
	int rc;

	if (!worker->clean && worker_reset(worker) < 0)
		return -1;
	worker->clean = false;
	worker->request_left = command->request_bytes;
	if (!write_run_info(worker, &limits) || !give_first_bytes(worker))
		return -1;
	end = run_machine_armed(&run);
	ended.wall_us = run_clock_ns() / NS_PER_US - command->start_us;
	ended.cpu_us = (run_cpu_ns() - cpu_start) / NS_PER_US;
	if (end != RUN_EXITED) {
		run_disarm();
		drain_rest(&run);
	}
	if (end == RUN_HOST_GONE || skip_rest_of_request(worker) < 0)
		return -1;
	describe_end(&run, end, &ended);
	describe_guest(worker, &ended);
	(void)outbox_add(&worker->outbox, VM_ENDED, &ended, sizeof(ended));
	rc = outbox_flush(&worker->outbox);
	run_disarm();
	/* A machine that KVM itself gave up is not used again, by nobody's leave. */
	return rc < 0 || end == RUN_BROKEN ? -1 : 0;
}

/* After an end of any kind the guest's kernel walks its workspace once. */
int execution_collect(struct worker *worker)
{
	struct run run = {
		.machine = &worker->machine,
		.io = {NULL, put_files, flush_output, worker},
		.wall_deadline_ns = run_clock_ns() + COLLECT_NS,
	};
	const uint32_t none = 0;
	uint32_t failed;

	if (!memory_write(&worker->memory, GUEST_COMM + offsetof(struct comm, output_used), &none,
			  sizeof(none)))
		return -1;
	machine_settle(&worker->machine);
	machine_enter_user(&worker->machine, worker->machine.kernel.collect_entry,
			   worker->machine.kernel.boot_stack);
	worker->machine.run->s.regs.events = worker->snapshot->header.state.events;
	worker->machine.run->kvm_dirty_regs |= KVM_SYNC_X86_EVENTS;
	failed = run_machine(&run) != RUN_EXITED || run.exit_kind != EXIT_CODE ||
		 run.exit_value != 0;
	(void)outbox_add(&worker->outbox, VM_FILES_END, &failed, sizeof(failed));
	return outbox_flush(&worker->outbox) < 0 ? -1 : 0;
}
