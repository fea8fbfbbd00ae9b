/*
 * Who runs next.
 *
 * Theory of operation: threads take turns. With nobody to run the kernel asks the host to wake it
 * at the earliest deadline. The host kicks periodically only while somebody runs and somebody else
 * could, or a time is awaited; a lone busy thread is never interrupted.
 * Trust boundary: none; deadlines were saturated where they were read.
 */
#include "kernel.h"

/* Moments at which a descriptor becomes ready by itself. */
static uint64_t next_timerfd(struct kernel *kernel)
{
	uint64_t next = NEVER_NS;
	uint32_t left = kernel->vfs.timer_count;

	for (uint32_t fd = 0; left > 0 && fd < FD_TABLE_SIZE; fd++) {
		uint64_t event;

		if (!kernel->fds.files[fd])
			continue;
		event = file_next_event(kernel->fds.files[fd]);
		next = min_u64(next, event);
	}
	return next;
}

/* Timers of processor time do not count: it does not pass while everybody waits. */
static uint64_t next_moment(struct kernel *kernel)
{
	uint64_t real = kernel->timers[TIMER_REAL].next_ns;
	uint64_t next = min_u64(real > 0 ? real : NEVER_NS, next_timerfd(kernel));

	for (uint32_t i = 0; i < kernel->thread_count; i++)
		if (!kernel->threads[i]->runnable)
			next = min_u64(next, kernel->threads[i]->deadline_ns);
	return next;
}

static void fire_interval(struct kernel *kernel, unsigned which, uint64_t now, uint32_t number)
{
	struct interval_timer *timer = &kernel->timers[which];

	if (timer->next_ns == 0 || now < timer->next_ns)
		return;
	timer->next_ns = timer->period_ns ? now + timer->period_ns : 0;
	signal_send(kernel, NULL, number, (struct signal_cause){.code = LX_SI_KERNEL});
}

static void expire(struct kernel *kernel)
{
	uint64_t now = clock_ns(kernel, CLOCK_STEADY);
	uint64_t cpu = clock_cpu_ns(kernel);

	fire_interval(kernel, TIMER_REAL, now, LX_SIGALRM);
	fire_interval(kernel, TIMER_VIRTUAL, cpu, LX_SIGVTALRM);
	fire_interval(kernel, TIMER_PROFILE, cpu, LX_SIGPROF);
	for (uint32_t i = 0; i < kernel->thread_count; i++)
		if (!kernel->threads[i]->runnable && kernel->threads[i]->deadline_ns <= now)
			thread_wake(kernel->threads[i], WAKE_TIMEOUT);
	if (kernel->vfs.timer_count > 0 && next_timerfd(kernel) <= now)
		for (uint32_t i = 0; i < kernel->thread_count; i++)
			if (kernel->threads[i]->wait == WAIT_ANY ||
			    kernel->threads[i]->wait == WAIT_OBJECT)
				thread_wake(kernel->threads[i], WAKE_EVENT);
}

static bool needs_kicks(struct kernel *kernel)
{
	uint32_t runnable = 0;

	for (uint32_t i = 0; i < kernel->thread_count; i++)
		runnable += kernel->threads[i]->runnable;
	return runnable > 1 || kernel->timers[TIMER_VIRTUAL].next_ns > 0 ||
	       kernel->timers[TIMER_PROFILE].next_ns > 0 || next_moment(kernel) != NEVER_NS;
}

static void review_kicks(struct kernel *kernel)
{
	kernel->review_kicks = false;
	if (!kernel->kicks_on && needs_kicks(kernel))
		host_kicks(kernel, true);
}

static struct thread *pick(struct kernel *kernel)
{
	for (uint32_t i = 0; i < kernel->thread_count; i++) {
		uint32_t index = (kernel->turn + 1 + i) % kernel->thread_count;

		if (kernel->threads[index]->runnable) {
			kernel->turn = index;
			return kernel->threads[index];
		}
	}
	return NULL;
}

void sched_switch(struct kernel *kernel, struct thread *to)
{
	struct thread *from = kernel->current;

	if (from == to)
		return;
	if (from) {
		cpu_save_fpu(from->fpu, kernel->boot->xsave_mask);
		from->fs_base = cpu_fs_base();
	}
	cpu_load_fpu(to->fpu, kernel->boot->xsave_mask);
	cpu_set_fs_base(to->fs_base);
	kernel->current = to;
}

#define BOOT_PATIENCE_NS (10 * NS_PER_SEC)

/* While booting nobody outside would notice a wait without end. */
static void give_up_boot(const struct kernel *kernel)
{
	static char text[] = "boot: the program waits for ever in system call ...";
	uint64_t number = kernel->threads[0]->regs.orig_rax;

	for (unsigned i = 0; i < 3; i++, number /= 10)
		text[sizeof(text) - 2 - i] = (char)('0' + number % 10);
	host_panic(text);
}

static void wait_for_host(struct kernel *kernel)
{
	uint64_t now = clock_ns(kernel, CLOCK_STEADY);
	uint64_t next = next_moment(kernel);

	if (next - now > BOOT_PATIENCE_NS && next > now && kernel->generation == 0)
		give_up_boot(kernel);
	if (next > now) {
		if (next - now > PREEMPT_NS)
			host_kicks(kernel, false);
		host_wait(kernel, next == NEVER_NS ? NEVER_NS : next - now);
	}
	expire(kernel);
}

/* The current thread's call, again or for the first time. False: it waits. */
static bool run_call(struct kernel *kernel)
{
	struct thread *thread = kernel->current;
	int64_t result;

	thread->in_call = true;
	result = syscall_dispatch(kernel, &thread->regs);
	if (result == BLOCKED)
		return false;
	thread->in_call = false;
	thread->has_deadline = false;
	thread->deadline_ns = NEVER_NS;
	thread->progress = 0;
	thread->woken = WAKE_NONE;
	thread->regs.rax = (uint64_t)result;
	return true;
}

static void take_kick(struct kernel *kernel)
{
	kernel->comm->kick_pending = 0;
	sched_kick(kernel);
}

struct guest_registers *schedule(struct kernel *kernel)
{
	for (;;) {
		struct thread *thread = kernel->current;

		if (!thread || !thread->runnable)
			thread = pick(kernel);
		if (!thread) {
			wait_for_host(kernel);
			continue;
		}
		sched_switch(kernel, thread);
		if (thread->in_call && !run_call(kernel))
			continue;
		if (kernel->comm->kick_pending) {
			take_kick(kernel);
			continue;
		}
		if (signal_waits_for(kernel, thread))
			signal_deliver(kernel);
		if (kernel->review_kicks)
			review_kicks(kernel);
		return &kernel->current->regs;
	}
}

void sched_kick(struct kernel *kernel)
{
	struct thread *next;

	expire(kernel);
	if (!needs_kicks(kernel)) {
		host_kicks(kernel, false);
		return;
	}
	next = pick(kernel);
	if (next)
		sched_switch(kernel, next);
}
