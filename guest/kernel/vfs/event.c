/*
 * eventfd and timerfd: descriptors that hold a number.
 *
 * Theory of operation: a timer is not driven by anything. It computes from the clock how often it
 * has expired since it was last read; the scheduler asks file_next_event() how long it may sleep.
 * Trust boundary: as vfs.h; times are the program's, sums are saturated.
 */
#include "file.h"

#define EVENT_MAX (UINT64_MAX - 1)

struct event {
	uint64_t count;
	bool semaphore;
};

struct timer {
	enum clock_kind clock;
	uint64_t next_ns; /* of that clock; 0: disarmed */
	uint64_t period_ns;
	uint64_t missed; /* expiries counted but not read */
};

static int64_t eventfd_read(struct file *file, void *buffer, uint64_t bytes, uint64_t *position)
{
	struct event *event = file->object;
	uint64_t value = event->semaphore ? 1 : event->count;

	(void)position;
	if (bytes < sizeof(value))
		return -EINVAL;
	if (event->count == 0)
		return -EAGAIN;
	event->count -= value;
	memcpy(buffer, &value, sizeof(value));
	vfs_notify(file->vfs, event);
	return sizeof(value);
}

static int64_t eventfd_write(struct file *file, const void *buffer, uint64_t bytes,
			     uint64_t *position)
{
	struct event *event = file->object;
	uint64_t value;

	(void)position;
	if (bytes < sizeof(value))
		return -EINVAL;
	memcpy(&value, buffer, sizeof(value));
	if (value == UINT64_MAX)
		return -EINVAL;
	if (value > EVENT_MAX - event->count)
		return -EAGAIN;
	event->count += value;
	vfs_notify(file->vfs, event);
	return sizeof(value);
}

static uint32_t eventfd_poll(struct file *file)
{
	const struct event *event = file->object;

	return (event->count > 0 ? LX_POLLIN | LX_POLLRDNORM : 0u) |
	       (event->count < EVENT_MAX ? LX_POLLOUT | LX_POLLWRNORM : 0u);
}

static void eventfd_release(struct file *file)
{
	heap_free(file->vfs->heap, file->object, sizeof(struct event));
}

static const struct file_ops eventfd_ops = {
	.read = eventfd_read,
	.write = eventfd_write,
	.poll = eventfd_poll,
	.release = eventfd_release,
	.kind_mode = 0600,
};

int eventfd_make(struct vfs *vfs, uint64_t value, bool semaphore, uint32_t flags,
		 struct file **made)
{
	struct event *event = heap_alloc(vfs->heap, sizeof(*event));

	if (!event)
		return -ENFILE;
	*event = (struct event){.count = value, .semaphore = semaphore};
	*made = file_new(vfs, &eventfd_ops, event, flags | LX_O_RDWR);
	if (*made)
		return 0;
	heap_free(vfs->heap, event, sizeof(*event));
	return -ENFILE;
}

static uint64_t clock_of(const struct file *file, const struct timer *timer)
{
	return file->vfs->host.clock_ns(file->vfs->host.context, timer->clock);
}

/* Counts the expiries up to now. */
static void catch_up(const struct file *file, struct timer *timer)
{
	uint64_t now = clock_of(file, timer);
	uint64_t times;

	if (timer->next_ns == 0 || now < timer->next_ns)
		return;
	if (timer->period_ns == 0) {
		timer->missed++;
		timer->next_ns = 0;
		return;
	}
	times = (now - timer->next_ns) / timer->period_ns + 1;
	timer->missed += times;
	timer->next_ns += times * timer->period_ns;
}

static int64_t timerfd_read(struct file *file, void *buffer, uint64_t bytes, uint64_t *position)
{
	struct timer *timer = file->object;

	(void)position;
	if (bytes < sizeof(timer->missed))
		return -EINVAL;
	catch_up(file, timer);
	if (timer->missed == 0)
		return -EAGAIN;
	memcpy(buffer, &timer->missed, sizeof(timer->missed));
	timer->missed = 0;
	return sizeof(timer->missed);
}

static uint32_t timerfd_poll(struct file *file)
{
	struct timer *timer = file->object;

	catch_up(file, timer);
	return timer->missed > 0 ? LX_POLLIN | LX_POLLRDNORM : 0;
}

static void timerfd_release(struct file *file)
{
	file->vfs->timer_count--;
	heap_free(file->vfs->heap, file->object, sizeof(struct timer));
}

static const struct file_ops timerfd_ops = {
	.read = timerfd_read,
	.poll = timerfd_poll,
	.release = timerfd_release,
	.kind_mode = 0600,
};

int timerfd_make(struct vfs *vfs, enum clock_kind clock, uint32_t flags, struct file **made)
{
	struct timer *timer = heap_alloc(vfs->heap, sizeof(*timer));

	if (!timer)
		return -ENFILE;
	timer->clock = clock;
	*made = file_new(vfs, &timerfd_ops, timer, flags | LX_O_RDWR);
	if (*made) {
		vfs->timer_count++;
		return 0;
	}
	heap_free(vfs->heap, timer, sizeof(*timer));
	return -ENFILE;
}

int timerfd_set(struct file *file, uint64_t first_ns, uint64_t period_ns, bool absolute)
{
	struct timer *timer = file->object;
	uint64_t base;

	if (file->ops != &timerfd_ops)
		return -EINVAL;
	base = absolute ? 0 : clock_of(file, timer);
	timer->missed = 0;
	timer->period_ns = period_ns;
	timer->next_ns = first_ns == 0 ? 0 : base + min_u64(first_ns, INT64_MAX);
	vfs_notify(file->vfs, timer);
	return 0;
}

int timerfd_get(struct file *file, uint64_t *left_ns, uint64_t *period_ns)
{
	struct timer *timer = file->object;
	uint64_t now;

	if (file->ops != &timerfd_ops)
		return -EINVAL;
	catch_up(file, timer);
	now = clock_of(file, timer);
	*left_ns = timer->next_ns > now ? timer->next_ns - now : 0;
	*period_ns = timer->period_ns;
	return 0;
}

uint64_t file_next_event(struct file *file)
{
	const struct timer *timer = file->object;
	uint64_t steady;
	uint64_t now;

	if (file->ops != &timerfd_ops || timer->next_ns == 0)
		return NEVER_NS;
	now = clock_of(file, timer);
	steady = file->vfs->host.clock_ns(file->vfs->host.context, CLOCK_STEADY);
	return timer->next_ns > now ? steady + (timer->next_ns - now) : steady;
}
