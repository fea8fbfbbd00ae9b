/*
 * System calls that read and write.
 *
 * Trust boundary: descriptors, addresses, lengths and offsets are the program's. A buffer is used
 * as far as it is good, as Linux does: a transfer that begins in good memory is shortened, one that
 * begins in bad memory gives EFAULT.
 */
#include "syscalls.h"

#define MAX_TRANSFER UINT64_C(0x7ffff000)
#define MAX_VECTORS 1024u
#define MAX_PACKET (UINT64_C(1) << 20) /* of several parts */

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
	if (!transfer->writes || all >= wanted || (transfer->error && transfer->error != -EAGAIN))
		return false;
	return transfer->file->ops && !transfer->file->ops->seekable; /* a directory has no ops */
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
