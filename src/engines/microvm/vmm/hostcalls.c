/*
 * Theory of operation: six calls, specified in guest/kernel/abi.h. The vCPU stands still while one
 * is served, so guest memory does not change under our hands; it is read once all the same.
 * Trust boundary: number, arguments and all memory are hostile. Ranges are checked by memory.c,
 * records here; a call that makes no sense gets an errno, an output area that makes none ends the
 * run as a crash.
 */
#include "hostcalls.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)

static int go_on(struct run *run, int64_t result)
{
	struct kvm_regs *regs = &run->machine->run->s.regs.regs;

	regs->rax = (uint64_t)result;
	regs->rip = regs->rcx;
	run->machine->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
	return -1;
}

static int bad_output(struct run *run)
{
	run->signal = SIGSEGV;
	run->address = GUEST_OUTPUT;
	return RUN_CRASHED;
}

/* A piece may be taken in parts with a timer's turn between them; `from` then moves on. */
static int output_piece(struct run *run, uint32_t stream, const uint8_t *data, uint32_t bytes)
{
	int rc;

	for (;;) {
		rc = run->io.output(run->io.context, stream, data, bytes);
		if (rc != -EINTR)
			return rc < 0 ? RUN_HOST_GONE : -1;
		rc = run_interrupted(run);
		if (rc >= 0)
			return rc;
	}
}

int output_drain(struct run *run)
{
	struct memory *memory = run->machine->memory;
	const uint64_t used_at = GUEST_COMM + offsetof(struct comm, output_used);
	const uint8_t *area = memory_view(memory, GUEST_OUTPUT, GUEST_OUTPUT_BYTES);
	const uint32_t none = 0;
	uint32_t used = 0;
	uint32_t at = 0;

	if (!area || !memory_read(memory, used_at, &used, sizeof(used)) ||
	    used > GUEST_OUTPUT_BYTES)
		return bad_output(run);
	while (at < used) {
		struct output_record record;
		int end;

		if (used - at < sizeof(record))
			return bad_output(run);
		memcpy(&record, area + at, sizeof(record));
		at += (uint32_t)sizeof(record);
		if (record.bytes > used - at)
			return bad_output(run);
		end = output_piece(run, record.stream, area + at, record.bytes);
		if (end >= 0)
			return end;
		at += record.bytes + (-record.bytes & 7u);
	}
	if (used > 0 && !memory_write(memory, used_at, &none, sizeof(none)))
		return bad_output(run);
	return -1;
}

int output_show(struct run *run)
{
	int end = output_drain(run);
	int rc;

	while (end < 0) {
		rc = run->io.flush(run->io.context);
		if (rc != -EINTR)
			return rc < 0 ? RUN_HOST_GONE : -1;
		end = run_interrupted(run);
	}
	return end;
}

static int call_read(struct run *run, uint64_t buffer, uint64_t bytes)
{
	int end = output_show(run);
	uint8_t *to;
	int64_t got;

	if (end >= 0)
		return end;
	if (!run->io.read)
		return RUN_CALLED_READ;
	to = memory_claim(run->machine->memory, buffer, bytes);
	if (!to)
		return go_on(run, -EFAULT);
	do {
		got = run->io.read(run->io.context, to, bytes);
		end = got == -EINTR ? run_interrupted(run) : -1;
	} while (got == -EINTR && end < 0);
	if (end >= 0)
		return end;
	return got < 0 ? RUN_HOST_GONE : go_on(run, got);
}

static int call_flush(struct run *run)
{
	int end = output_show(run);

	return end >= 0 ? end : go_on(run, 0);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a; /* 0: never */
}

/* Sleeps in the kernel until `until` (0: never), the next kick or the wall limit. */
static int sleep_until(struct run *run, uint64_t until)
{
	for (;;) {
		uint64_t next = earlier(earlier(until, run->kick_ns), run->wall_deadline_ns);
		const struct timespec pause = {(time_t)(next / NS_PER_S), (long)(next % NS_PER_S)};
		uint64_t kick_ns = run->kick_ns;
		uint64_t now;
		int end;

		if (next)
			(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &pause, NULL);
		now = run_clock_ns();
		end = run_interrupted(run);
		if (end >= 0 || !next || (until && now >= until) || (kick_ns && now >= kick_ns))
			return end;
	}
}

/* A duration, for the guest's clock has a beginning of its own. */
static int call_wait(struct run *run, uint64_t sleep_ns)
{
	int end = output_show(run);

	if (end >= 0)
		return end;
	(void)go_on(run, 0);
	end = sleep_until(run, sleep_ns > UINT64_MAX / 2 ? 0 : run_clock_ns() + sleep_ns);
	run_set_clock(run);
	return end;
}

static int call_timer(struct run *run, uint64_t first_ns, uint64_t period_ns)
{
	if (first_ns > UINT64_MAX / 2 || period_ns > UINT64_MAX / 2)
		return go_on(run, -EINVAL);
	run->kick_ns = first_ns ? run_clock_ns() + first_ns : 0;
	run->kick_period_ns =
		period_ns && period_ns < HOST_TIMER_MIN_NS ? HOST_TIMER_MIN_NS : period_ns;
	run_arm_wall(run);
	return go_on(run, 0);
}

static int call_exit(struct run *run, uint64_t kind, uint64_t value, uint64_t address)
{
	int end = output_drain(run);

	run->exit_kind = kind == EXIT_SIGNAL ? EXIT_SIGNAL : EXIT_CODE;
	run->exit_value = (int32_t)value;
	run->address = address;
	return end >= 0 ? end : RUN_EXITED;
}

static int call_panic(struct run *run, uint64_t text, uint64_t bytes)
{
	if (bytes > HOST_PANIC_MAX_BYTES)
		bytes = HOST_PANIC_MAX_BYTES;
	memset(run->panic, 0, sizeof(run->panic));
	if (!memory_read(run->machine->memory, text, run->panic, bytes))
		run->panic[0] = '?';
	(void)output_drain(run);
	return RUN_PANICKED;
}

int host_call(struct run *run)
{
	const struct kvm_regs regs = run->machine->run->s.regs.regs;

	switch (regs.rax) {
	case HOST_READ: return call_read(run, regs.rdi, regs.rsi);
	case HOST_FLUSH: return call_flush(run);
	case HOST_WAIT: return call_wait(run, regs.rdi);
	case HOST_TIMER: return call_timer(run, regs.rdi, regs.rsi);
	case HOST_EXIT: return call_exit(run, regs.rdi, regs.rsi, regs.rdx);
	case HOST_PANIC: return call_panic(run, regs.rdi, regs.rsi);
	default: return go_on(run, -ENOSYS);
	}
}
