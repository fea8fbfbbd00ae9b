/*
 * Operations on paths: open, make, remove, rename, link. The rules that are the same for every file
 * system are here; what differs is behind struct fs_ops.
 *
 * Trust boundary: as path.c. There is one user, root in its own world, so permissions are not
 * checked: what must not change lies in a file system that cannot change.
 */
#include "file.h"
#include "vfs.h"

void vfs_attributes(struct vfs *vfs, struct node node, struct attributes *out)
{
	node.ops->attributes(vfs, node, out);
}

static int create_file(struct vfs *vfs, struct walk *walk, uint32_t mode)
{
	if (walk->needs_directory)
		return -EISDIR;
	if (!walk->dir.ops->create)
		return -EROFS;
	return walk->dir.ops->create(vfs, walk->dir, walk->name, walk->name_len,
				     LX_S_IFREG | (mode & 07777 & ~vfs->umask), NULL, &walk->node);
}

static bool wants_write(uint32_t flags)
{
	return (flags & LX_O_ACCMODE) != LX_O_RDONLY || (flags & LX_O_TRUNC);
}

static int check_open(struct vfs *vfs, struct node node, uint32_t flags)
{
	uint32_t type = node_mode(vfs, node) & LX_S_IFMT;

	if (type == LX_S_IFLNK && !(flags & LX_O_PATH))
		return -ELOOP;
	if ((flags & LX_O_DIRECTORY) && type != LX_S_IFDIR)
		return -ENOTDIR;
	if (flags & LX_O_PATH)
		return 0;
	if (type == LX_S_IFDIR && (wants_write(flags) || (flags & LX_O_CREAT)))
		return -EISDIR;
	if (type == LX_S_IFREG && wants_write(flags) && !node.ops->truncate)
		return -EROFS;
	return 0;
}

static int open_node(struct vfs *vfs, struct node node, uint32_t flags, struct file **opened)
{
	struct file *file = file_new(vfs, NULL, NULL, flags);
	int error = 0;

	if (!file)
		return -ENOMEM;
	file->node = node;
	node_hold(node);
	if (!(flags & LX_O_PATH) && !node_is_dir(vfs, node))
		error = node.ops->open ? node.ops->open(vfs, node, file) : -ENXIO;
	if (!error && (flags & LX_O_TRUNC) && !(flags & LX_O_PATH) && node.ops->truncate &&
	    (node_mode(vfs, node) & LX_S_IFMT) == LX_S_IFREG)
		error = node.ops->truncate(vfs, node, 0);
	if (error) {
		file_drop(file);
		return error;
	}
	*opened = file;
	return 0;
}

static int open_nameless(struct vfs *vfs, struct node dir, uint32_t flags, uint32_t mode,
			 struct file **opened)
{
	struct node made;
	int error;

	if (!node_is_dir(vfs, dir))
		return -ENOTDIR;
	if (!dir.ops->create)
		return -EROFS;
	if ((flags & LX_O_ACCMODE) == LX_O_RDONLY)
		return -EINVAL;
	error = tmpfs_nameless(vfs, mode & ~vfs->umask, &made);
	if (error)
		return error;
	node_hold(made);
	error = open_node(vfs, made, flags & ~(uint32_t)(LX_O_TMPFILE | LX_O_TRUNC), opened);
	node_drop(vfs, made);
	return error;
}

int vfs_open(struct vfs *vfs, struct node start, const char *path, uint32_t flags, uint32_t mode,
	     struct file **opened)
{
	bool creates = (flags & LX_O_CREAT) && !(flags & LX_O_PATH);
	bool exclusive = creates && (flags & LX_O_EXCL);
	unsigned walk_flags = (creates ? WALK_MAY_LACK : 0u) |
			      (exclusive || (flags & LX_O_NOFOLLOW) ? WALK_NOFOLLOW : 0u);
	struct walk walk;
	int error = path_walk(vfs, start, path, walk_flags, &walk);

	if (creates && (flags & LX_O_TMPFILE) == LX_O_TMPFILE)
		return -EINVAL;
	if (error)
		return error;
	if ((flags & LX_O_TMPFILE) == LX_O_TMPFILE)
		return open_nameless(vfs, walk.node, flags, mode, opened);
	if (!walk.node.ops) {
		error = create_file(vfs, &walk, mode);
		if (error)
			return error;
		return open_node(vfs, walk.node, flags & ~(uint32_t)LX_O_TRUNC, opened);
	}
	if (exclusive)
		return -EEXIST;
	error = check_open(vfs, walk.node, flags);
	return error ? error : open_node(vfs, walk.node, flags, opened);
}

/* A directory (mode has its type) or, with a target, a symbolic link. */
int vfs_make(struct vfs *vfs, struct node start, const char *path, uint32_t mode,
	     const char *target)
{
	bool directory = (mode & LX_S_IFMT) == LX_S_IFDIR;
	struct walk walk;
	int error = path_walk(vfs, start, path, WALK_MAY_LACK | WALK_NOFOLLOW, &walk);

	if (error)
		return error;
	if (walk.node.ops)
		return -EEXIST;
	if (walk.needs_directory && !directory)
		return -ENOENT;
	if (!walk.dir.ops->create)
		return -EROFS;
	if (!target)
		mode &= ~vfs->umask;
	return walk.dir.ops->create(vfs, walk.dir, walk.name, walk.name_len, mode, target,
				    &walk.node);
}

static bool is_mount_root(const struct vfs *vfs, struct node node)
{
	for (uint32_t i = 0; i < vfs->mount_count; i++)
		if (node_same(vfs->mounts[i].root, node))
			return true;
	return node_same(vfs->root, node);
}

int vfs_unlink(struct vfs *vfs, struct node start, const char *path, bool directory)
{
	struct walk walk;
	int error = path_walk(vfs, start, path, WALK_NOFOLLOW, &walk);

	if (error)
		return error;
	if (is_mount_root(vfs, walk.node))
		return -EBUSY;
	if (walk.name_len == 0)
		return directory ? -EINVAL : -EISDIR;
	if (!walk.dir.ops->unlink)
		return -EROFS;
	return walk.dir.ops->unlink(vfs, walk.dir, walk.name, walk.name_len, directory);
}

int vfs_rename(struct vfs *vfs, struct node from_start, const char *from, struct node to_start,
	       const char *to, bool replace)
{
	struct walk source;
	struct walk target;
	int error = path_walk(vfs, from_start, from, WALK_NOFOLLOW, &source);

	if (!error)
		error = path_walk(vfs, to_start, to, WALK_NOFOLLOW | WALK_MAY_LACK, &target);
	if (error)
		return error;
	if (source.name_len == 0 || target.name_len == 0 || is_mount_root(vfs, source.node) ||
	    (target.node.ops && is_mount_root(vfs, target.node)))
		return -EBUSY;
	if (target.needs_directory && !node_is_dir(vfs, source.node))
		return -ENOTDIR;
	if (source.dir.ops != target.dir.ops)
		return -EXDEV;
	if (!source.dir.ops->rename)
		return -EROFS;
	return source.dir.ops->rename(vfs, source.dir, source.name, source.name_len, target.dir,
				      target.name, target.name_len, replace);
}

int vfs_link(struct vfs *vfs, struct node node, struct node to_start, const char *to)
{
	struct walk target;
	int error = path_walk(vfs, to_start, to, WALK_NOFOLLOW | WALK_MAY_LACK, &target);

	if (error)
		return error;
	if (target.node.ops)
		return -EEXIST;
	if (node.ops != target.dir.ops)
		return -EXDEV;
	if (!target.dir.ops->link)
		return -EROFS;
	return target.dir.ops->link(vfs, target.dir, target.name, target.name_len, node);
}

int vfs_truncate(struct vfs *vfs, struct node node, uint64_t size)
{
	uint32_t type = node_mode(vfs, node) & LX_S_IFMT;

	if (type == LX_S_IFDIR)
		return -EISDIR;
	if (type != LX_S_IFREG)
		return -EINVAL;
	return node.ops->truncate ? node.ops->truncate(vfs, node, size) : -EROFS;
}
