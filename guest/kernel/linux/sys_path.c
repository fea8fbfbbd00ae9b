/*
 * System calls on paths: opening, making, removing, renaming, linking.
 *
 * Trust boundary: paths are copied once, bounded by PATH_MAX, and then walked (vfs/path.c).
 */
#include "paths.h"

#define RENAME_NOREPLACE 1u

int start_of(struct kernel *kernel, uint64_t dirfd, struct node *start)
{
	struct file *file;

	if ((int32_t)dirfd == LX_AT_FDCWD) {
		*start = kernel->vfs.cwd;
		return 0;
	}
	file = fd_get(&kernel->fds, (uint32_t)dirfd);
	if (!file)
		return -EBADF;
	if (!file->node.ops)
		return -ENOTDIR;
	*start = file->node;
	return 0;
}

int get_path(struct kernel *kernel, uint64_t dirfd, uint64_t address, struct path *path)
{
	int error = user_get_string(kernel, path->text, address, sizeof(path->text));

	if (error)
		return error;
	path->start = kernel->vfs.root;
	/* An empty path is missing whatever it would be relative to. */
	if (path->text[0] == '/' || !path->text[0])
		return 0;
	return start_of(kernel, dirfd, &path->start);
}

/* The node of a path, or of the descriptor itself for an empty path where that is allowed. */
int node_at(struct kernel *kernel, uint64_t dirfd, uint64_t address, uint64_t flags,
	    struct node *node)
{
	struct path path;
	struct walk walk;
	int error = get_path(kernel, dirfd, address, &path);

	if (error)
		return error;
	if (!path.text[0] && (flags & LX_AT_EMPTY_PATH))
		return start_of(kernel, dirfd, node);
	error = path_walk(&kernel->vfs, path.start, path.text,
			  flags & LX_AT_SYMLINK_NOFOLLOW ? WALK_NOFOLLOW : 0, &walk);
	if (!error)
		*node = walk.node;
	return error;
}

static int64_t open_path(struct kernel *kernel, uint64_t dirfd, uint64_t address, uint64_t flags,
			 uint64_t mode)
{
	struct file *file;
	struct path path;
	int error = get_path(kernel, dirfd, address, &path);

	if (error)
		return error;
	error = vfs_open(&kernel->vfs, path.start, path.text, (uint32_t)flags, (uint32_t)mode,
			 &file);
	return error ? error : install_or_drop(kernel, file, (uint32_t)flags);
}

int64_t sys_open(struct kernel *kernel, const struct call *call)
{
	return open_path(kernel, (uint64_t)LX_AT_FDCWD, call->a, call->b, call->c);
}

int64_t sys_openat(struct kernel *kernel, const struct call *call)
{
	return open_path(kernel, call->a, call->b, call->c, call->d);
}

int64_t sys_creat(struct kernel *kernel, const struct call *call)
{
	return open_path(kernel, (uint64_t)LX_AT_FDCWD, call->a,
			 LX_O_CREAT | LX_O_WRONLY | LX_O_TRUNC, call->b);
}

static int64_t read_link(struct kernel *kernel, uint64_t dirfd, uint64_t address, uint64_t buffer,
			 uint64_t bytes)
{
	char target[VFS_PATH_MAX];
	struct path path;
	struct walk walk;
	int64_t len;
	int error = get_path(kernel, dirfd, address, &path);

	if (error)
		return error;
	if ((int64_t)bytes <= 0)
		return -EINVAL;
	error = path_walk(&kernel->vfs, path.start, path.text, WALK_NOFOLLOW, &walk);
	if (error)
		return error;
	if ((node_mode(&kernel->vfs, walk.node) & LX_S_IFMT) != LX_S_IFLNK)
		return -EINVAL;
	len = walk.node.ops->target(&kernel->vfs, walk.node, target, sizeof(target));
	if (len < 0)
		return len;
	len = (int64_t)min_u64((uint64_t)len, bytes);
	return user_put(kernel, buffer, target, (uint64_t)len) ? -EFAULT : len;
}

int64_t sys_readlink(struct kernel *kernel, const struct call *call)
{
	return read_link(kernel, (uint64_t)LX_AT_FDCWD, call->a, call->b, call->c);
}

int64_t sys_readlinkat(struct kernel *kernel, const struct call *call)
{
	return read_link(kernel, call->a, call->b, call->c, call->d);
}

int64_t sys_getdents64(struct kernel *kernel, const struct call *call)
{
	struct file *file = fd_get(&kernel->fds, (uint32_t)call->a);
	void *buffer = user_range(kernel, call->b, (uint32_t)call->c, LX_PROT_WRITE);

	if (!file)
		return -EBADF;
	return buffer ? file_list(file, buffer, (uint32_t)call->c) : -EFAULT;
}

int64_t sys_getcwd(struct kernel *kernel, const struct call *call)
{
	char text[VFS_PATH_MAX];
	int64_t len = path_of(&kernel->vfs, kernel->vfs.cwd, text, min_u64(call->b, sizeof(text)));

	if (len < 0)
		return len;
	return user_put(kernel, call->a, text, (uint64_t)len) ? -EFAULT : len;
}

static int64_t change_dir(struct kernel *kernel, struct node node)
{
	if (!node_is_dir(&kernel->vfs, node))
		return -ENOTDIR;
	node_hold(node);
	node_drop(&kernel->vfs, kernel->vfs.cwd);
	kernel->vfs.cwd = node;
	return 0;
}

int64_t sys_chdir(struct kernel *kernel, const struct call *call)
{
	struct path path;
	struct walk walk;
	int error = get_path(kernel, (uint64_t)LX_AT_FDCWD, call->a, &path);

	if (!error)
		error = path_walk(&kernel->vfs, path.start, path.text, 0, &walk);
	return error ? error : change_dir(kernel, walk.node);
}

int64_t sys_fchdir(struct kernel *kernel, const struct call *call)
{
	struct node node;
	int error = start_of(kernel, (uint32_t)call->a, &node);

	return error ? error : change_dir(kernel, node);
}

static int64_t make_dir(struct kernel *kernel, uint64_t dirfd, uint64_t address, uint64_t mode)
{
	struct path path;
	int error = get_path(kernel, dirfd, address, &path);

	return error ? error
		     : vfs_make(&kernel->vfs, path.start, path.text,
				LX_S_IFDIR | ((uint32_t)mode & 01777), NULL);
}

int64_t sys_mkdir(struct kernel *kernel, const struct call *call)
{
	return make_dir(kernel, (uint64_t)LX_AT_FDCWD, call->a, call->b);
}

int64_t sys_mkdirat(struct kernel *kernel, const struct call *call)
{
	return make_dir(kernel, call->a, call->b, call->c);
}

static int64_t make_link(struct kernel *kernel, uint64_t target_address, uint64_t dirfd,
			 uint64_t address)
{
	char target[VFS_PATH_MAX];
	struct path path;
	int error = user_get_string(kernel, target, target_address, sizeof(target));

	if (!error)
		error = get_path(kernel, dirfd, address, &path);
	if (!error && !target[0])
		error = -ENOENT;
	return error ? error
		     : vfs_make(&kernel->vfs, path.start, path.text, LX_S_IFLNK | 0777, target);
}

int64_t sys_symlink(struct kernel *kernel, const struct call *call)
{
	return make_link(kernel, call->a, (uint64_t)LX_AT_FDCWD, call->b);
}

int64_t sys_symlinkat(struct kernel *kernel, const struct call *call)
{
	return make_link(kernel, call->a, call->b, call->c);
}

static int64_t remove_at(struct kernel *kernel, uint64_t dirfd, uint64_t address, bool directory)
{
	struct path path;
	int error = get_path(kernel, dirfd, address, &path);

	return error ? error : vfs_unlink(&kernel->vfs, path.start, path.text, directory);
}

int64_t sys_unlink(struct kernel *kernel, const struct call *call)
{
	return remove_at(kernel, (uint64_t)LX_AT_FDCWD, call->a, false);
}

int64_t sys_rmdir(struct kernel *kernel, const struct call *call)
{
	return remove_at(kernel, (uint64_t)LX_AT_FDCWD, call->a, true);
}

int64_t sys_unlinkat(struct kernel *kernel, const struct call *call)
{
	if (call->c & ~(uint64_t)LX_AT_REMOVEDIR)
		return -EINVAL;
	return remove_at(kernel, call->a, call->b, call->c & LX_AT_REMOVEDIR);
}

static int64_t rename_at(struct kernel *kernel, uint64_t from_fd, uint64_t from, uint64_t to_fd,
			 uint64_t to, bool replace)
{
	struct path source;
	struct path target;
	int error = get_path(kernel, from_fd, from, &source);

	if (!error)
		error = get_path(kernel, to_fd, to, &target);
	return error ? error
		     : vfs_rename(&kernel->vfs, source.start, source.text, target.start,
				  target.text, replace);
}

int64_t sys_rename(struct kernel *kernel, const struct call *call)
{
	return rename_at(kernel, (uint64_t)LX_AT_FDCWD, call->a, (uint64_t)LX_AT_FDCWD, call->b,
			 true);
}

int64_t sys_renameat(struct kernel *kernel, const struct call *call)
{
	return rename_at(kernel, call->a, call->b, call->c, call->d, true);
}

int64_t sys_renameat2(struct kernel *kernel, const struct call *call)
{
	if (call->e & ~(uint64_t)RENAME_NOREPLACE)
		return -EINVAL;
	return rename_at(kernel, call->a, call->b, call->c, call->d, !(call->e & RENAME_NOREPLACE));
}

static int64_t link_at(struct kernel *kernel, uint64_t from_fd, uint64_t from, uint64_t to_fd,
		       uint64_t to, uint64_t flags)
{
	struct node node;
	struct path target;
	uint64_t walk_flags = flags & LX_AT_SYMLINK_FOLLOW ? 0u : LX_AT_SYMLINK_NOFOLLOW;
	int error = node_at(kernel, from_fd, from, walk_flags | (flags & LX_AT_EMPTY_PATH), &node);

	if (!error)
		error = get_path(kernel, to_fd, to, &target);
	return error ? error : vfs_link(&kernel->vfs, node, target.start, target.text);
}

int64_t sys_link(struct kernel *kernel, const struct call *call)
{
	return link_at(kernel, (uint64_t)LX_AT_FDCWD, call->a, (uint64_t)LX_AT_FDCWD, call->b, 0);
}

int64_t sys_linkat(struct kernel *kernel, const struct call *call)
{
	return link_at(kernel, call->a, call->b, call->c, call->d, call->e);
}

int64_t sys_truncate(struct kernel *kernel, const struct call *call)
{
	struct node node;
	int error = node_at(kernel, (uint64_t)LX_AT_FDCWD, call->a, 0, &node);

	if ((int64_t)call->b < 0)
		return -EINVAL;
	return error ? error : vfs_truncate(&kernel->vfs, node, call->b);
}

int64_t sys_ftruncate(struct kernel *kernel, const struct call *call)
{
	struct file *file = fd_get(&kernel->fds, (uint32_t)call->a);

	if (!file)
		return -EBADF;
	if ((int64_t)call->b < 0 || !file->node.ops || (file->flags & LX_O_ACCMODE) == LX_O_RDONLY)
		return -EINVAL;
	return vfs_truncate(&kernel->vfs, file->node, call->b);
}

int64_t sys_fallocate(struct kernel *kernel, const struct call *call)
{
	struct file *file = fd_get(&kernel->fds, (uint32_t)call->a);
	struct attributes attributes;
	uint64_t end;

	if (!file)
		return -EBADF;
	if (call->b != 0)
		return -EOPNOTSUPP;
	if ((int64_t)call->c < 0 || (int64_t)call->d <= 0 ||
	    __builtin_add_overflow(call->c, call->d, &end))
		return -EINVAL;
	if (!file->node.ops || (file->flags & LX_O_ACCMODE) == LX_O_RDONLY)
		return -EBADF;
	file_attributes(file, &attributes);
	return end <= attributes.size ? 0 : vfs_truncate(&kernel->vfs, file->node, end);
}

int64_t sys_umask(struct kernel *kernel, const struct call *call)
{
	uint32_t old = kernel->vfs.umask;

	kernel->vfs.umask = (uint32_t)call->a & 0777;
	return old;
}

int64_t sys_memfd_create(struct kernel *kernel, const struct call *call)
{
	struct vfs *vfs = &kernel->vfs;
	struct file *file;
	struct node made;
	int error;

	if (call->b & ~UINT64_C(3))
		return -EINVAL;
	error = tmpfs_nameless(vfs, 0777, &made);
	if (error)
		return error;
	file = file_new(vfs, NULL, NULL, LX_O_RDWR);
	if (file) {
		file->node = made;
		node_hold(made);
		error = made.ops->open(vfs, made, file);
		return error ? error
			     : install_or_drop(kernel, file, call->b & 1 ? LX_O_CLOEXEC : 0);
	}
	node_hold(made);
	node_drop(vfs, made);
	return -ENFILE;
}
