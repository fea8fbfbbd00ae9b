/*
 * Sockets: pairs only. There is no network in here and nobody to connect to.
 *
 * Trust boundary: message headers are the program's memory; every part is checked before use.
 * Control messages (descriptors, credentials) are refused when sent and never received.
 */
#include "syscalls.h"

enum { FAMILY_UNIX = 1 };
enum { TYPE_STREAM = 1, TYPE_DATAGRAM = 2, TYPE_SEQPACKET = 5, TYPE_MASK = 0xf };
enum {
	LEVEL_SOCKET = 1,
	OPTION_TYPE = 3,
	OPTION_ERROR = 4,
	OPTION_SEND_BUFFER = 7,
	OPTION_RECEIVE_BUFFER = 8,
	OPTION_DOMAIN = 39
};
#define MESSAGE_DONTWAIT 0x40u
#define MESSAGE_NOSIGNAL 0x4000u
#define MESSAGE_KNOWN (MESSAGE_DONTWAIT | MESSAGE_NOSIGNAL)
#define SOCKET_BUFFER_BYTES 212992

struct message {
	uint64_t name;
	uint32_t name_bytes, pad;
	uint64_t parts, count;
	uint64_t control, control_bytes;
	uint32_t flags, pad2;
};

int64_t sys_socket(struct kernel *kernel, const struct call *call)
{
	(void)kernel, (void)call;
	return -EPERM;
}

int64_t sys_socketpair(struct kernel *kernel, const struct call *call)
{
	uint32_t type = (uint32_t)call->b & TYPE_MASK;
	uint32_t flags = (uint32_t)call->b & (LX_O_CLOEXEC | LX_O_NONBLOCK);
	struct file *ends[2];
	int error;

	if ((uint32_t)call->a != FAMILY_UNIX)
		return -EPERM;
	if (type != TYPE_STREAM && type != TYPE_DATAGRAM && type != TYPE_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	error = socketpair_make(&kernel->vfs, flags, type != TYPE_STREAM, ends);
	return error ? error : install_pair(kernel, ends, flags, call->d);
}

static int socket_at(struct kernel *kernel, uint64_t fd, struct file **file)
{
	*file = fd_get(&kernel->fds, (uint32_t)fd);
	if (!*file)
		return -EBADF;
	return file_is_socket(*file) ? 0 : -ENOTSOCK;
}

/* Runs a transfer as if the file were non-blocking or without SIGPIPE, where the flags say so. */
static int64_t transfer(struct kernel *kernel, const struct call *call, uint32_t flags,
			int64_t (*run)(struct kernel *kernel, const struct call *call))
{
	struct file *file;
	uint32_t saved;
	int64_t result;
	int error = socket_at(kernel, call->a, &file);

	if (error)
		return error;
	if (flags & ~MESSAGE_KNOWN)
		return -EOPNOTSUPP;
	saved = file->flags;
	if (flags & MESSAGE_DONTWAIT)
		file->flags |= LX_O_NONBLOCK;
	kernel->no_sigpipe = flags & MESSAGE_NOSIGNAL;
	result = run(kernel, call);
	kernel->no_sigpipe = false;
	file->flags = saved;
	return result;
}

int64_t sys_sendto(struct kernel *kernel, const struct call *call)
{
	return call->e ? -EISCONN : transfer(kernel, call, (uint32_t)call->d, sys_write);
}

int64_t sys_recvfrom(struct kernel *kernel, const struct call *call)
{
	uint32_t none = 0;

	if (call->e && call->f && user_put(kernel, call->f, &none, sizeof(none)))
		return -EFAULT;
	return transfer(kernel, call, (uint32_t)call->d & ~MESSAGE_NOSIGNAL, sys_read);
}

static int64_t message_call(struct kernel *kernel, const struct call *call, bool sends)
{
	struct message message;
	struct call inner = *call;

	if (user_get(kernel, &message, call->b, sizeof(message)))
		return -EFAULT;
	if (sends && message.control_bytes > 0)
		return -EPERM;
	if (sends && message.name)
		return -EISCONN;
	inner.b = message.parts;
	inner.c = message.count;
	if (!sends) {
		message.control_bytes = 0;
		message.name_bytes = 0;
		message.flags = 0;
		if (user_put(kernel, call->b, &message, sizeof(message)))
			return -EFAULT;
	}
	return transfer(kernel, &inner, (uint32_t)call->c & ~0x40000000u,
			sends ? sys_writev : sys_readv);
}

int64_t sys_sendmsg(struct kernel *kernel, const struct call *call)
{
	return message_call(kernel, call, true);
}

int64_t sys_recvmsg(struct kernel *kernel, const struct call *call)
{
	return message_call(kernel, call, false);
}

int64_t sys_shutdown(struct kernel *kernel, const struct call *call)
{
	struct file *file;
	int error = socket_at(kernel, call->a, &file);

	return error ? error : socketpair_shutdown(file, (uint32_t)call->b);
}

/* An unnamed address. */
int64_t sys_getsockname(struct kernel *kernel, const struct call *call)
{
	struct file *file;
	uint16_t family = FAMILY_UNIX;
	uint32_t bytes;
	int error = socket_at(kernel, call->a, &file);

	if (error)
		return error;
	if (user_get(kernel, &bytes, call->c, sizeof(bytes)))
		return -EFAULT;
	if (user_put(kernel, call->b, &family, min_u64(bytes, sizeof(family))))
		return -EFAULT;
	bytes = sizeof(family);
	return user_put(kernel, call->c, &bytes, sizeof(bytes));
}

static int64_t option_value(struct file *file, uint64_t option, int32_t *value)
{
	switch ((uint32_t)option) {
	case OPTION_TYPE: *value = socketpair_packets(file) ? TYPE_DATAGRAM : TYPE_STREAM; break;
	case OPTION_DOMAIN: *value = FAMILY_UNIX; break;
	case OPTION_ERROR: *value = 0; break;
	case OPTION_SEND_BUFFER:
	case OPTION_RECEIVE_BUFFER: *value = SOCKET_BUFFER_BYTES; break;
	case 38: *value = 0; break; /* protocol */
	default: return -EPERM;
	}
	return 0;
}

int64_t sys_getsockopt(struct kernel *kernel, const struct call *call)
{
	struct file *file;
	int32_t value;
	uint32_t bytes;
	int64_t error = socket_at(kernel, call->a, &file);

	if (!error)
		error = call->b == LEVEL_SOCKET ? option_value(file, call->c, &value) : -EOPNOTSUPP;
	if (error)
		return error;
	if (user_get(kernel, &bytes, call->e, sizeof(bytes)))
		return -EFAULT;
	bytes = (uint32_t)min_u64(bytes, sizeof(value));
	if (user_put(kernel, call->d, &value, bytes))
		return -EFAULT;
	return user_put(kernel, call->e, &bytes, sizeof(bytes));
}

/* Buffer sizes are fixed: wishes are taken without effect, as Linux may do as well. */
int64_t sys_setsockopt(struct kernel *kernel, const struct call *call)
{
	struct file *file;
	int error = socket_at(kernel, call->a, &file);

	if (error)
		return error;
	if (call->b == LEVEL_SOCKET &&
	    (call->c == OPTION_SEND_BUFFER || call->c == OPTION_RECEIVE_BUFFER))
		return 0;
	return -EPERM;
}
