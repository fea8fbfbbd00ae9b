/*
 * The one descriptor that an event loop watches. It is an epoll of two: `ring_fd` says that
 * something waits for psb_next(), and `news_fd`, an epoll itself, holds what the library needs a
 * turn for: the nearest deadline, the engines' control channels, the pipes of running tasks. All
 * are level-triggered, so nothing is lost when a host looks late. A thread inside psb_execute()
 * polls news_fd as well, and so keeps the others' tasks moving.
 *
 * A descriptor is taken out before it is closed: in a host that has forked, the child's copy would
 * keep a closed one in the epoll for ever.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/error.h"
#include "core/task.h"

#define MAX_EVENTS 64
#define RETRY_US UINT64_C(10000)

/* epoll's data: one of these, or the address of a task. */
enum { KEY_TIMER = 1, KEY_TEMPLATE = 2, KEY_INNER = 3 };

void watch_init(struct watch *watch)
{
	*watch = (struct watch){.fd = -1, .news_fd = -1, .ring_fd = -1, .timer_fd = -1};
}

void watch_close(struct watch *watch)
{
	close_fd(&watch->fd);
	close_fd(&watch->news_fd);
	close_fd(&watch->ring_fd);
	close_fd(&watch->timer_fd);
}

static int add(int epoll_fd, int fd, uint32_t events, uint64_t key)
{
	struct epoll_event event = {.events = events, .data.u64 = key};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int open_all(struct watch *watch)
{
	watch->news_fd = epoll_create1(EPOLL_CLOEXEC);
	watch->ring_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	watch->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	watch->fd = epoll_create1(EPOLL_CLOEXEC);
	if (watch->news_fd < 0 || watch->ring_fd < 0 || watch->timer_fd < 0 || watch->fd < 0)
		return -1;
	if (add(watch->news_fd, watch->timer_fd, EPOLLIN, KEY_TIMER) != 0 ||
	    add(watch->fd, watch->ring_fd, EPOLLIN, KEY_INNER) != 0)
		return -1;
	return add(watch->fd, watch->news_fd, EPOLLIN, KEY_INNER);
}

int watch_open(struct psb_sandbox *sandbox, struct psb_error *err)
{
	struct watch *watch = &sandbox->watch;
	int saved;

	if (watch->fd >= 0)
		return 0;
	if (open_all(watch) != 0) {
		saved = errno;
		watch_close(watch);
		return psb_fail(err, PSB_E_SYSTEM, saved, "sandbox: epoll, eventfd or timerfd");
	}
	if (sandbox->ops)
		watch_template(sandbox, sandbox->ops, sandbox->tmpl);
	return 0;
}

void watch_template(struct psb_sandbox *sandbox, const struct engine_ops *ops,
		    const struct engine_template *tmpl)
{
	struct watch *watch = &sandbox->watch;

	if (watch->fd < 0 || watch->tmpl == tmpl)
		return;
	if (add(watch->news_fd, ops->template_fd(tmpl), EPOLLIN, KEY_TEMPLATE) == 0)
		watch->tmpl = tmpl;
	else
		watch->incomplete = true;
}

void watch_forget_template(struct psb_sandbox *sandbox, const struct engine_ops *ops,
			   const struct engine_template *tmpl)
{
	struct watch *watch = &sandbox->watch;

	if (watch->fd < 0)
		return;
	(void)epoll_ctl(watch->news_fd, EPOLL_CTL_DEL, ops->template_fd(tmpl), NULL);
	if (watch->tmpl == tmpl)
		watch->tmpl = NULL;
}

static bool is_wanted(const struct watched *watched, const struct pollfd *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fds[i].fd == watched->fd && fds[i].events == watched->events)
			return true;
	return false;
}

static void drop_unwanted(const struct watch *watch, struct task *task, const struct pollfd *fds,
			  size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < task->watched_count; i++) {
		if (is_wanted(&task->watched[i], fds, count))
			task->watched[kept++] = task->watched[i];
		else
			(void)epoll_ctl(watch->news_fd, EPOLL_CTL_DEL, task->watched[i].fd, NULL);
	}
	task->watched_count = kept;
}

static bool is_watched(const struct task *task, const struct pollfd *fd)
{
	for (size_t i = 0; i < task->watched_count; i++)
		if (task->watched[i].fd == fd->fd)
			return true;
	return false;
}

void watch_task(struct psb_sandbox *sandbox, struct task *task)
{
	int template_fd = task->ops->template_fd(task->tmpl);
	struct watch *watch = &sandbox->watch;
	struct pollfd fds[ENGINE_MAX_POLLFDS];
	size_t count;

	if (!task_is_async(task))
		return;
	count = task->ops->pollfds(task->run.instance, false, fds);
	drop_unwanted(watch, task, fds, count);
	for (size_t i = 0; i < count; i++) {
		uint32_t events = fds[i].events & POLLOUT ? EPOLLOUT : EPOLLIN;

		if (fds[i].fd == template_fd || is_watched(task, &fds[i]))
			continue;
		if (add(watch->news_fd, fds[i].fd, events, (uintptr_t)task) == 0)
			task->watched[task->watched_count++] =
				(struct watched){fds[i].fd, fds[i].events};
		else
			watch->incomplete = true;
	}
}

void watch_forget_task(struct psb_sandbox *sandbox, struct task *task)
{
	drop_unwanted(&sandbox->watch, task, NULL, 0);
}

static void mark_all(struct psb_sandbox *sandbox)
{
	struct task *task;

	TAILQ_FOREACH(task, &sandbox->running, link)
	if (task_is_async(task))
		task->due = true;
}

static void read_templates(struct psb_sandbox *sandbox)
{
	struct task *task;

	if (sandbox->ops)
		schedule_news(sandbox, sandbox->ops, sandbox->tmpl);
	TAILQ_FOREACH(task, &sandbox->running, link)
	if (task->tmpl != sandbox->tmpl)
		schedule_news(sandbox, task->ops, task->tmpl);
}

static void read_timer(struct watch *watch)
{
	uint64_t expirations;
	ssize_t ignored = read(watch->timer_fd, &expirations, sizeof(expirations));

	(void)ignored;
	watch->armed_us = 0;
}

void watch_turn(struct psb_sandbox *sandbox)
{
	struct watch *watch = &sandbox->watch;
	struct epoll_event events[MAX_EVENTS];
	bool template_news = watch->incomplete;
	int count = epoll_wait(watch->news_fd, events, MAX_EVENTS, 0);

	for (int i = 0; i < count; i++) {
		if (events[i].data.u64 == KEY_TIMER)
			read_timer(watch);
		else if (events[i].data.u64 == KEY_TEMPLATE)
			template_news = true;
		else
			((struct task *)events[i].data.ptr)->due = true;
	}
	if (watch->incomplete || count < 0)
		mark_all(sandbox);
	watch->incomplete = false; /* what is still not watched says so again */
	if (template_news)
		read_templates(sandbox);
}

static bool needs_host(const struct psb_sandbox *sandbox)
{
	const struct task *task;

	if (!TAILQ_EMPTY(&sandbox->done))
		return true;
	TAILQ_FOREACH(task, &sandbox->running, link)
	if (task_is_async(task) && !task->busy && (task_has_unshown(task) || task_has_news(task)))
		return true;
	return false;
}

static void ring(struct watch *watch, bool wanted)
{
	uint64_t count;

	if (wanted == watch->rung)
		return;
	if (wanted)
		(void)eventfd_write(watch->ring_fd, 1);
	else
		(void)eventfd_read(watch->ring_fd, &count);
	watch->rung = wanted;
}

static uint64_t nearest_deadline(const struct psb_sandbox *sandbox)
{
	uint64_t due = schedule_deadline(sandbox);
	const struct task *task;

	TAILQ_FOREACH(task, &sandbox->running, link)
	if (task_is_async(task) && task_deadline(task) < due)
		due = task_deadline(task);
	if (sandbox->watch.incomplete && clock_us() + RETRY_US < due)
		due = clock_us() + RETRY_US;
	return due;
}

/* Only ever moved earlier: one that fires too soon costs a look, setting it for every task a system
 * call each. */
static void set_timer(struct watch *watch, uint64_t due)
{
	struct itimerspec spec = {.it_value = {.tv_sec = (time_t)(due / 1000000),
					       .tv_nsec = (long)(due % 1000000) * 1000 + 1}};

	if (due == UINT64_MAX || (watch->armed_us != 0 && watch->armed_us <= due))
		return;
	if (timerfd_settime(watch->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0)
		watch->armed_us = due;
}

void watch_update(struct psb_sandbox *sandbox)
{
	if (sandbox->watch.fd < 0)
		return;
	ring(&sandbox->watch, needs_host(sandbox));
	set_timer(&sandbox->watch, nearest_deadline(sandbox));
}
