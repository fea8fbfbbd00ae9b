/*
 * epoll: a list of watched files, looked at when asked.
 *
 * Theory of operation: an epoll holds its files as a watcher; when only watchers are left the vfs
 * says so (unwatched) and the file leaves all lists, as closing the last descriptor does on Linux.
 * Edge-triggered entries remember what they reported and report again only what is new, or what
 * was notified since.
 * Trust boundary: descriptors and event arrays are the program's, checked before use.
 */
#include "syscalls.h"

enum { EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CTL_MOD = 3 };

#define EPOLL_EDGE 0x80000000u
#define EPOLL_ONESHOT 0x40000000u
#define EPOLL_OPTIONS 0xf0000000u
#define MAX_EVENTS 4096u
#define FIRST_ITEMS 8u

struct epoll_item {
	struct file *file;
	uint32_t fd;
	uint32_t events;
	uint32_t reported; /* edge-triggered: told, and not gone since */
	uint64_t data;
};

struct epoll {
	struct epoll *next;
	struct kernel *kernel;
	struct epoll_item *items;
	uint64_t count;
	uint64_t capacity;
	uint64_t turn; /* where to begin looking, so that nobody starves */
};

struct epoll_event {
	uint32_t events;
	uint64_t data;
} __attribute__((packed));

static uint32_t ready_events(struct epoll_item *item)
{
	uint32_t found =
		file_poll(item->file) & ((item->events & ~EPOLL_OPTIONS) | LX_POLLERR | LX_POLLHUP);

	if (!(item->events & ~EPOLL_OPTIONS))
		return 0; /* a one-shot that has fired */
	if (!(item->events & EPOLL_EDGE))
		return found;
	item->reported &= found;
	return found & ~item->reported ? found : 0;
}

static uint32_t epoll_poll(struct file *file)
{
	struct epoll *epoll = file->object;

	for (uint64_t i = 0; i < epoll->count; i++)
		if (ready_events(&epoll->items[i]))
			return LX_POLLIN | LX_POLLRDNORM;
	return 0;
}

static void remove_item(struct epoll *epoll, uint64_t index)
{
	struct file *file = epoll->items[index].file;

	epoll->count--;
	memmove(&epoll->items[index], &epoll->items[index + 1],
		(epoll->count - index) * sizeof(*epoll->items));
	file->watchers--;
	file_drop(file);
}

static void epoll_release(struct file *file)
{
	struct epoll *epoll = file->object;
	struct epoll **link = &epoll->kernel->epolls;

	while (*link != epoll)
		link = &(*link)->next;
	*link = epoll->next;
	while (epoll->count > 0)
		remove_item(epoll, epoll->count - 1);
	heap_free(file->vfs->heap, epoll->items, epoll->capacity * sizeof(*epoll->items));
	heap_free(file->vfs->heap, epoll, sizeof(*epoll));
}

static const struct file_ops epoll_ops = {
	.poll = epoll_poll, .release = epoll_release, .kind_mode = 0600};

/* Takes the file out of one list, if it is there. */
static bool forget_one(struct kernel *kernel, struct file *file)
{
	for (struct epoll *epoll = kernel->epolls; epoll; epoll = epoll->next) {
		for (uint64_t i = 0; i < epoll->count; i++) {
			if (epoll->items[i].file == file) {
				remove_item(epoll, i);
				return true;
			}
		}
	}
	return false;
}

/* Something happened: an edge for whoever watches for edges. */
void epoll_edge(struct kernel *kernel, const void *object)
{
	for (struct epoll *epoll = kernel->epolls; epoll; epoll = epoll->next)
		for (uint64_t i = 0; i < epoll->count; i++)
			if (epoll->items[i].file->object == object)
				epoll->items[i].reported = 0;
}

void epoll_forget(void *context, struct file *file)
{
	struct kernel *kernel = context;
	uint32_t watchers = file->watchers;

	/* The last removal frees the file: its memory is not looked at again. */
	while (watchers-- > 0)
		if (!forget_one(kernel, file))
			return;
}

static int64_t epoll_make(struct kernel *kernel, uint32_t flags)
{
	struct epoll *epoll = heap_alloc(&kernel->heap, sizeof(*epoll));
	struct file *file;

	if (!epoll)
		return -ENOMEM;
	file = file_new(&kernel->vfs, &epoll_ops, epoll, LX_O_RDWR);
	if (!file) {
		heap_free(&kernel->heap, epoll, sizeof(*epoll));
		return -ENFILE;
	}
	epoll->kernel = kernel;
	epoll->next = kernel->epolls;
	kernel->epolls = epoll;
	return install_or_drop(kernel, file, flags);
}

int64_t sys_epoll_create(struct kernel *kernel, const struct call *call)
{
	return (int32_t)call->a <= 0 ? -EINVAL : epoll_make(kernel, 0);
}

int64_t sys_epoll_create1(struct kernel *kernel, const struct call *call)
{
	if (call->a & ~(uint64_t)LX_O_CLOEXEC)
		return -EINVAL;
	return epoll_make(kernel, (uint32_t)call->a);
}

static int make_room(struct kernel *kernel, struct epoll *epoll)
{
	uint64_t capacity = epoll->capacity ? epoll->capacity * 2 : FIRST_ITEMS;
	void *grown;

	if (epoll->count < epoll->capacity)
		return 0;
	grown = heap_resize(&kernel->heap, epoll->items, epoll->capacity * sizeof(*epoll->items),
			    capacity * sizeof(*epoll->items));
	if (!grown)
		return -ENOMEM;
	epoll->items = grown;
	epoll->capacity = capacity;
	return 0;
}

static int add_item(struct kernel *kernel, struct epoll *epoll, struct file *file, uint32_t fd,
		    const struct epoll_event *event)
{
	/* Regular files and directories are always ready, and Linux refuses them. */
	if (!file->ops || (!file->ops->poll && file->node.ops))
		return -EPERM;
	if (make_room(kernel, epoll))
		return -ENOMEM;
	file_hold(file);
	file->watchers++;
	epoll->items[epoll->count++] = (struct epoll_item){
		.file = file, .fd = fd, .events = event->events, .data = event->data};
	return 0;
}

static struct epoll_item *find_item(struct epoll *epoll, const struct file *file, uint32_t fd)
{
	for (uint64_t i = 0; i < epoll->count; i++)
		if (epoll->items[i].file == file && epoll->items[i].fd == fd)
			return &epoll->items[i];
	return NULL;
}

/* An epoll that watches an epoll that … : one level is enough for everybody. */
static bool may_watch(const struct epoll *epoll, const struct file *file)
{
	const struct epoll *inner = file->object;

	if (file->ops != &epoll_ops)
		return true;
	if (inner == epoll)
		return false;
	for (uint64_t i = 0; i < inner->count; i++)
		if (inner->items[i].file->ops == &epoll_ops)
			return false;
	return true;
}

static int change(struct kernel *kernel, struct epoll *epoll, struct file *file,
		  const struct call *call, const struct epoll_event *event)
{
	struct epoll_item *item = find_item(epoll, file, (uint32_t)call->c);

	switch ((uint32_t)call->b) {
	case EPOLL_CTL_ADD:
		if (item)
			return -EEXIST;
		return add_item(kernel, epoll, file, (uint32_t)call->c, event);
	case EPOLL_CTL_DEL:
		if (!item)
			return -ENOENT;
		remove_item(epoll, (uint64_t)(item - epoll->items));
		return 0;
	case EPOLL_CTL_MOD:
		if (!item)
			return -ENOENT;
		item->events = event->events;
		item->data = event->data;
		item->reported = 0;
		return 0;
	default: return -EINVAL;
	}
}

int64_t sys_epoll_ctl(struct kernel *kernel, const struct call *call)
{
	struct file *self = fd_get(&kernel->fds, (uint32_t)call->a);
	struct file *file = fd_get(&kernel->fds, (uint32_t)call->c);
	struct epoll_event event = {0, 0};
	int error;

	if (!self || !file)
		return -EBADF;
	if (self->ops != &epoll_ops || !may_watch(self->object, file))
		return -EINVAL;
	if ((uint32_t)call->b != EPOLL_CTL_DEL && user_get(kernel, &event, call->d, sizeof(event)))
		return -EFAULT;
	error = change(kernel, self->object, file, call, &event);
	if (!error) /* somebody may be waiting for what is ready already */
		threads_notify(kernel, self->object);
	return error;
}

static int64_t collect(struct epoll *epoll, struct epoll_event *out, uint64_t room)
{
	uint64_t found = 0;

	for (uint64_t i = 0; i < epoll->count && found < room; i++) {
		struct epoll_item *item = &epoll->items[(epoll->turn + i) % epoll->count];
		uint32_t events = ready_events(item);

		if (!events)
			continue;
		out[found++] = (struct epoll_event){events, item->data};
		item->reported |= events;
		if (item->events & EPOLL_ONESHOT)
			item->events &= EPOLL_OPTIONS;
	}
	if (epoll->count > 0)
		epoll->turn = (epoll->turn + found) % epoll->count;
	return (int64_t)found;
}

static int64_t epoll_wait_until(struct kernel *kernel, const struct call *call,
				uint64_t deadline_ns)
{
	struct file *self = fd_get(&kernel->fds, (uint32_t)call->a);
	uint64_t room = min_u64((uint32_t)call->c, MAX_EVENTS);
	struct epoll_event *out;
	int64_t found;

	if (!self)
		return -EBADF;
	if (self->ops != &epoll_ops || (int32_t)call->c <= 0)
		return -EINVAL;
	out = user_range(kernel, call->b, room * sizeof(*out), LX_PROT_WRITE);
	if (!out)
		return -EFAULT;
	found = collect(self->object, out, room);
	return found > 0 ? found : poll_wait(kernel, deadline_ns);
}

int64_t sys_epoll_wait(struct kernel *kernel, const struct call *call)
{
	return epoll_wait_until(kernel, call, poll_deadline_ms(kernel, (int32_t)call->d));
}

int64_t sys_epoll_pwait(struct kernel *kernel, const struct call *call)
{
	int error = borrow_mask_at(kernel, call->e, call->f);

	if (error)
		return error;
	return unborrow_after(kernel, sys_epoll_wait(kernel, call));
}
