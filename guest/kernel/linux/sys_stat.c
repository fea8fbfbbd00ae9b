/*
 * What the stat family tells about a file, and the calls that change it: modes and times.
 *
 * Trust boundary: paths as in sys_path.c; buffers are checked before they are filled.
 */
#include "paths.h"

#define BLOCK_BYTES 4096
#define SECTOR_BYTES 512u
#define STATX_BASIC 0x7ffu
#define UTIME_NOW ((1l << 30) - 1)
#define UTIME_OMIT ((1l << 30) - 2)
#define ACCESS_WRITE 2u
#define ACCESS_EXECUTE 1u

static struct lx_timespec timespec_of(uint64_t ns)
{
	return (struct lx_timespec){(int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC)};
}

static int put_stat(struct kernel *kernel, uint64_t address, const struct attributes *from)
{
	struct lx_stat stat = {
		.st_dev = from->device,
		.st_ino = from->inode,
		.st_nlink = from->links,
		.st_mode = from->mode,
		.st_uid = from->device == 1 ? 0 : GUEST_UID,
		.st_gid = from->device == 1 ? 0 : GUEST_UID,
		.st_rdev = from->represented,
		.st_size = (int64_t)from->size,
		.st_blksize = BLOCK_BYTES,
		.st_blocks = (int64_t)(page_up(from->size) / SECTOR_BYTES),
		.st_atim = timespec_of(from->accessed_ns),
		.st_mtim = timespec_of(from->modified_ns),
		.st_ctim = timespec_of(from->changed_ns),
	};

	return user_put(kernel, address, &stat, sizeof(stat));
}

/* Of the descriptor itself: it may be a pipe, which has no node. */
static int attributes_of(struct kernel *kernel, uint64_t fd, struct attributes *attributes)
{
	struct file *file = fd_get(&kernel->fds, (uint32_t)fd);

	if (!file && (int32_t)fd != LX_AT_FDCWD)
		return -EBADF;
	if (file)
		file_attributes(file, attributes);
	else
		vfs_attributes(&kernel->vfs, kernel->vfs.cwd, attributes);
	return 0;
}

static int attributes_at(struct kernel *kernel, uint64_t dirfd, uint64_t address, uint64_t flags,
			 struct attributes *attributes)
{
	struct node node;
	char first;
	int error;

	if ((flags & LX_AT_EMPTY_PATH) && !user_get(kernel, &first, address, 1) && !first)
		return attributes_of(kernel, dirfd, attributes);
	error = node_at(kernel, dirfd, address, flags, &node);
	if (!error)
		vfs_attributes(&kernel->vfs, node, attributes);
	return error;
}

static int64_t stat_at(struct kernel *kernel, uint64_t dirfd, uint64_t address, uint64_t buffer,
		       uint64_t flags)
{
	struct attributes attributes;
	int error = attributes_at(kernel, dirfd, address, flags, &attributes);

	return error ? error : put_stat(kernel, buffer, &attributes);
}

int64_t sys_stat(struct kernel *kernel, const struct call *call)
{
	return stat_at(kernel, (uint64_t)LX_AT_FDCWD, call->a, call->b, 0);
}

int64_t sys_lstat(struct kernel *kernel, const struct call *call)
{
	return stat_at(kernel, (uint64_t)LX_AT_FDCWD, call->a, call->b, LX_AT_SYMLINK_NOFOLLOW);
}

int64_t sys_newfstatat(struct kernel *kernel, const struct call *call)
{
	if (call->d & ~(uint64_t)(LX_AT_SYMLINK_NOFOLLOW | LX_AT_EMPTY_PATH | LX_AT_NO_AUTOMOUNT))
		return -EINVAL;
	return stat_at(kernel, call->a, call->b, call->c, call->d);
}

int64_t sys_fstat(struct kernel *kernel, const struct call *call)
{
	struct file *file = fd_get(&kernel->fds, (uint32_t)call->a);
	struct attributes attributes;

	if (!file)
		return -EBADF;
	file_attributes(file, &attributes);
	return put_stat(kernel, call->b, &attributes);
}

struct statx_time {
	int64_t seconds;
	uint32_t ns;
	int32_t pad;
};

struct statx {
	uint32_t mask, block_bytes;
	uint64_t attributes;
	uint32_t links, uid, gid;
	uint16_t mode, pad;
	uint64_t inode, size, blocks, attributes_mask;
	struct statx_time accessed, born, changed, modified;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t rest[14];
};

_Static_assert(sizeof(struct statx) == 256, "Linux ABI");

static struct statx_time statx_time_of(uint64_t ns)
{
	return (struct statx_time){(int64_t)(ns / NS_PER_SEC), (uint32_t)(ns % NS_PER_SEC), 0};
}

int64_t sys_statx(struct kernel *kernel, const struct call *call)
{
	struct attributes from;
	int error = attributes_at(kernel, call->a, call->b, call->c, &from);
	struct statx out = {.mask = STATX_BASIC, .block_bytes = BLOCK_BYTES};

	if (error)
		return error;
	out.links = (uint32_t)from.links;
	out.uid = out.gid = from.device == 1 ? 0 : GUEST_UID;
	out.mode = (uint16_t)from.mode;
	out.inode = from.inode;
	out.size = from.size;
	out.blocks = page_up(from.size) / SECTOR_BYTES;
	out.accessed = statx_time_of(from.accessed_ns);
	out.changed = statx_time_of(from.changed_ns);
	out.modified = statx_time_of(from.modified_ns);
	out.rdev_major = (uint32_t)(from.represented >> 8);
	out.rdev_minor = (uint32_t)(from.represented & 0xff);
	out.dev_minor = (uint32_t)from.device;
	return user_put(kernel, call->e, &out, sizeof(out));
}

/* One user who may do everything that the file systems can. */
static int64_t access_at(struct kernel *kernel, uint64_t dirfd, uint64_t address, uint64_t mode,
			 uint64_t flags)
{
	struct attributes attributes;
	int error = attributes_at(kernel, dirfd, address, flags, &attributes);
	uint32_t type;

	if (error)
		return error;
	if (mode & ~UINT64_C(7))
		return -EINVAL;
	type = attributes.mode & LX_S_IFMT;
	if ((mode & ACCESS_WRITE) && attributes.device == 1 && type != LX_S_IFCHR)
		return -EROFS;
	if ((mode & ACCESS_WRITE) && !(attributes.mode & 0222))
		return -EACCES;
	if ((mode & ACCESS_EXECUTE) && type == LX_S_IFREG && !(attributes.mode & 0111))
		return -EACCES;
	return 0;
}

int64_t sys_access(struct kernel *kernel, const struct call *call)
{
	return access_at(kernel, (uint64_t)LX_AT_FDCWD, call->a, call->b, 0);
}

int64_t sys_faccessat(struct kernel *kernel, const struct call *call)
{
	return access_at(kernel, call->a, call->b, call->c, 0);
}

int64_t sys_faccessat2(struct kernel *kernel, const struct call *call)
{
	return access_at(kernel, call->a, call->b, call->c, call->d & ~(uint64_t)LX_AT_EACCESS);
}

static int64_t set_mode(struct kernel *kernel, struct node node, uint64_t mode)
{
	if (!node.ops->set_mode)
		return -EROFS;
	return node.ops->set_mode(&kernel->vfs, node, (uint32_t)mode);
}

int64_t sys_chmod(struct kernel *kernel, const struct call *call)
{
	struct node node;
	int error = node_at(kernel, (uint64_t)LX_AT_FDCWD, call->a, 0, &node);

	return error ? error : set_mode(kernel, node, call->b);
}

int64_t sys_fchmod(struct kernel *kernel, const struct call *call)
{
	struct file *file = fd_get(&kernel->fds, (uint32_t)call->a);

	if (!file)
		return -EBADF;
	return file->node.ops ? set_mode(kernel, file->node, call->b) : -EINVAL;
}

int64_t sys_fchmodat(struct kernel *kernel, const struct call *call)
{
	struct node node;
	int error = node_at(kernel, call->a, call->b, 0, &node);

	return error ? error : set_mode(kernel, node, call->c);
}

static int get_times(struct kernel *kernel, uint64_t address, uint64_t times[2])
{
	struct lx_timespec given[2];

	times[0] = times[1] = clock_ns(kernel, CLOCK_WALL);
	if (!address)
		return 0;
	if (user_get(kernel, given, address, sizeof(given)))
		return -EFAULT;
	for (int i = 0; i < 2; i++) {
		if (given[i].tv_nsec == UTIME_NOW)
			continue;
		if (given[i].tv_nsec == UTIME_OMIT) {
			times[i] = UINT64_MAX;
			continue;
		}
		if (given[i].tv_nsec < 0 || (uint64_t)given[i].tv_nsec >= NS_PER_SEC)
			return -EINVAL;
		if (given[i].tv_sec < 0 || given[i].tv_sec > INT64_MAX / (int64_t)NS_PER_SEC - 1)
			times[i] = 0;
		else
			times[i] =
				(uint64_t)given[i].tv_sec * NS_PER_SEC + (uint64_t)given[i].tv_nsec;
	}
	return 0;
}

int64_t sys_utimensat(struct kernel *kernel, const struct call *call)
{
	struct node node;
	uint64_t times[2];
	int error = get_times(kernel, call->c, times);

	if (error)
		return error;
	error = call->b ? node_at(kernel, call->a, call->b, call->d, &node)
			: start_of(kernel, call->a, &node);
	if (error)
		return error;
	if (!node.ops->set_times)
		return -EROFS;
	return node.ops->set_times(&kernel->vfs, node, times[0], times[1]);
}

struct statfs {
	int64_t type, block_bytes;
	uint64_t blocks, blocks_free, blocks_available, files, files_free, id;
	int64_t name_max, fragment_bytes, flags, spare[4];
};

static int64_t put_statfs(struct kernel *kernel, uint64_t address)
{
	const struct tmpfs *tmpfs = &kernel->vfs.tmpfs;
	struct statfs out = {
		.type = 0x01021994,
		.block_bytes = BLOCK_BYTES,
		.blocks = tmpfs->max_bytes / BLOCK_BYTES,
		.blocks_free = (tmpfs->max_bytes - tmpfs->used_bytes) / BLOCK_BYTES,
		.files = tmpfs->max_files,
		.files_free = tmpfs->max_files - tmpfs->used_files,
		.name_max = VFS_NAME_MAX,
		.fragment_bytes = BLOCK_BYTES,
	};

	out.blocks_available = out.blocks_free;
	return user_put(kernel, address, &out, sizeof(out));
}

int64_t sys_statfs(struct kernel *kernel, const struct call *call)
{
	struct node node;
	int error = node_at(kernel, (uint64_t)LX_AT_FDCWD, call->a, 0, &node);

	return error ? error : put_statfs(kernel, call->b);
}

int64_t sys_fstatfs(struct kernel *kernel, const struct call *call)
{
	return fd_get(&kernel->fds, (uint32_t)call->a) ? put_statfs(kernel, call->b) : -EBADF;
}
