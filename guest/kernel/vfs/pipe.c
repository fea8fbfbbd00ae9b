/*
 * Pipes and socket pairs: one or two channels, each a ring of bytes.
 *
 * Theory of operation: both ends' open files point to the same struct link, which lives until both
 * are closed. A channel of packets (SOCK_DGRAM, SOCK_SEQPACKET) keeps a length before each.
 * Trust boundary: as vfs.h. A packet's stored length was checked when it was written.
 */
#include "file.h"

#define PIPE_BYTES (UINT64_C(64) << 10)
#define PIPE_MAX_BYTES (UINT64_C(1) << 20)
#define SOCKET_BYTES (UINT64_C(208) << 10)
#define ATOMIC_BYTES 4096u

struct channel {
	char *ring;
	uint64_t capacity;
	uint64_t start;
	uint64_t used;
	bool no_reader;
	bool no_writer;
};

struct link {
	struct channel to[2]; /* to[end] is what that end reads */
	uint32_t open_ends;
	bool packets;
	bool socket;
};

static uint64_t room(const struct channel *channel)
{
	return channel->capacity - channel->used;
}

static void put(struct channel *channel, const void *data, uint64_t bytes)
{
	uint64_t at = (channel->start + channel->used) % channel->capacity;
	uint64_t first = min_u64(bytes, channel->capacity - at);

	memcpy(channel->ring + at, data, first);
	memcpy(channel->ring, (const char *)data + first, bytes - first);
	channel->used += bytes;
}

static void take(struct channel *channel, void *data, uint64_t bytes)
{
	uint64_t first = min_u64(bytes, channel->capacity - channel->start);

	if (data) {
		memcpy(data, channel->ring + channel->start, first);
		memcpy((char *)data + first, channel->ring, bytes - first);
	}
	channel->start = (channel->start + bytes) % channel->capacity;
	channel->used -= bytes;
	if (channel->used == 0)
		channel->start = 0; /* stay in pages that are warm */
}

static int64_t take_packet(struct channel *channel, void *buffer, uint64_t bytes)
{
	uint64_t len;
	uint64_t kept;

	take(channel, &len, sizeof(len));
	kept = min_u64(len, bytes);
	take(channel, buffer, kept);
	take(channel, NULL, len - kept);
	return (int64_t)kept;
}

static int64_t link_read(struct file *file, unsigned end, void *buffer, uint64_t bytes)
{
	struct link *link = file->object;
	struct channel *channel = &link->to[end];
	int64_t got;

	if (bytes == 0 && !link->packets)
		return 0;
	if (channel->used == 0)
		return channel->no_writer || channel->no_reader ? 0 : -EAGAIN;
	if (link->packets) {
		got = take_packet(channel, buffer, bytes);
	} else {
		got = (int64_t)min_u64(bytes, channel->used);
		take(channel, buffer, (uint64_t)got);
	}
	vfs_notify(file->vfs, link);
	return got;
}

static int64_t put_packet(struct channel *channel, const void *buffer, uint64_t bytes)
{
	if (bytes > channel->capacity - sizeof(bytes))
		return -EMSGSIZE;
	if (room(channel) < bytes + sizeof(bytes))
		return -EAGAIN;
	put(channel, &bytes, sizeof(bytes));
	put(channel, buffer, bytes);
	return (int64_t)bytes;
}

static int64_t put_stream(struct channel *channel, const void *buffer, uint64_t bytes)
{
	uint64_t fits = min_u64(bytes, room(channel));

	if (fits == 0 || (bytes <= ATOMIC_BYTES && fits < bytes))
		return -EAGAIN;
	put(channel, buffer, fits);
	return (int64_t)fits;
}

static int64_t link_write(struct file *file, unsigned end, const void *buffer, uint64_t bytes)
{
	struct link *link = file->object;
	struct channel *channel = &link->to[end ^ 1];
	int64_t done;

	if (channel->no_reader || channel->no_writer)
		return -EPIPE;
	if (bytes == 0 && !link->packets)
		return 0;
	done = link->packets ? put_packet(channel, buffer, bytes)
			     : put_stream(channel, buffer, bytes);
	if (done >= 0)
		vfs_notify(file->vfs, link);
	return done;
}

static uint32_t poll_read(const struct channel *channel)
{
	uint32_t events = channel->used > 0 ? LX_POLLIN | LX_POLLRDNORM : 0u;

	return channel->no_writer ? events | LX_POLLHUP : events;
}

static uint32_t poll_write(const struct channel *channel)
{
	uint32_t events = room(channel) >= ATOMIC_BYTES ? LX_POLLOUT | LX_POLLWRNORM : 0u;

	return channel->no_reader ? events | LX_POLLERR : events;
}

static void free_link(struct vfs *vfs, struct link *link)
{
	for (unsigned i = 0; i < 2; i++)
		if (link->to[i].ring)
			(void)vfs->pages.resize(vfs->pages.context, link->to[i].ring,
						link->to[i].capacity, 0);
	heap_free(vfs->heap, link, sizeof(*link));
}

static void release_end(struct file *file, unsigned end)
{
	struct link *link = file->object;

	link->to[end].no_reader = true;
	link->to[end ^ 1].no_writer = true;
	vfs_notify(file->vfs, link);
	if (--link->open_ends == 0)
		free_link(file->vfs, link);
}

static int open_channel(struct vfs *vfs, struct channel *channel, uint64_t bytes)
{
	channel->ring = vfs->pages.resize(vfs->pages.context, NULL, 0, bytes);
	channel->capacity = bytes;
	return channel->ring ? 0 : -ENFILE;
}

/* -- pipes: end 0 reads, end 1 writes -- */

static int64_t pipe_read(struct file *file, void *buffer, uint64_t bytes, uint64_t *position)
{
	(void)position;
	return link_read(file, 0, buffer, bytes);
}

static int64_t pipe_write(struct file *file, const void *buffer, uint64_t bytes, uint64_t *position)
{
	(void)position;
	return link_write(file, 1, buffer, bytes);
}

static uint32_t pipe_poll_reader(struct file *file)
{
	const struct link *link = file->object;

	return poll_read(&link->to[0]);
}

static uint32_t pipe_poll_writer(struct file *file)
{
	const struct link *link = file->object;

	return poll_write(&link->to[0]);
}

static void pipe_release_reader(struct file *file)
{
	release_end(file, 0);
}

static void pipe_release_writer(struct file *file)
{
	release_end(file, 1);
}

static uint64_t pipe_available(struct file *file)
{
	const struct link *link = file->object;

	return link->to[0].used;
}

static const struct file_ops pipe_reader_ops = {
	.read = pipe_read,
	.poll = pipe_poll_reader,
	.release = pipe_release_reader,
	.available = pipe_available,
	.kind_mode = LX_S_IFIFO | 0600,
};

static const struct file_ops pipe_writer_ops = {
	.write = pipe_write,
	.poll = pipe_poll_writer,
	.release = pipe_release_writer,
	.available = pipe_available,
	.kind_mode = LX_S_IFIFO | 0600,
};

static int make_ends(struct vfs *vfs, struct link *link, const struct file_ops *ops[2],
		     const uint32_t flags[2], struct file *ends[2])
{
	ends[0] = file_new(vfs, ops[0], link, flags[0]);
	ends[1] = ends[0] ? file_new(vfs, ops[1], link, flags[1]) : NULL;
	if (ends[1]) {
		link->open_ends = 2;
		return 0;
	}
	link->open_ends = 1;
	if (ends[0])
		file_drop(ends[0]);
	else
		free_link(vfs, link);
	return -ENFILE;
}

int pipe_make(struct vfs *vfs, uint32_t flags, struct file *ends[2])
{
	const struct file_ops *ops[2] = {&pipe_reader_ops, &pipe_writer_ops};
	const uint32_t end_flags[2] = {flags | LX_O_RDONLY, flags | LX_O_WRONLY};
	struct link *link = heap_alloc(vfs->heap, sizeof(*link));

	if (!link)
		return -ENFILE;
	if (open_channel(vfs, &link->to[0], PIPE_BYTES)) {
		heap_free(vfs->heap, link, sizeof(*link));
		return -ENFILE;
	}
	return make_ends(vfs, link, ops, end_flags, ends);
}

static bool is_pipe(const struct file *file)
{
	return file->ops == &pipe_reader_ops || file->ops == &pipe_writer_ops;
}

int64_t pipe_capacity(struct file *file)
{
	const struct link *link = file->object;

	return is_pipe(file) ? (int64_t)link->to[0].capacity : -EBADF;
}

int64_t pipe_set_capacity(struct file *file, uint64_t bytes)
{
	struct vfs *vfs = file->vfs;
	struct link *link = file->object;
	struct channel bigger = {.capacity = 0};

	if (!is_pipe(file))
		return -EBADF;
	if (bytes > PIPE_MAX_BYTES)
		return -EPERM;
	bytes = page_up(max_u64(bytes, 1));
	if (bytes < link->to[0].used)
		return -EBUSY;
	if (open_channel(vfs, &bigger, bytes))
		return -ENOMEM;
	bigger.used = link->to[0].used;
	bigger.no_reader = link->to[0].no_reader;
	bigger.no_writer = link->to[0].no_writer;
	take(&link->to[0], bigger.ring, bigger.used);
	(void)vfs->pages.resize(vfs->pages.context, link->to[0].ring, link->to[0].capacity, 0);
	link->to[0] = bigger;
	return (int64_t)bytes;
}

/* -- socket pairs: ends 0 and 1 are alike -- */

static const struct file_ops socket_ops[2];

static unsigned end_of(const struct file *file)
{
	return file->ops == &socket_ops[1];
}

bool file_is_socket(const struct file *file)
{
	return file->ops == &socket_ops[0] || file->ops == &socket_ops[1];
}

bool socketpair_packets(const struct file *file)
{
	const struct link *link = file->object;

	return link->packets;
}

static int64_t socket_read(struct file *file, void *buffer, uint64_t bytes, uint64_t *position)
{
	(void)position;
	return link_read(file, end_of(file), buffer, bytes);
}

static int64_t socket_write(struct file *file, const void *buffer, uint64_t bytes,
			    uint64_t *position)
{
	(void)position;
	return link_write(file, end_of(file), buffer, bytes);
}

static uint32_t socket_poll(struct file *file)
{
	const struct link *link = file->object;
	unsigned end = end_of(file);
	uint32_t in = poll_read(&link->to[end]);
	uint32_t out = poll_write(&link->to[end ^ 1]);

	/* A peer that is gone reads as end of file and is told apart by HUP. */
	if (in & LX_POLLHUP)
		in = (in & ~(uint32_t)LX_POLLHUP) | LX_POLLIN | LX_POLLRDHUP |
		     (out & LX_POLLERR ? LX_POLLHUP : 0u);
	return in | (out & LX_POLLERR ? LX_POLLOUT : out);
}

static void socket_release(struct file *file)
{
	release_end(file, end_of(file));
}

static uint64_t socket_available(struct file *file)
{
	const struct link *link = file->object;

	return link->to[end_of(file)].used;
}

static const struct file_ops socket_ops[2] = {
	{socket_read, socket_write, socket_poll, socket_release, socket_available,
	 LX_S_IFSOCK | 0777, false},
	{socket_read, socket_write, socket_poll, socket_release, socket_available,
	 LX_S_IFSOCK | 0777, false},
};

int socketpair_make(struct vfs *vfs, uint32_t flags, bool packets, struct file *ends[2])
{
	const struct file_ops *ops[2] = {&socket_ops[0], &socket_ops[1]};
	const uint32_t end_flags[2] = {flags | LX_O_RDWR, flags | LX_O_RDWR};
	struct link *link = heap_alloc(vfs->heap, sizeof(*link));

	if (!link)
		return -ENFILE;
	link->packets = packets;
	link->socket = true;
	if (open_channel(vfs, &link->to[0], SOCKET_BYTES) ||
	    open_channel(vfs, &link->to[1], SOCKET_BYTES)) {
		free_link(vfs, link);
		return -ENFILE;
	}
	return make_ends(vfs, link, ops, end_flags, ends);
}

int socketpair_shutdown(struct file *file, uint32_t how)
{
	struct link *link = file->object;
	unsigned end = end_of(file);

	if (!file_is_socket(file))
		return -ENOTSOCK;
	if (how > 2)
		return -EINVAL;
	if (how != 1)
		link->to[end].no_reader = true;
	if (how != 0)
		link->to[end ^ 1].no_writer = true;
	vfs_notify(file->vfs, link);
	return 0;
}
