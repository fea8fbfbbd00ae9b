/*
 * The lock, and how threads sleep without it. Whoever is in the library takes in news for all; on
 * its way out it wakes those whom the news concern. A sleeping thread has an eventfd of its own, so
 * that waking one does not wake all.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/error.h"
#include "core/task.h"

int sandbox_check_owner(const struct psb_sandbox *sandbox, struct psb_error *err)
{
	if (sandbox->owner == getpid())
		return 0;
	return psb_fail(err, PSB_E_FORKED, 0,
			"the sandbox was opened by process %d; open one in this process",
			(int)sandbox->owner);
}

int sandbox_lock(struct psb_sandbox *sandbox, struct psb_error *err)
{
	int error = sandbox_check_owner(sandbox, err);

	if (!error)
		sandbox_relock(sandbox);
	return error;
}

void sandbox_relock(struct psb_sandbox *sandbox)
{
	(void)pthread_mutex_lock(&sandbox->lock);
}

/* Threads whose tasks have news that somebody else took in. */
static void ring_sleepers(struct psb_sandbox *sandbox)
{
	const struct task *task;

	TAILQ_FOREACH(task, &sandbox->running, link)
	if (!task_is_async(task) && !task->busy && task_has_news(task))
		waiter_ring(task->waiter);
}

static void ring_warming(struct psb_sandbox *sandbox)
{
	size_t ready = sandbox->ops ? pool_ready(sandbox) : 0;
	struct waiter *waiter = atomic_load(&sandbox->waiters);

	for (; ready > sandbox->ready_told && waiter; waiter = waiter->next)
		if (waiter->warming)
			waiter_ring(waiter);
	sandbox->ready_told = ready;
}

void sandbox_unlock(struct psb_sandbox *sandbox)
{
	ring_sleepers(sandbox);
	if (sandbox->warming > 0)
		ring_warming(sandbox);
	watch_update(sandbox);
	(void)pthread_mutex_unlock(&sandbox->lock);
	logger_flush(&sandbox->logger);
}

static int new_waiter(struct psb_sandbox *sandbox, struct waiter **out, struct psb_error *err)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));
	int saved;

	if (!waiter)
		return psb_fail(err, PSB_E_MEMORY, 0, "sandbox: out of memory");
	waiter->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	saved = errno;
	if (waiter->fd < 0) {
		free(waiter);
		return psb_fail(err, PSB_E_SYSTEM, saved, "sandbox: eventfd");
	}
	waiter->taken = true;
	waiter->next = atomic_load(&sandbox->waiters);
	atomic_store(&sandbox->waiters, waiter);
	*out = waiter;
	return 0;
}

int sandbox_waiter(struct psb_sandbox *sandbox, struct waiter **out, struct psb_error *err)
{
	struct waiter *waiter = atomic_load(&sandbox->waiters);

	while (waiter && waiter->taken)
		waiter = waiter->next;
	if (!waiter)
		return new_waiter(sandbox, out, err);
	waiter->taken = true;
	*out = waiter;
	return 0;
}

void waiter_ring(struct waiter *waiter)
{
	if (!waiter->asleep || waiter->rung)
		return;
	waiter->rung = true;
	(void)eventfd_write(waiter->fd, 1);
}

static void poll_until(struct pollfd *fds, size_t count, uint64_t until_us)
{
	uint64_t now = clock_us();
	uint64_t left_ms = until_us > now ? (until_us - now) / 1000 + 1 : 0;

	if (poll(fds, count, left_ms < 60000 ? (int)left_ms : 60000) >= 0)
		return;
	for (size_t i = 0; i < count; i++)
		fds[i].revents = 0;
}

/* The first moment on this processor, the rest wherever there is room. */
static void poll_in_place(const struct waiting *what, size_t count)
{
	bool stays = clock_us() < what->stay_until_us;
	struct place_stay stay;

	if (!stays || !place_stay(&stay)) {
		poll_until(what->fds, count, what->until_us);
		return;
	}
	poll_until(what->fds, count,
		   what->stay_until_us < what->until_us ? what->stay_until_us : what->until_us);
	place_leave(&stay);
}

void sandbox_wait(struct psb_sandbox *sandbox, struct waiter *waiter, const struct waiting *what)
{
	struct pollfd *own = &what->fds[what->count];
	uint64_t ignored;

	*own = (struct pollfd){.fd = waiter->fd, .events = POLLIN};
	waiter->asleep = true;
	sandbox_unlock(sandbox);
	if (what->unlocked)
		what->unlocked(what->context);
	poll_in_place(what, what->count + 1);
	sandbox_relock(sandbox);
	waiter->asleep = false;
	if (own->revents || waiter->rung)
		(void)eventfd_read(waiter->fd, &ignored);
	waiter->rung = false;
}

/* In a signal handler nothing may be locked: the list of waiters only grows, and an eventfd takes a
 * write at any time. */
void psb_cancel_current(psb_sandbox *sandbox)
{
	const struct waiter *waiter;
	int saved = errno;

	if (!sandbox)
		return;
	(void)atomic_fetch_add(&sandbox->cancels, 1);
	for (waiter = atomic_load(&sandbox->waiters); waiter; waiter = waiter->next) {
		uint64_t one = 1;
		ssize_t ignored = write(waiter->fd, &one, sizeof(one));

		(void)ignored;
	}
	errno = saved;
}
