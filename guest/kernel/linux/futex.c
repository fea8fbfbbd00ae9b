/*
 * futex: waiting for a word of the program's memory to change.
 *
 * Theory of operation: a waiter's key is the word's address, as there is one address space. Nothing
 * runs between the comparison and the wait, so a wake cannot be lost. Those who waited first are
 * woken first.
 * Trust boundary: addresses and operations are the program's. The robust list is the program's
 * memory: it is followed for a bounded number of steps and each link is checked.
 */
#include "syscalls.h"

enum {
	FUTEX_WAIT = 0,
	FUTEX_WAKE = 1,
	FUTEX_REQUEUE = 3,
	FUTEX_CMP_REQUEUE = 4,
	FUTEX_WAKE_OP = 5,
	FUTEX_WAIT_BITSET = 9,
	FUTEX_WAKE_BITSET = 10,
	FUTEX_COMMAND = 127,
	FUTEX_CLOCK_REALTIME = 256,
};

#define FUTEX_ALL 0xffffffffu
#define OWNER_DIED 0x40000000u
#define HAS_WAITERS 0x80000000u
#define OWNER_MASK 0x3fffffffu
#define MAX_ROBUST 2048u

static struct thread *first_waiter(struct kernel *kernel, uint64_t address, uint32_t bits)
{
	struct thread *first = NULL;

	for (uint32_t i = 0; i < kernel->thread_count; i++) {
		struct thread *thread = kernel->threads[i];

		if (thread->wait == WAIT_FUTEX && thread->wait_key == address &&
		    (thread->futex_bits & bits) &&
		    (!first || thread->wait_since < first->wait_since))
			first = thread;
	}
	return first;
}

int64_t futex_wake(struct kernel *kernel, uint64_t address, uint32_t count, uint32_t bits)
{
	int64_t woken = 0;

	while (woken < (int64_t)count) {
		struct thread *thread = first_waiter(kernel, address, bits);

		if (!thread)
			break;
		thread_wake(thread, WAKE_EVENT);
		kernel->review_kicks = true;
		woken++;
	}
	return woken;
}

static int deadline_of(struct kernel *kernel, uint64_t timeout, bool absolute, bool wall,
		       uint64_t *deadline_ns)
{
	uint64_t ns;
	uint64_t now;
	int error;

	if (timeout == 0 || !absolute)
		return clock_deadline(kernel, timeout, deadline_ns);
	error = clock_get_timespec(kernel, timeout, &ns);
	if (error)
		return error;
	now = clock_ns(kernel, wall ? CLOCK_WALL : CLOCK_STEADY);
	*deadline_ns = clock_ns(kernel, CLOCK_STEADY) + (ns > now ? ns - now : 0);
	return 0;
}

static int64_t futex_wait(struct kernel *kernel, const struct call *call, uint32_t bits,
			  bool absolute)
{
	struct thread *self = kernel->current;
	const unaligned_u32 *word = user_range(kernel, call->a, sizeof(*word), LX_PROT_READ);
	uint64_t deadline_ns;
	int64_t result;
	int error;

	if (self->woken == WAKE_EVENT)
		return 0;
	if (self->woken == WAKE_TIMEOUT)
		return -ETIMEDOUT;
	if (call->a % sizeof(*word) != 0 || bits == 0)
		return -EINVAL;
	if (!word)
		return -EFAULT;
	if (self->woken != WAKE_SIGNAL && *word != (uint32_t)call->c)
		return -EAGAIN;
	error = deadline_of(kernel, call->d, absolute, call->b & FUTEX_CLOCK_REALTIME,
			    &deadline_ns);
	if (error)
		return error;
	result = thread_wait(kernel, WAIT_FUTEX, call->a, deadline_ns);
	self->futex_bits = bits;
	return result == -RESTART && call->d ? -EINTR : result;
}

static int64_t futex_requeue(struct kernel *kernel, const struct call *call, bool compare)
{
	const unaligned_u32 *word = user_range(kernel, call->a, sizeof(*word), LX_PROT_READ);
	int64_t done;
	uint64_t moved = 0;

	if (!word || !user_range(kernel, call->e, sizeof(*word), LX_PROT_READ))
		return -EFAULT;
	if (compare && *word != (uint32_t)call->f)
		return -EAGAIN;
	done = futex_wake(kernel, call->a, (uint32_t)call->c, FUTEX_ALL);
	while (moved < (uint32_t)call->d) {
		struct thread *thread = first_waiter(kernel, call->a, FUTEX_ALL);

		if (!thread || call->a == call->e)
			break;
		thread->wait_key = call->e;
		moved++;
	}
	return done + (compare ? (int64_t)moved : 0);
}

static uint32_t operate(uint32_t operation, uint32_t old, uint32_t argument)
{
	switch (operation) {
	case 0: return argument;
	case 1: return old + argument;
	case 2: return old | argument;
	case 3: return old & ~argument;
	default: return old ^ argument;
	}
}

static bool compare(uint32_t operation, int32_t old, int32_t argument)
{
	switch (operation) {
	case 0: return old == argument;
	case 1: return old != argument;
	case 2: return old < argument;
	case 3: return old <= argument;
	case 4: return old > argument;
	default: return old >= argument;
	}
}

static int64_t futex_wake_op(struct kernel *kernel, const struct call *call)
{
	uint32_t code = (uint32_t)call->f;
	uint32_t operation = code >> 28 & 7;
	uint32_t argument = code >> 12 & 0xfff;
	unaligned_u32 *word = user_range(kernel, call->e, sizeof(*word), LX_PROT_WRITE);
	uint32_t old;
	int64_t done;

	if (!word)
		return -EFAULT;
	if (operation > 4 || (code >> 24 & 15) > 5)
		return -ENOSYS;
	if (code >> 31)
		argument = UINT32_C(1) << (argument & 31);
	old = *word;
	*word = operate(operation, old, argument);
	done = futex_wake(kernel, call->a, (uint32_t)call->c, FUTEX_ALL);
	if (compare(code >> 24 & 15, (int32_t)old, (int32_t)(code & 0xfff)))
		done += futex_wake(kernel, call->e, (uint32_t)call->d, FUTEX_ALL);
	return done;
}

int64_t sys_futex(struct kernel *kernel, const struct call *call)
{
	switch (call->b & FUTEX_COMMAND) {
	case FUTEX_WAIT: return futex_wait(kernel, call, FUTEX_ALL, false);
	case FUTEX_WAIT_BITSET: return futex_wait(kernel, call, (uint32_t)call->f, true);
	case FUTEX_WAKE: return futex_wake(kernel, call->a, (uint32_t)call->c, FUTEX_ALL);
	case FUTEX_WAKE_BITSET:
		return futex_wake(kernel, call->a, (uint32_t)call->c, (uint32_t)call->f);
	case FUTEX_REQUEUE: return futex_requeue(kernel, call, false);
	case FUTEX_CMP_REQUEUE: return futex_requeue(kernel, call, true);
	case FUTEX_WAKE_OP: return futex_wake_op(kernel, call);
	default: return -ENOSYS;
	}
}

static void owner_died(struct kernel *kernel, uint64_t address, uint32_t tid)
{
	unaligned_u32 *word = user_range(kernel, address, sizeof(*word), LX_PROT_WRITE);

	if (!word || address % sizeof(*word) != 0 || (*word & OWNER_MASK) != tid)
		return;
	*word = (*word & HAS_WAITERS) | OWNER_DIED;
	(void)futex_wake(kernel, address, 1, FUTEX_ALL);
}

struct robust_head {
	uint64_t next;
	int64_t offset;
	uint64_t pending;
};

static void release_robust(struct kernel *kernel, const struct thread *thread)
{
	struct robust_head head;
	uint64_t link;

	if (!thread->robust_list || user_get(kernel, &head, thread->robust_list, sizeof(head)))
		return;
	link = head.next;
	for (unsigned i = 0; link != thread->robust_list && i < MAX_ROBUST; i++) {
		owner_died(kernel, (link & ~UINT64_C(1)) + (uint64_t)head.offset, thread->tid);
		if (user_get(kernel, &link, link & ~UINT64_C(1), sizeof(link)))
			return;
	}
	if (head.pending)
		owner_died(kernel, head.pending + (uint64_t)head.offset, thread->tid);
}

void futex_exit(struct kernel *kernel, struct thread *thread)
{
	const uint32_t zero = 0;

	release_robust(kernel, thread);
	if (thread->clear_tid && !user_put(kernel, thread->clear_tid, &zero, sizeof(zero)))
		(void)futex_wake(kernel, thread->clear_tid, 1, FUTEX_ALL);
}
