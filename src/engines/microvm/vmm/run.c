/*
 * Theory of operation: KVM_RUN until it returns, then look why: a host call (hostcalls.c), an
 * exception (a stub's port write), a timer's signal, or something that no guest of ours does. One
 * timer serves the wall limit and the kicks, one the CPU limit; their handler only makes KVM_RUN
 * return. A kick or an exception goes to the guest kernel as an upcall: the interrupted registers
 * are written to its trap page and the vCPU goes on at its entry.
 * Trust boundary: registers and memory are the guest's, who may own its ring 0 as well. Nothing it
 * does here leads to more than its own end.
 */
#include "run.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <x86intrin.h>

#include "core/error.h"
#include "hostcalls.h"

#define NS_PER_S UINT64_C(1000000000)
#define KICK_STRETCH_MOST 16u
#define LOOK_NS UINT64_C(50000000) /* how long output may lie unseen while the guest computes */

/* The handler has no other way to learn which vCPU is meant; there is one per process. */
static struct kvm_run *volatile interrupted_run;
static volatile uint32_t wanted_stop; /* number of an execution */
static timer_t wall_timer;
static timer_t cpu_timer;
static bool cpu_armed;

static uint64_t read_clock(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t run_clock_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

struct guest_clock run_guest_clock(uint64_t tsc_khz)
{
	struct timespec real;

	(void)clock_gettime(CLOCK_REALTIME, &real);
	return (struct guest_clock){
		.base_tsc = __rdtsc(),
		.multiplier = (uint64_t)(((unsigned __int128)1000000 << 32) / tsc_khz),
		.monotonic_base_ns = run_clock_ns(),
		.realtime_base_ns = (uint64_t)real.tv_sec * NS_PER_S + (uint64_t)real.tv_nsec,
	};
}

void run_set_clock(struct run *run)
{
	struct guest_clock clock;

	if (!run->tsc_khz)
		return;
	clock = run_guest_clock(run->tsc_khz);
	(void)memory_write(run->machine->memory, GUEST_RUN_INFO + offsetof(struct run_info, clock),
			   &clock, sizeof(clock));
}

/* The thread's, which is the only one by now: of the process's the kernel tells only what it knew at
 * its last tick, as long as a timer runs on that clock. */
uint64_t run_cpu_ns(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t run_process_cpu_ns(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static void on_timer(int number)
{
	struct kvm_run *run = interrupted_run;

	(void)number;
	if (run)
		run->immediate_exit = 1;
}

/* The number comes with the signal: one that is late finds another execution and does nothing. */
static void on_stop(int number, siginfo_t *info, void *context)
{
	(void)context;
	wanted_stop = (uint32_t)info->si_value.sival_int;
	on_timer(number);
}

int run_timers_open(struct psb_error *err)
{
	const struct sigaction action = {.sa_handler = on_timer};
	const struct sigaction stop = {.sa_sigaction = on_stop, .sa_flags = SA_SIGINFO};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
	sigset_t alarm;

	(void)sigemptyset(&alarm);
	(void)sigaddset(&alarm, SIGALRM);
	if (sigaction(SIGALRM, &action, NULL) < 0 || sigaction(SIGUSR1, &stop, NULL) < 0 ||
	    sigprocmask(SIG_UNBLOCK, &alarm, NULL) < 0 ||
	    timer_create(CLOCK_MONOTONIC, &event, &wall_timer) < 0 ||
	    timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &cpu_timer) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: timers: %s%s", strerror(errno),
				errno == EAGAIN ? ": raise the limit of pending signals "
						  "(ulimit -i)"
						: "");
	return 0;
}

/* 0 disarms. A moment that is past fires at once. */
static void arm(timer_t timer, uint64_t at_ns)
{
	const struct itimerspec when = {.it_value = {.tv_sec = (time_t)(at_ns / NS_PER_S),
						     .tv_nsec = (long)(at_ns % NS_PER_S)}};

	(void)timer_settime(timer, TIMER_ABSTIME, &when, NULL);
}

/* No processor time is spent faster than time passes: the timer of the first can wait until the
 * second's has fired once, unless the limit is nearer. */
static void arm_cpu(const struct run *run)
{
	if (!run->cpu_deadline_ns || cpu_armed)
		return;
	arm(cpu_timer, run->cpu_deadline_ns);
	cpu_armed = true;
}

void run_disarm(void)
{
	arm(wall_timer, 0);
	if (cpu_armed)
		arm(cpu_timer, 0);
	cpu_armed = false;
}

void run_arm_wall(const struct run *run)
{
	uint64_t at = run->wall_deadline_ns;

	if (run->kick_ns && (!at || run->kick_ns < at))
		at = run->kick_ns;
	if (run->look_ns && (!at || run->look_ns < at))
		at = run->look_ns;
	arm(wall_timer, at);
}

/* -1: nothing is over. */
static int check_limits(const struct run *run)
{
	if (run->execution && wanted_stop == run->execution)
		return RUN_STOPPED;
	if (run->cpu_deadline_ns && run_cpu_ns() >= run->cpu_deadline_ns)
		return RUN_CPU_SPENT;
	if (run->wall_deadline_ns && run_clock_ns() >= run->wall_deadline_ns)
		return RUN_TIMED_OUT;
	return -1;
}

static bool in_kernel(const struct run *run, uint64_t rip)
{
	const struct kernel_header *kernel = &run->machine->kernel;

	return rip >= kernel->text_start && rip < kernel->text_end;
}

static struct guest_registers user_registers(const struct kvm_regs *regs)
{
	return (struct guest_registers){
		.r15 = regs->r15,
		.r14 = regs->r14,
		.r13 = regs->r13,
		.r12 = regs->r12,
		.rbp = regs->rbp,
		.rbx = regs->rbx,
		.r11 = regs->r11,
		.r10 = regs->r10,
		.r9 = regs->r9,
		.r8 = regs->r8,
		.rax = regs->rax,
		.rcx = regs->rcx,
		.rdx = regs->rdx,
		.rsi = regs->rsi,
		.rdi = regs->rdi,
		.orig_rax = UINT64_MAX,
		.rip = regs->rip,
		.cs = GUEST_USER_CS,
		.rflags = regs->rflags,
		.rsp = regs->rsp,
		.ss = GUEST_USER_SS,
	};
}

static bool upcall(struct run *run, const struct trap_info *trap)
{
	struct machine *machine = run->machine;

	if (!memory_write(machine->memory, GUEST_COMM + offsetof(struct comm, trap), trap,
			  sizeof(*trap)))
		return false;
	machine_enter_user(machine, machine->kernel.trap_entry, machine->kernel.boot_stack);
	return true;
}

static void kick(struct run *run)
{
	const struct kvm_sync_regs *sync = &run->machine->run->s.regs;
	const uint32_t pending = 1;
	struct trap_info trap = {.vector = TRAP_KICK};

	if (sync->sregs.cs.dpl == 3 && !in_kernel(run, sync->regs.rip) &&
	    !sync->events.exception.injected && !sync->events.exception.pending) {
		trap.regs = user_registers(&sync->regs);
		(void)upcall(run, &trap);
	} else {
		(void)memory_write(run->machine->memory,
				   GUEST_COMM + offsetof(struct comm, kick_pending), &pending,
				   sizeof(pending));
	}
}

/* Where entering the guest takes longer than a period (software emulation), kicks would keep it from
 * ever going on: they become rarer as long as they find it where it was. */
static uint64_t kick_distance(struct run *run)
{
	uint64_t rip = run->machine->run->s.regs.regs.rip;

	if (rip != run->kick_rip)
		run->kick_stretch = 1;
	else if (run->kick_stretch < KICK_STRETCH_MOST)
		run->kick_stretch *= 2;
	run->kick_rip = rip;
	return run->kick_period_ns * run->kick_stretch;
}

/* Late kicks are not made up for. */
static bool kick_is_due(struct run *run)
{
	uint64_t now;

	if (!run->kick_ns)
		return false;
	now = run_clock_ns();
	if (now < run->kick_ns)
		return false;
	run->kick_ns = run->kick_period_ns ? now + kick_distance(run) : 0;
	return true;
}

int run_interrupted(struct run *run)
{
	int end = check_limits(run);

	if (end >= 0)
		return end;
	arm_cpu(run);
	if (kick_is_due(run))
		kick(run);
	run_arm_wall(run);
	return -1;
}

/* A timer's signal while the guest computes: its kernel is not in the middle of a record. */
static int on_interrupt(struct run *run)
{
	bool look = run->look_ns && run_clock_ns() >= run->look_ns;
	int end = -1;

	if (look && !in_kernel(run, run->machine->run->s.regs.regs.rip))
		end = output_show(run);
	if (look)
		run->look_ns = run_clock_ns() + LOOK_NS;
	return end >= 0 ? end : run_interrupted(run);
}

static bool has_error_code(uint64_t vector)
{
	return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 ||
	       vector == 29 || vector == 30;
}

static uint32_t signal_of(uint64_t vector)
{
	switch (vector) {
	case 0:
	case 16:
	case 19: return SIGFPE;
	case 1:
	case 3: return SIGTRAP;
	case 6: return SIGILL;
	case 17: return SIGBUS;
	default: return SIGSEGV;
	}
}

static int crashed(struct run *run, uint32_t signal, uint64_t address)
{
	run->signal = signal;
	run->address = address;
	return RUN_CRASHED;
}

/* The stub stands on ring 0's stack: [error code,] rip, cs, rflags, rsp, ss. */
static int on_exception(struct run *run)
{
	const struct kvm_sync_regs *sync = &run->machine->run->s.regs;
	struct trap_info trap = {.vector = (sync->regs.rip - MACHINE_STUBS) / MACHINE_STUB_BYTES};
	uint64_t stack = sync->regs.rsp;
	uint64_t frame[5];

	if (trap.vector > 31)
		return crashed(run, SIGILL, sync->regs.rip);
	if (has_error_code(trap.vector)) {
		if (!memory_read(run->machine->memory, stack, &trap.error_code, 8))
			return crashed(run, SIGSEGV, 0);
		stack += 8;
	}
	if (trap.vector == 14)
		trap.address = sync->sregs.cr2;
	if (!memory_read(run->machine->memory, stack, frame, sizeof(frame)))
		return crashed(run, SIGSEGV, 0);
	run->address = trap.vector == 14 ? trap.address : frame[0];
	if (in_kernel(run, frame[0]) || (frame[1] & 3) != 3)
		return crashed(run, signal_of(trap.vector), run->address);
	trap.regs = user_registers(&sync->regs);
	trap.regs.rip = frame[0];
	trap.regs.rflags = frame[2];
	trap.regs.rsp = frame[3];
	return upcall(run, &trap) ? -1 : crashed(run, SIGSEGV, run->address);
}

static int on_port(struct run *run)
{
	const struct kvm_run *kvm = run->machine->run;

	if (kvm->io.direction != KVM_EXIT_IO_OUT || kvm->io.size != 1 || kvm->io.count != 1)
		return crashed(run, SIGILL, kvm->s.regs.regs.rip);
	switch (kvm->io.port) {
	case HOST_CALL_PORT: return host_call(run);
	case EXCEPTION_PORT: return on_exception(run);
	default: return crashed(run, SIGILL, kvm->s.regs.regs.rip);
	}
}

/* Where the tables lead to no memory KVM would have us play a device, or cannot tell what the
 * instruction wants from it. A worker that saw either is not used again. */
static int on_no_memory(struct run *run, uint64_t address)
{
	return crashed(run, SIGSEGV, address);
}

static int on_internal_error(struct run *run)
{
	const struct kvm_run *kvm = run->machine->run;

	if (kvm->internal.suberror != KVM_INTERNAL_ERROR_EMULATION)
		return RUN_BROKEN;
	return on_no_memory(run, kvm->s.regs.regs.rip);
}

/* -1: go on. */
static int look_why(struct run *run)
{
	const struct kvm_run *kvm = run->machine->run;

	switch (kvm->exit_reason) {
	case KVM_EXIT_IO: return on_port(run);
	case KVM_EXIT_INTR: return -1;
	case KVM_EXIT_MMIO: return on_no_memory(run, kvm->mmio.phys_addr);
	case KVM_EXIT_INTERNAL_ERROR: return on_internal_error(run);
	case KVM_EXIT_SHUTDOWN:
	case KVM_EXIT_HLT: return crashed(run, SIGSEGV, kvm->s.regs.regs.rip);
	default: return RUN_BROKEN;
	}
}

enum run_end run_machine_armed(struct run *run)
{
	struct kvm_run *kvm = run->machine->run;
	int end = -1;

	interrupted_run = kvm;
	run->look_ns = run_clock_ns() + LOOK_NS;
	run_arm_wall(run);
	if (run->cpu_limit_ns <= LOOK_NS)
		arm_cpu(run);
	if (run->execution && wanted_stop == run->execution)
		end = RUN_STOPPED; /* it came before the start */
	while (end < 0) {
		int rc = ioctl(run->machine->vcpu_fd, KVM_RUN, 0);

		run->entries++;
		if (rc == 0)
			end = look_why(run);
		else if (errno != EINTR && errno != EAGAIN)
			end = RUN_BROKEN;
		if (kvm->immediate_exit && end < 0) {
			/* First forget, then look: a signal in between makes the next entry return. */
			kvm->immediate_exit = 0;
			end = on_interrupt(run);
		}
	}
	kvm->immediate_exit = 0;
	interrupted_run = NULL;
	return (enum run_end)end;
}

enum run_end run_machine(struct run *run)
{
	enum run_end end = run_machine_armed(run);

	run_disarm();
	return end;
}
