/*
 * System calls on descriptors: closing, copying, flags, locks, pipes.
 *
 * Trust boundary: descriptors, flags and addresses are the program's and are checked before use.
 */
#include "syscalls.h"

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
