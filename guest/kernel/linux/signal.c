/*
 * Sending, holding back and acting upon signals.
 *
 * Theory of operation: a signal waits in the thread's or the process's set until a thread that does
 * not block it is about to return to user code; then its frame is built (sigframe.c) or the run
 * ends. An ignored signal is dropped when sent. There is no job control: nobody could continue what
 * stops, so SIGSTOP means to wait for the limit, and the stopping signals of a terminal are ignored.
 * Trust boundary: numbers are checked by the system calls; handlers' addresses are jumped to in
 * user code, where they do what the program could do anyway.
 */
#include "syscalls.h"

#define NEVER_BLOCKED (signal_bit(LX_SIGKILL) | signal_bit(LX_SIGSTOP))
#define IGNORED_BY_DEFAULT                                                                         \
	(signal_bit(LX_SIGCHLD) | signal_bit(LX_SIGCONT) | signal_bit(LX_SIGTSTP) |                \
	 signal_bit(LX_SIGTTIN) | signal_bit(LX_SIGTTOU) | signal_bit(LX_SIGURG) |                 \
	 signal_bit(LX_SIGWINCH))
#define SYSCALL_INSTRUCTION_BYTES 2

static bool is_ignored(const struct kernel *kernel, uint32_t number)
{
	uint64_t handler = kernel->signals.actions[number - 1].handler;

	if (handler == LX_SIG_DFL)
		return IGNORED_BY_DEFAULT & signal_bit(number);
	return handler == LX_SIG_IGN && number != LX_SIGKILL;
}

static uint64_t deliverable(const struct kernel *kernel, const struct thread *thread)
{
	return (thread->signals.pending.set | kernel->signals.pending.set) & ~thread->signals.mask;
}

bool signal_waits_for(const struct kernel *kernel, const struct thread *thread)
{
	return deliverable(kernel, thread) != 0;
}

static void wake_for(struct kernel *kernel, uint32_t number)
{
	for (uint32_t i = 0; i < kernel->thread_count; i++) {
		struct thread *thread = kernel->threads[i];

		if ((thread->signals.mask & signal_bit(number)) && thread->wait != WAIT_SIGNAL)
			continue;
		if (!thread->runnable)
			thread_wake(thread, WAKE_SIGNAL);
		return;
	}
}

void signal_send(struct kernel *kernel, struct thread *thread, uint32_t number,
		 struct signal_cause cause)
{
	struct signal_pending *pending =
		thread ? &thread->signals.pending : &kernel->signals.pending;
	bool blocked = thread && (thread->signals.mask & signal_bit(number));

	if (is_ignored(kernel, number) && !blocked)
		return;
	if (!(pending->set & signal_bit(number)))
		pending->causes[number - 1] = cause;
	pending->set |= signal_bit(number);
	if (!thread)
		wake_for(kernel, number);
	else if (!thread->runnable && (!blocked || thread->wait == WAIT_SIGNAL))
		thread_wake(thread, WAKE_SIGNAL);
}

void signal_fault(struct kernel *kernel, uint32_t number, struct signal_cause cause)
{
	struct thread *thread = kernel->current;

	/* Blocked or ignored, it would come again and again. */
	if ((thread->signals.mask & signal_bit(number)) ||
	    kernel->signals.actions[number - 1].handler <= LX_SIG_IGN)
		host_exit(kernel, EXIT_SIGNAL, number, cause.address);
	thread->signals.pending.causes[number - 1] = cause;
	thread->signals.pending.set |= signal_bit(number);
}

/* Lowest number first, the thread's own before the process's; the set bit is taken out. */
static uint32_t take_next(struct kernel *kernel, struct signal_cause *cause)
{
	struct thread *thread = kernel->current;
	uint64_t set = deliverable(kernel, thread);
	struct signal_pending *pending = &thread->signals.pending;
	uint32_t number;

	if (set == 0)
		return 0;
	number = (uint32_t)__builtin_ctzll(set) + 1;
	if (!(pending->set & signal_bit(number)))
		pending = &kernel->signals.pending;
	pending->set &= ~signal_bit(number);
	*cause = pending->causes[number - 1];
	return number;
}

/* The interrupted system call fails with EINTR, or is done again after the handler. */
static void settle_call(struct guest_registers *regs, const struct signal_action *action)
{
	if ((int64_t)regs->orig_rax < 0 || (int64_t)regs->rax != -RESTART)
		return;
	if (action && !(action->flags & LX_SA_RESTART)) {
		regs->rax = (uint64_t)-EINTR;
		return;
	}
	regs->rax = regs->orig_rax;
	regs->rip -= SYSCALL_INSTRUCTION_BYTES;
}

static void run_handler(struct kernel *kernel, uint32_t number, const struct signal_cause *cause)
{
	struct thread *thread = kernel->current;
	struct signal_action action = kernel->signals.actions[number - 1];
	uint64_t mask =
		thread->signals.restore_mask ? thread->signals.saved_mask : thread->signals.mask;

	settle_call(&thread->regs, &action);
	if (!sigframe_push(kernel, number, &action, cause, mask))
		host_exit(kernel, EXIT_SIGNAL, LX_SIGSEGV, thread->regs.rsp);
	thread->signals.restore_mask = false;
	thread->signals.mask |= action.mask & ~NEVER_BLOCKED;
	if (!(action.flags & LX_SA_NODEFER))
		thread->signals.mask |= signal_bit(number);
	if (action.flags & LX_SA_RESETHAND)
		kernel->signals.actions[number - 1].handler = LX_SIG_DFL;
}

/* All threads; the host ends it. */
__attribute__((noreturn)) static void stop_for_good(struct kernel *kernel)
{
	for (;;)
		host_wait(kernel, NEVER_NS);
}

void signal_deliver(struct kernel *kernel)
{
	struct thread *thread = kernel->current;
	struct signal_cause cause;
	uint32_t number;

	while ((number = take_next(kernel, &cause)) > 0) {
		if (is_ignored(kernel, number))
			continue;
		if (number == LX_SIGSTOP)
			stop_for_good(kernel);
		if (kernel->signals.actions[number - 1].handler == LX_SIG_DFL)
			host_exit(kernel, EXIT_SIGNAL, number, cause.address);
		run_handler(kernel, number, &cause);
	}
	/* No handler ran: the call goes on. */
	settle_call(&thread->regs, NULL);
	signal_unborrow_mask(thread);
}

void signal_borrow_mask(struct thread *thread, uint64_t mask)
{
	if (!thread->signals.restore_mask)
		thread->signals.saved_mask = thread->signals.mask;
	thread->signals.restore_mask = true;
	thread->signals.mask = mask & ~NEVER_BLOCKED;
}

void signal_unborrow_mask(struct thread *thread)
{
	if (thread->signals.restore_mask)
		thread->signals.mask = thread->signals.saved_mask;
	thread->signals.restore_mask = false;
}

int64_t sys_rt_sigaction(struct kernel *kernel, const struct call *call)
{
	struct signal_action action;
	uint64_t number = call->a;

	if (number < 1 || number > SIGNALS || call->d != sizeof(uint64_t))
		return -EINVAL;
	if (call->b && (number == LX_SIGKILL || number == LX_SIGSTOP))
		return -EINVAL;
	if (call->b && user_get(kernel, &action, call->b, sizeof(action)))
		return -EFAULT;
	if (call->c &&
	    user_put(kernel, call->c, &kernel->signals.actions[number - 1], sizeof(action)))
		return -EFAULT;
	if (call->b)
		kernel->signals.actions[number - 1] = action;
	return 0;
}

int64_t sys_rt_sigprocmask(struct kernel *kernel, const struct call *call)
{
	struct signal_state *state = &kernel->current->signals;
	uint64_t old = state->mask;
	uint64_t set = 0;

	if (call->d != sizeof(set))
		return -EINVAL;
	if (call->b && user_get(kernel, &set, call->b, sizeof(set)))
		return -EFAULT;
	if (call->b) {
		switch (call->a) {
		case 0: state->mask |= set; break;
		case 1: state->mask &= ~set; break;
		case 2: state->mask = set; break;
		default: return -EINVAL;
		}
		state->mask &= ~NEVER_BLOCKED;
	}
	return call->c ? user_put(kernel, call->c, &old, sizeof(old)) : 0;
}

int64_t sys_rt_sigpending(struct kernel *kernel, const struct call *call)
{
	const struct thread *thread = kernel->current;
	uint64_t set =
		(thread->signals.pending.set | kernel->signals.pending.set) & thread->signals.mask;

	return call->b != sizeof(set) ? -EINVAL : user_put(kernel, call->a, &set, sizeof(set));
}

int64_t sys_rt_sigsuspend(struct kernel *kernel, const struct call *call)
{
	uint64_t mask;
	int64_t result;

	if (call->b != sizeof(mask))
		return -EINVAL;
	if (user_get(kernel, &mask, call->a, sizeof(mask)))
		return -EFAULT;
	signal_borrow_mask(kernel->current, mask);
	result = thread_wait(kernel, WAIT_SIGNAL, 0, NEVER_NS);
	return result == -RESTART ? -EINTR : result;
}

int64_t sys_pause(struct kernel *kernel, const struct call *call)
{
	int64_t result = thread_wait(kernel, WAIT_SIGNAL, 0, NEVER_NS);

	(void)call;
	return result == -RESTART ? -EINTR : result;
}

struct user_siginfo {
	int32_t number;
	int32_t error;
	int32_t code;
	int32_t pad;
	uint32_t pid;
	uint32_t uid;
	uint64_t rest[13];
};

static int64_t took_signal(struct kernel *kernel, uint64_t info_address, uint32_t number,
			   const struct signal_cause *cause)
{
	struct user_siginfo info = {.number = (int32_t)number,
				    .code = cause->code,
				    .pid = cause->pid,
				    .uid = GUEST_UID};

	if (info_address && user_put(kernel, info_address, &info, sizeof(info)))
		return -EFAULT;
	return number;
}

int64_t sys_rt_sigtimedwait(struct kernel *kernel, const struct call *call)
{
	struct thread *thread = kernel->current;
	struct signal_cause cause;
	uint64_t wanted;
	uint64_t deadline_ns;
	uint64_t mask = thread->signals.mask;
	uint32_t number;
	int64_t result;
	int error;

	if (call->d != sizeof(wanted))
		return -EINVAL;
	if (user_get(kernel, &wanted, call->a, sizeof(wanted)))
		return -EFAULT;
	error = clock_deadline(kernel, call->c, &deadline_ns);
	if (error)
		return error;
	thread->signals.mask = ~wanted;
	number = take_next(kernel, &cause);
	thread->signals.mask = mask;
	if (number > 0)
		return took_signal(kernel, call->b, number, &cause);
	if (thread->woken == WAKE_TIMEOUT)
		return -EAGAIN;
	result = thread_wait(kernel, WAIT_SIGNAL, 0, deadline_ns);
	return result == -RESTART ? -EINTR : result;
}

int64_t sys_sigaltstack(struct kernel *kernel, const struct call *call)
{
	struct signal_state *state = &kernel->current->signals;
	uint64_t rsp = kernel->current->regs.rsp;
	struct signal_stack old = state->stack;
	struct signal_stack stack;

	if (rsp - old.base < old.bytes)
		old.flags |= LX_SS_ONSTACK;
	if (call->a) {
		if (user_get(kernel, &stack, call->a, sizeof(stack)))
			return -EFAULT;
		if (old.flags & LX_SS_ONSTACK)
			return -EPERM;
		if (!(stack.flags & LX_SS_DISABLE) && stack.bytes < 2048)
			return -ENOMEM;
		if (stack.flags & LX_SS_DISABLE)
			stack = (struct signal_stack){.flags = LX_SS_DISABLE};
		state->stack = stack;
	}
	return call->b ? user_put(kernel, call->b, &old, sizeof(old)) : 0;
}

/* To nobody but itself: there are no other processes. */
static int send_checked(struct kernel *kernel, struct thread *thread, uint64_t number, int32_t code)
{
	if (number > SIGNALS)
		return -EINVAL;
	if (number > 0)
		signal_send(kernel, thread, (uint32_t)number,
			    (struct signal_cause){.code = code, .pid = kernel->pid});
	return 0;
}

int64_t sys_kill(struct kernel *kernel, const struct call *call)
{
	int64_t pid = (int32_t)call->a;

	if (pid != (int64_t)kernel->pid && pid != 0 && pid != -(int64_t)kernel->pid)
		return pid == -1 ? -EPERM : -ESRCH;
	return send_checked(kernel, NULL, (uint32_t)call->b, LX_SI_USER);
}

int64_t sys_tkill(struct kernel *kernel, const struct call *call)
{
	struct thread *thread = thread_find(kernel, call->a);

	return thread ? send_checked(kernel, thread, (uint32_t)call->b, LX_SI_TKILL) : -ESRCH;
}

int64_t sys_tgkill(struct kernel *kernel, const struct call *call)
{
	struct thread *thread = thread_find(kernel, call->b);

	if (!thread || (uint32_t)call->a != kernel->pid)
		return -ESRCH;
	return send_checked(kernel, thread, (uint32_t)call->c, LX_SI_TKILL);
}
