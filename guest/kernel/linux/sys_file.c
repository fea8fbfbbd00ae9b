/*
 * System calls on open files: reading, writing, descriptors.
 *
 * Trust boundary: descriptors, addresses, lengths and offsets are the program's. A buffer is used
 * as far as it is good, as Linux does: a transfer that begins in good memory is shortened, one that
 * begins in bad memory gives EFAULT.
 */
#include "syscalls.h"

#define MAX_TRANSFER UINT64_C(0x7ffff000)
#define MAX_VECTORS 1024u
#define MAX_PACKET (UINT64_C(1) << 20) /* of several parts */

enum {
	F_DUPFD = 0,
	F_GETFD = 1,
	F_SETFD = 2,
	F_GETFL = 3,
	F_SETFL = 4,
	F_GETLK = 5,
	F_SETLK = 6,
	F_SETLKW = 7,
	F_SETOWN = 8,
	F_GETOWN = 9,
	F_OFD_SETLK = 37,
	F_OFD_SETLKW = 38,
	F_DUPFD_CLOEXEC = 1030,
	F_SETPIPE_SZ = 1031,
	F_GETPIPE_SZ = 1032,
	F_ADD_SEALS = 1033,
	F_GET_SEALS = 1034,
};

enum {
	IOCTL_FIONREAD = 0x541b,
	IOCTL_FIONBIO = 0x5421,
	IOCTL_FIOCLEX = 0x5451,
	IOCTL_FIONCLEX = 0x5450
};

#define CHANGEABLE_FLAGS ((uint32_t)(LX_O_APPEND | LX_O_NONBLOCK | LX_O_DIRECT))
#define LOCK_UNLOCK 2
#define LOCK_BYTES 32u

struct vector {
	unaligned_u64 base;
	unaligned_u64 bytes;
};

/* One transfer of a whole vector: where it is and how it goes. */
struct transfer {
	struct file *file;
	bool writes;
	uint64_t *position; /* NULL: a stream */
	uint64_t skip;      /* done by earlier tries of this call */
	uint64_t done;
	bool is_short; /* less than asked for, without an error */
	int64_t error;
};

static void transfer_part(struct kernel *kernel, struct transfer *transfer, struct vector part)
{
	uint32_t prot = transfer->writes ? LX_PROT_READ : LX_PROT_WRITE;
	uint64_t bytes = min_u64(part.bytes, MAX_TRANSFER - transfer->done);
	uint64_t usable = user_usable(kernel, part.base, bytes, prot);
	char nothing;
	void *buffer = usable > 0 ? pointer_of(part.base) : &nothing;
	int64_t result;

	if (usable == 0 && bytes > 0) {
		transfer->error = -EFAULT;
		return;
	}
	result = transfer->writes ? file_write(transfer->file, buffer, usable, transfer->position)
				  : file_read(transfer->file, buffer, usable, transfer->position);
	if (result < 0) {
		transfer->error = result;
		return;
	}
	transfer->done += (uint64_t)result;
	transfer->is_short = (uint64_t)result < part.bytes;
	if (usable < bytes && (uint64_t)result == usable)
		transfer->error = -EFAULT; /* told only if nothing was done */
}

static void transfer_all(struct kernel *kernel, struct transfer *transfer,
			 const struct vector *parts, uint64_t count)
{
	uint64_t skip = transfer->skip;

	for (uint64_t i = 0; i < count && !transfer->error && !transfer->is_short; i++) {
		struct vector part = parts[i];
		uint64_t gone = min_u64(skip, part.bytes);

		skip -= gone;
		part.base += gone;
		part.bytes -= gone;
		if (part.bytes > 0 || (count == 1 && gone == 0))
			transfer_part(kernel, transfer, part);
	}
}

/* A packet is one write or one read, however many parts it has: it goes through a copy. */
static void transfer_packet(struct kernel *kernel, struct transfer *transfer,
			    const struct vector *parts, uint64_t count, uint64_t total)
{
	uint8_t *copy = heap_alloc(&kernel->heap, total + 1);
	uint64_t at = 0;
	int64_t result = copy ? 0 : -ENOBUFS;

	for (uint64_t i = 0; i < count && !result && transfer->writes; i++) {
		result = user_get(kernel, copy + at, parts[i].base, parts[i].bytes);
		at += parts[i].bytes;
	}
	if (!result)
		result = transfer->writes ? file_write(transfer->file, copy, total, NULL)
					  : file_read(transfer->file, copy, total, NULL);
	at = 0;
	for (uint64_t i = 0; i < count && result > (int64_t)at && !transfer->writes; i++) {
		uint64_t bytes = min_u64(parts[i].bytes, (uint64_t)result - at);

		if (user_put(kernel, parts[i].base, copy + at, bytes))
			result = -EFAULT;
		at += bytes;
	}
	heap_free(&kernel->heap, copy, total + 1);
	transfer->error = result < 0 ? result : 0;
	transfer->done = result < 0 ? 0 : (uint64_t)result;
}

static bool is_packet_socket(const struct file *file)
{
	return file_is_socket(file) && socketpair_packets(file);
}

static uint64_t total_bytes(const struct vector *parts, uint64_t count)
{
	uint64_t total = 0;

	for (uint64_t i = 0; i < count; i++)
		total += min_u64(parts[i].bytes, MAX_TRANSFER);
	return total;
}

/* A blocking write to a stream goes on until all is written; a read takes what is there. */
static bool must_wait(const struct transfer *transfer, uint64_t all, uint64_t wanted)
{
	if (!file_waits(transfer->file))
		return false;
	if (transfer->error == -EAGAIN && all == 0)
		return true;
	return transfer->writes && !transfer->file->ops->seekable && all < wanted &&
	       (transfer->error == 0 || transfer->error == -EAGAIN);
}

static int64_t finish(struct kernel *kernel, struct transfer *transfer, uint64_t wanted)
{
	uint64_t all = transfer->skip + transfer->done;
	int64_t result;

	if (transfer->error == -EPIPE && !kernel->no_sigpipe)
		signal_send(kernel, kernel->current, LX_SIGPIPE,
			    (struct signal_cause){.code = LX_SI_USER, .pid = kernel->pid});
	if (!must_wait(transfer, all, wanted))
		return all > 0 ? (int64_t)all : transfer->error;
	kernel->current->progress = all;
	result = thread_wait_file(kernel, transfer->file);
	return result == -RESTART && all > 0 ? (int64_t)all : result;
}

static int64_t transfer_vectors(struct kernel *kernel, uint64_t fd, bool writes,
				const struct vector *parts, uint64_t count, const uint64_t *offset)
{
	struct file *file = fd_get(&kernel->fds, fd);
	struct transfer transfer = {.file = file, .writes = writes};
	uint64_t position;
	int64_t result;

	if (!file)
		return -EBADF;
	position = offset ? *offset : file->position;
	if (file->ops && file->ops->seekable)
		transfer.position = &position;
	else if (offset)
		return -ESPIPE;
	transfer.skip = kernel->current->progress;
	file_hold(file); /* a handler of the transfer must not free it */
	if (count > 1 && is_packet_socket(file) && total_bytes(parts, count) <= MAX_PACKET)
		transfer_packet(kernel, &transfer, parts, count, total_bytes(parts, count));
	else if (count > 1 && is_packet_socket(file))
		transfer.error = -EMSGSIZE;
	else
		transfer_all(kernel, &transfer, parts, count);
	if (transfer.position && !offset)
		file->position = position;
	result = finish(kernel, &transfer, total_bytes(parts, count));
	file_drop(file);
	return result;
}

int64_t sys_read(struct kernel *kernel, const struct call *call)
{
	struct vector part = {call->b, call->c};

	return transfer_vectors(kernel, call->a, false, &part, 1, NULL);
}

int64_t sys_write(struct kernel *kernel, const struct call *call)
{
	struct vector part = {call->b, call->c};

	return transfer_vectors(kernel, call->a, true, &part, 1, NULL);
}

static int64_t at_offset(struct kernel *kernel, const struct call *call, bool writes)
{
	struct vector part = {call->b, call->c};

	if ((int64_t)call->d < 0)
		return -EINVAL;
	return transfer_vectors(kernel, call->a, writes, &part, 1, &call->d);
}

int64_t sys_pread64(struct kernel *kernel, const struct call *call)
{
	return at_offset(kernel, call, false);
}

int64_t sys_pwrite64(struct kernel *kernel, const struct call *call)
{
	return at_offset(kernel, call, true);
}

static int64_t vectored(struct kernel *kernel, const struct call *call, bool writes,
			const uint64_t *offset)
{
	const struct vector *parts;

	if (call->c > MAX_VECTORS)
		return -EINVAL;
	parts = user_range(kernel, call->b, call->c * sizeof(*parts), LX_PROT_READ);
	if (!parts && call->c > 0)
		return -EFAULT;
	if (offset && (int64_t)*offset < 0)
		return -EINVAL;
	for (uint64_t i = 0; i < call->c; i++)
		if ((int64_t)parts[i].bytes < 0)
			return -EINVAL;
	return transfer_vectors(kernel, call->a, writes, parts, call->c, offset);
}

int64_t sys_readv(struct kernel *kernel, const struct call *call)
{
	return vectored(kernel, call, false, NULL);
}

int64_t sys_writev(struct kernel *kernel, const struct call *call)
{
	return vectored(kernel, call, true, NULL);
}

int64_t sys_preadv(struct kernel *kernel, const struct call *call)
{
	return vectored(kernel, call, false, &call->d);
}

int64_t sys_pwritev(struct kernel *kernel, const struct call *call)
{
	return vectored(kernel, call, true, &call->d);
}

/* preadv2 and pwritev2 without flags; offset -1 means the file's position. */
static int64_t vectored2(struct kernel *kernel, const struct call *call, bool writes)
{
	if (call->f != 0)
		return -EOPNOTSUPP;
	return vectored(kernel, call, writes, call->d == UINT64_MAX ? NULL : &call->d);
}

int64_t sys_preadv2(struct kernel *kernel, const struct call *call)
{
	return vectored2(kernel, call, false);
}

int64_t sys_pwritev2(struct kernel *kernel, const struct call *call)
{
	return vectored2(kernel, call, true);
}

int64_t sys_lseek(struct kernel *kernel, const struct call *call)
{
	struct file *file = fd_get(&kernel->fds, call->a);

	return file ? file_seek(file, (int64_t)call->b, (uint32_t)call->c) : -EBADF;
}

int64_t sys_close(struct kernel *kernel, const struct call *call)
{
	return fd_close(&kernel->fds, (uint32_t)call->a);
}

int64_t sys_close_range(struct kernel *kernel, const struct call *call)
{
	uint64_t last = min_u64((uint32_t)call->b, FD_TABLE_SIZE - 1);

	if ((uint32_t)call->a > (uint32_t)call->b || (call->c & ~UINT64_C(4)))
		return -EINVAL;
	for (uint64_t fd = (uint32_t)call->a; fd <= last; fd++) {
		if (!fd_get(&kernel->fds, fd))
			continue;
		if (call->c & 4)
			fd_set_close_on_exec(&kernel->fds, (uint32_t)fd, true);
		else
			(void)fd_close(&kernel->fds, fd);
	}
	return 0;
}

int64_t install_or_drop(struct kernel *kernel, struct file *file, uint32_t flags)
{
	int fd = fd_install(&kernel->fds, file, 0, flags & LX_O_CLOEXEC);

	if (fd < 0) {
		kernel->limits_hit |= COMM_LIMIT_OPEN_FILES;
		file_drop(file);
	}
	return fd;
}

int64_t install_pair(struct kernel *kernel, struct file *ends[2], uint32_t flags, uint64_t address)
{
	unaligned_u32 *fds = user_range(kernel, address, 2 * sizeof(*fds), LX_PROT_WRITE);
	int64_t first;
	int64_t second;

	if (!fds) {
		file_drop(ends[0]);
		file_drop(ends[1]);
		return -EFAULT;
	}
	first = install_or_drop(kernel, ends[0], flags);
	second = install_or_drop(kernel, ends[1], flags);
	if (first < 0 || second < 0) {
		if (first >= 0)
			(void)fd_close(&kernel->fds, (uint64_t)first);
		if (second >= 0)
			(void)fd_close(&kernel->fds, (uint64_t)second);
		return -EMFILE;
	}
	fds[0] = (uint32_t)first;
	fds[1] = (uint32_t)second;
	return 0;
}

static int64_t pipe_with(struct kernel *kernel, uint64_t address, uint32_t flags)
{
	struct file *ends[2];
	int error;

	if (flags & ~(uint32_t)(LX_O_CLOEXEC | LX_O_NONBLOCK | LX_O_DIRECT))
		return -EINVAL;
	error = pipe_make(&kernel->vfs, flags & ~(uint32_t)LX_O_DIRECT, ends);
	return error ? error : install_pair(kernel, ends, flags, address);
}

int64_t sys_pipe(struct kernel *kernel, const struct call *call)
{
	return pipe_with(kernel, call->a, 0);
}

int64_t sys_pipe2(struct kernel *kernel, const struct call *call)
{
	return pipe_with(kernel, call->a, (uint32_t)call->b);
}

static int64_t duplicate(struct kernel *kernel, struct file *file, uint64_t minimum, uint32_t flags)
{
	int fd;

	if (minimum >= kernel->fds.limit)
		return -EINVAL;
	file_hold(file);
	fd = fd_install(&kernel->fds, file, (uint32_t)minimum, flags & LX_O_CLOEXEC);
	if (fd < 0) {
		kernel->limits_hit |= COMM_LIMIT_OPEN_FILES;
		file_drop(file);
	}
	return fd;
}

int64_t sys_dup(struct kernel *kernel, const struct call *call)
{
	struct file *file = fd_get(&kernel->fds, (uint32_t)call->a);

	return file ? duplicate(kernel, file, 0, 0) : -EBADF;
}

static int64_t dup_to(struct kernel *kernel, const struct call *call, uint32_t flags)
{
	struct file *file = fd_get(&kernel->fds, (uint32_t)call->a);

	if (!file || (uint32_t)call->b >= kernel->fds.limit)
		return -EBADF;
	file_hold(file);
	return fd_install_at(&kernel->fds, file, (uint32_t)call->b, flags & LX_O_CLOEXEC);
}

int64_t sys_dup2(struct kernel *kernel, const struct call *call)
{
	if ((uint32_t)call->a == (uint32_t)call->b)
		return fd_get(&kernel->fds, (uint32_t)call->a) ? (int64_t)(uint32_t)call->b
							       : -EBADF;
	return dup_to(kernel, call, 0);
}

int64_t sys_dup3(struct kernel *kernel, const struct call *call)
{
	if ((uint32_t)call->a == (uint32_t)call->b || (call->c & ~(uint64_t)LX_O_CLOEXEC))
		return -EINVAL;
	return dup_to(kernel, call, (uint32_t)call->c);
}

/* Locks of one process never conflict with each other: all are granted, none are found. */
static int64_t lock_call(struct kernel *kernel, uint32_t command, uint64_t address)
{
	int16_t type = LOCK_UNLOCK;

	if (!user_range(kernel, address, LOCK_BYTES, LX_PROT_READ))
		return -EFAULT;
	return command == F_GETLK ? user_put(kernel, address, &type, sizeof(type)) : 0;
}

static int64_t set_flags(struct file *file, uint32_t flags)
{
	file->flags = (file->flags & ~CHANGEABLE_FLAGS) | (flags & CHANGEABLE_FLAGS);
	return 0;
}

int64_t sys_fcntl(struct kernel *kernel, const struct call *call)
{
	uint32_t fd = (uint32_t)call->a;
	struct file *file = fd_get(&kernel->fds, fd);

	if (!file)
		return -EBADF;
	switch ((uint32_t)call->b) {
	case F_DUPFD: return duplicate(kernel, file, call->c, 0);
	case F_DUPFD_CLOEXEC: return duplicate(kernel, file, call->c, LX_O_CLOEXEC);
	case F_GETFD: return fd_closes_on_exec(&kernel->fds, fd);
	case F_SETFD: fd_set_close_on_exec(&kernel->fds, fd, call->c & 1); return 0;
	case F_GETFL: return (int64_t)(file->flags | LARGE_FILE);
	case F_SETFL: return set_flags(file, (uint32_t)call->c);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_SETLK:
	case F_OFD_SETLKW: return lock_call(kernel, (uint32_t)call->b, call->c);
	case F_SETOWN:
	case F_GETOWN: return 0;
	case F_GETPIPE_SZ: return pipe_capacity(file);
	case F_SETPIPE_SZ: return pipe_set_capacity(file, (uint32_t)call->c);
	default: return -EINVAL;
	}
}

int64_t sys_ioctl(struct kernel *kernel, const struct call *call)
{
	struct file *file = fd_get(&kernel->fds, (uint32_t)call->a);
	int32_t value;

	if (!file)
		return -EBADF;
	switch ((uint32_t)call->b) {
	case IOCTL_FIONREAD:
		if (!file->ops || !file->ops->available)
			return -ENOTTY;
		value = (int32_t)min_u64(file->ops->available(file), INT32_MAX);
		return user_put(kernel, call->c, &value, sizeof(value));
	case IOCTL_FIONBIO:
		if (user_get(kernel, &value, call->c, sizeof(value)))
			return -EFAULT;
		file->flags = value ? file->flags | LX_O_NONBLOCK
				    : file->flags & ~(uint32_t)LX_O_NONBLOCK;
		return 0;
	case IOCTL_FIOCLEX:
	case IOCTL_FIONCLEX:
		fd_set_close_on_exec(&kernel->fds, (uint32_t)call->a,
				     (uint32_t)call->b == IOCTL_FIOCLEX);
		return 0;
	default: return -ENOTTY;
	}
}

int64_t sys_flock(struct kernel *kernel, const struct call *call)
{
	return fd_get(&kernel->fds, (uint32_t)call->a) ? 0 : -EBADF;
}

/* There is nothing below to be synchronised with. */
int64_t sys_fsync(struct kernel *kernel, const struct call *call)
{
	struct file *file = fd_get(&kernel->fds, (uint32_t)call->a);

	if (!file)
		return -EBADF;
	return file->node.ops ? 0 : -EINVAL;
}

/* From a file to anything, through the file's own pages: copies of what Linux would not copy. */
int64_t sys_sendfile(struct kernel *kernel, const struct call *call)
{
	struct file *out = fd_get(&kernel->fds, (uint32_t)call->a);
	struct file *in = fd_get(&kernel->fds, (uint32_t)call->b);
	uint8_t chunk[4096];
	uint64_t offset;
	uint64_t sent = 0;
	int64_t result = 0;

	if (!in || !out)
		return -EBADF;
	if (!in->ops || !in->ops->seekable)
		return -EINVAL;
	offset = in->position;
	if (call->c && user_get(kernel, &offset, call->c, sizeof(offset)))
		return -EFAULT;
	while (sent < min_u64(call->d, MAX_TRANSFER)) {
		uint64_t before = offset;

		result = file_read(in, chunk, min_u64(sizeof(chunk), call->d - sent), &offset);
		if (result <= 0)
			break;
		result = file_write(out, chunk, (uint64_t)result,
				    out->ops->seekable ? &out->position : NULL);
		if (result < 0) {
			offset = before;
			break;
		}
		offset = before + (uint64_t)result;
		sent += (uint64_t)result;
	}
	if (sent == 0 && result == -EAGAIN && file_waits(out))
		return thread_wait_file(kernel, out);
	if (sent == 0 && result < 0)
		return result;
	if (!call->c)
		in->position = offset;
	else if (user_put(kernel, call->c, &offset, sizeof(offset)))
		return -EFAULT;
	return (int64_t)sent;
}
