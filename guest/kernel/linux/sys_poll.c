/*
 * poll, ppoll, select, pselect6.
 *
 * Theory of operation: all descriptors are looked at; if nothing is ready the thread waits for any
 * change of any object, or the deadline, and looks again.
 * Trust boundary: the arrays are the program's memory, checked as a whole before use.
 */
#include "syscalls.h"

#define MAX_POLLED FD_TABLE_SIZE
#define MS_TO_NS UINT64_C(1000000)
#define US_TO_NS UINT64_C(1000)

struct polled {
	int32_t fd;
	int16_t events;
	int16_t revents;
} __attribute__((packed));

static int64_t look(struct kernel *kernel, struct polled *polled, uint64_t count)
{
	int64_t ready = 0;

	for (uint64_t i = 0; i < count; i++) {
		struct file *file;
		uint32_t events = (uint16_t)polled[i].events;
		uint32_t found = LX_POLLNVAL;

		polled[i].revents = 0;
		if (polled[i].fd < 0)
			continue;
		file = fd_get(&kernel->fds, (uint32_t)polled[i].fd);
		if (file)
			found = file_poll(file) & (events | LX_POLLERR | LX_POLLHUP | LX_POLLNVAL);
		polled[i].revents = (int16_t)found;
		ready += found != 0;
	}
	return ready;
}

/* Nothing is ready: wait, unless the time is over. */
static int64_t wait_any(struct kernel *kernel, uint64_t deadline_ns)
{
	struct thread *self = kernel->current;
	int64_t result;

	if (self->woken == WAKE_TIMEOUT || deadline_ns == 0)
		return 0;
	result = thread_wait(kernel, WAIT_ANY, 0, deadline_ns);
	return result == -RESTART ? -EINTR : result;
}

int64_t poll_wait(struct kernel *kernel, uint64_t deadline_ns)
{
	return wait_any(kernel, deadline_ns);
}

static int64_t poll_until(struct kernel *kernel, uint64_t address, uint64_t count,
			  uint64_t deadline_ns)
{
	struct polled *polled;
	int64_t ready;

	if (count > MAX_POLLED)
		return -EINVAL;
	polled = user_range(kernel, address, count * sizeof(*polled), LX_PROT_WRITE);
	if (!polled && count > 0)
		return -EFAULT;
	ready = look(kernel, polled, count);
	return ready > 0 ? ready : wait_any(kernel, deadline_ns);
}

/* 0: do not wait at all. */
static uint64_t deadline_after(struct kernel *kernel, uint64_t ns)
{
	return ns == 0 ? 0 : clock_ns(kernel, CLOCK_STEADY) + ns;
}

uint64_t poll_deadline_ms(struct kernel *kernel, int32_t ms)
{
	return ms < 0 ? NEVER_NS : deadline_after(kernel, (uint64_t)ms * MS_TO_NS);
}

static int deadline_of_timespec(struct kernel *kernel, uint64_t address, uint64_t *deadline_ns)
{
	uint64_t ns;
	int error;

	*deadline_ns = NEVER_NS;
	if (!address)
		return 0;
	error = clock_get_timespec(kernel, address, &ns);
	if (!error)
		*deadline_ns = deadline_after(kernel, ns);
	return error;
}

int64_t sys_poll(struct kernel *kernel, const struct call *call)
{
	return poll_until(kernel, call->a, (uint32_t)call->b,
			  poll_deadline_ms(kernel, (int32_t)call->c));
}

/* The mask holds while the call waits; a signal's handler finds the old one in its frame. */
int borrow_mask_at(struct kernel *kernel, uint64_t address, uint64_t bytes)
{
	uint64_t mask;

	if (!address)
		return 0;
	if (bytes != sizeof(mask))
		return -EINVAL;
	if (user_get(kernel, &mask, address, sizeof(mask)))
		return -EFAULT;
	signal_borrow_mask(kernel->current, mask);
	return 0;
}

/* The mask stays borrowed while the call waits and until an interrupting handler runs. */
int64_t unborrow_after(struct kernel *kernel, int64_t result)
{
	if (result != BLOCKED && result != -EINTR)
		signal_unborrow_mask(kernel->current);
	return result;
}

int64_t sys_ppoll(struct kernel *kernel, const struct call *call)
{
	uint64_t deadline_ns;
	int error = deadline_of_timespec(kernel, call->c, &deadline_ns);

	if (!error)
		error = borrow_mask_at(kernel, call->d, call->e);
	if (error)
		return error;
	return unborrow_after(kernel, poll_until(kernel, call->a, (uint32_t)call->b, deadline_ns));
}

enum { SET_READ, SET_WRITE, SET_EXCEPT, SETS };

static const uint32_t set_events[SETS] = {
	[SET_READ] = LX_POLLIN | LX_POLLRDNORM | LX_POLLHUP | LX_POLLERR,
	[SET_WRITE] = LX_POLLOUT | LX_POLLWRNORM | LX_POLLERR,
	[SET_EXCEPT] = LX_POLLPRI,
};

static bool in_set(const unaligned_u64 *set, uint64_t fd)
{
	return set && (set[fd / 64] >> (fd % 64) & 1);
}

static int64_t look_at_sets(struct kernel *kernel, uint64_t count, unaligned_u64 *sets[SETS],
			    uint64_t out[SETS][FD_TABLE_SIZE / 64])
{
	int64_t ready = 0;

	for (uint64_t fd = 0; fd < count; fd++) {
		struct file *file = fd_get(&kernel->fds, fd);
		uint32_t found;

		if (!in_set(sets[0], fd) && !in_set(sets[1], fd) && !in_set(sets[2], fd))
			continue;
		if (!file)
			return -EBADF;
		found = file_poll(file);
		for (unsigned i = 0; i < SETS; i++) {
			if (!in_set(sets[i], fd) || !(found & set_events[i]))
				continue;
			out[i][fd / 64] |= UINT64_C(1) << (fd % 64);
			ready++;
		}
	}
	return ready;
}

static int64_t select_until(struct kernel *kernel, const struct call *call, uint64_t deadline_ns)
{
	const uint64_t addresses[SETS] = {call->b, call->c, call->d};
	uint64_t out[SETS][FD_TABLE_SIZE / 64] = {{0}};
	unaligned_u64 *sets[SETS];
	uint64_t count = min_u64(call->a, FD_TABLE_SIZE);
	uint64_t words = (count + 63) / 64;
	int64_t ready;

	if ((int32_t)call->a < 0)
		return -EINVAL;
	for (unsigned i = 0; i < SETS; i++) {
		sets[i] = addresses[i] ? user_range(kernel, addresses[i], words * sizeof(uint64_t),
						    LX_PROT_WRITE)
				       : NULL;
		if (addresses[i] && !sets[i] && words > 0)
			return -EFAULT;
	}
	ready = look_at_sets(kernel, count, sets, out);
	if (ready == 0) {
		ready = wait_any(kernel, deadline_ns);
		if (ready != 0)
			return ready;
	}
	for (unsigned i = 0; i < SETS && ready >= 0; i++)
		if (sets[i])
			memcpy(sets[i], out[i], words * sizeof(uint64_t));
	return ready;
}

int64_t sys_select(struct kernel *kernel, const struct call *call)
{
	uint64_t deadline_ns = NEVER_NS;
	int64_t time[2];

	if (call->e) {
		if (user_get(kernel, time, call->e, sizeof(time)))
			return -EFAULT;
		if (time[0] < 0 || time[1] < 0)
			return -EINVAL;
		deadline_ns = deadline_after(
			kernel,
			min_u64((uint64_t)time[0], INT64_MAX / NS_PER_SEC / 2) * NS_PER_SEC +
				min_u64((uint64_t)time[1], NS_PER_SEC) * US_TO_NS);
	}
	return select_until(kernel, call, deadline_ns);
}

int64_t sys_pselect6(struct kernel *kernel, const struct call *call)
{
	uint64_t mask[2] = {0, 0}; /* address and size */
	uint64_t deadline_ns;
	int error = deadline_of_timespec(kernel, call->e, &deadline_ns);

	if (!error && call->f && user_get(kernel, mask, call->f, sizeof(mask)))
		error = -EFAULT;
	if (!error)
		error = borrow_mask_at(kernel, mask[0], mask[1]);
	if (error)
		return error;
	return unborrow_after(kernel, select_until(kernel, call, deadline_ns));
}
