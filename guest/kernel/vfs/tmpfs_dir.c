/*
 * Directories of tmpfs: an array of names in the order of creation. Each name has a cookie that
 * only grows, so a listing goes on in the right place whatever was removed meanwhile. As in Linux
 * every name beyond a file's first one counts as a file: names cost memory too.
 *
 * Trust boundary: as vfs.h; names come from the path walk, which has bounded them.
 */
#include "tmpfs.h"

#define FIRST_ENTRIES 8u

static uint32_t hash_of(const char *name, uint64_t len)
{
	uint32_t hash = 2166136261u;

	for (uint64_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)name[i]) * 16777619u;
	return hash;
}

static struct tmpfs_entry *find(struct tmpfs_inode *dir, const char *name, uint64_t len)
{
	uint32_t hash = hash_of(name, len);

	for (uint64_t i = 0; i < dir->entry_count; i++) {
		struct tmpfs_entry *entry = &dir->entries[i];

		if (entry->hash == hash && entry->name_len == len &&
		    memcmp(entry->name, name, len) == 0)
			return entry;
	}
	return NULL;
}

static bool is_dir(const struct tmpfs_inode *inode)
{
	return (inode->mode & LX_S_IFMT) == LX_S_IFDIR;
}

int tmpfs_lookup(struct vfs *vfs, struct node dir, const char *name, uint64_t len,
		 struct node *found)
{
	struct tmpfs_entry *entry = find(tmpfs_of(dir), name, len);

	(void)vfs;
	if (!entry)
		return -ENOENT;
	*found = tmpfs_node(entry->inode);
	return 0;
}

static uint8_t type_of(uint32_t mode)
{
	return (uint8_t)((mode & LX_S_IFMT) >> 12);
}

int tmpfs_list(struct vfs *vfs, struct node node, uint64_t cookie, struct dir_entry *out)
{
	const struct tmpfs_inode *dir = tmpfs_of(node);
	uint64_t low = 0;
	uint64_t high = dir->entry_count;

	(void)vfs;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (dir->entries[middle].cookie <= cookie)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == dir->entry_count)
		return 0;
	*out = (struct dir_entry){
		.name = dir->entries[low].name,
		.name_len = dir->entries[low].name_len,
		.inode = dir->entries[low].inode->number,
		.type = type_of(dir->entries[low].inode->mode),
		.cookie = dir->entries[low].cookie,
	};
	return 1;
}

static int make_room(struct vfs *vfs, struct tmpfs_inode *dir)
{
	uint64_t capacity = dir->entry_capacity > 0 ? dir->entry_capacity * 2 : FIRST_ENTRIES;
	void *grown;

	if (dir->entry_count < dir->entry_capacity)
		return 0;
	grown = heap_resize(vfs->heap, dir->entries, dir->entry_capacity * sizeof(*dir->entries),
			    capacity * sizeof(*dir->entries));
	if (!grown)
		return -ENOSPC;
	dir->entries = grown;
	dir->entry_capacity = capacity;
	return 0;
}

static int add(struct vfs *vfs, struct tmpfs_inode *dir, const char *name, uint64_t len,
	       struct tmpfs_inode *inode)
{
	char *copy;

	if (dir != dir->parent && dir->links == 0)
		return -ENOENT; /* removed, but somebody's working directory */
	if (make_room(vfs, dir))
		return -ENOSPC;
	copy = heap_alloc(vfs->heap, len);
	if (!copy)
		return -ENOSPC;
	memcpy(copy, name, len);
	dir->entries[dir->entry_count++] = (struct tmpfs_entry){
		.name = copy,
		.name_len = (uint32_t)len,
		.hash = hash_of(name, len),
		.cookie = ++dir->next_cookie,
		.inode = inode,
	};
	if (inode->links > 0)
		vfs->tmpfs.used_files++;
	inode->links++;
	if (is_dir(inode)) {
		inode->parent = dir;
		dir->subdirs++;
	}
	tmpfs_touch(vfs, dir);
	return 0;
}

/* The inode loses this name; the caller releases it. */
static struct tmpfs_inode *take_out(struct vfs *vfs, struct tmpfs_inode *dir,
				    struct tmpfs_entry *entry)
{
	struct tmpfs_inode *inode = entry->inode;
	uint64_t index = (uint64_t)(entry - dir->entries);

	heap_free(vfs->heap, entry->name, entry->name_len);
	dir->entry_count--;
	memmove(entry, entry + 1, (dir->entry_count - index) * sizeof(*entry));
	inode->links--;
	if (inode->links > 0)
		vfs->tmpfs.used_files--;
	inode->changed_ns = vfs_now(vfs);
	if (is_dir(inode))
		dir->subdirs--;
	tmpfs_touch(vfs, dir);
	return inode;
}

int tmpfs_create(struct vfs *vfs, struct node dir, const char *name, uint64_t len, uint32_t mode,
		 const char *target, struct node *made)
{
	struct tmpfs_inode *inode = tmpfs_new(vfs, mode);
	int error = 0;

	if (!inode)
		return -ENOSPC;
	if (target)
		error = tmpfs_set_target(vfs, inode, target);
	if (!error)
		error = add(vfs, tmpfs_of(dir), name, len, inode);
	if (error) {
		tmpfs_release(vfs, inode);
		return error;
	}
	*made = tmpfs_node(inode);
	return 0;
}

int tmpfs_link(struct vfs *vfs, struct node dir, const char *name, uint64_t len, struct node node)
{
	struct tmpfs_inode *inode = tmpfs_of(node);

	if (is_dir(inode))
		return -EPERM;
	if (find(tmpfs_of(dir), name, len))
		return -EEXIST;
	if (inode->links > 0 && vfs->tmpfs.used_files >= vfs->tmpfs.max_files)
		return tmpfs_full(vfs);
	inode->changed_ns = vfs_now(vfs);
	return add(vfs, tmpfs_of(dir), name, len, inode);
}

static bool is_mount_point(struct vfs *vfs, const struct tmpfs_inode *inode)
{
	for (uint32_t i = 0; i < vfs->mount_count; i++)
		if (vfs->mounts[i].at.data == inode)
			return true;
	return false;
}

int tmpfs_unlink(struct vfs *vfs, struct node dir, const char *name, uint64_t len, bool directory)
{
	struct tmpfs_entry *entry = find(tmpfs_of(dir), name, len);

	if (!entry)
		return -ENOENT;
	if (directory != is_dir(entry->inode))
		return directory ? -ENOTDIR : -EISDIR;
	if (directory && entry->inode->entry_count > 0)
		return -ENOTEMPTY;
	if (is_mount_point(vfs, entry->inode))
		return -EBUSY;
	tmpfs_release(vfs, take_out(vfs, tmpfs_of(dir), entry));
	return 0;
}

static bool is_within(const struct tmpfs_inode *inode, const struct tmpfs_inode *ancestor)
{
	while (inode != ancestor && inode->parent != inode)
		inode = inode->parent;
	return inode == ancestor;
}

/* May `victim` be replaced by `inode`? */
static int may_replace(const struct tmpfs_inode *inode, const struct tmpfs_inode *victim)
{
	if (is_dir(inode) != is_dir(victim))
		return is_dir(victim) ? -EISDIR : -ENOTDIR;
	return is_dir(victim) && victim->entry_count > 0 ? -ENOTEMPTY : 0;
}

static int check_rename(struct vfs *vfs, const struct tmpfs_entry *source,
			const struct tmpfs_inode *to, const struct tmpfs_entry *victim,
			bool replace)
{
	if (!source)
		return -ENOENT;
	if (victim && !replace)
		return -EEXIST;
	if (is_mount_point(vfs, source->inode))
		return -EBUSY;
	if (is_dir(source->inode) && is_within(to, source->inode))
		return -EINVAL;
	return victim ? may_replace(source->inode, victim->inode) : 0;
}

int tmpfs_rename(struct vfs *vfs, struct node from_dir, const char *from, uint64_t from_len,
		 struct node to_dir, const char *to, uint64_t to_len, bool replace)
{
	struct tmpfs_inode *source_dir = tmpfs_of(from_dir);
	struct tmpfs_inode *target_dir = tmpfs_of(to_dir);
	struct tmpfs_entry *source = find(source_dir, from, from_len);
	struct tmpfs_entry *victim = find(target_dir, to, to_len);
	struct tmpfs_inode *inode;
	int error = check_rename(vfs, source, target_dir, victim, replace);

	if (error)
		return error;
	inode = source->inode;
	if (victim && victim->inode == inode)
		return 0;
	error = make_room(vfs, target_dir);
	if (error)
		return error;
	inode->references++; /* it may be without a name for a moment */
	(void)take_out(vfs, source_dir, find(source_dir, from, from_len));
	victim = find(target_dir, to, to_len);
	if (victim)
		tmpfs_release(vfs, take_out(vfs, target_dir, victim));
	error = add(vfs, target_dir, to, to_len, inode);
	inode->references--;
	tmpfs_release(vfs, inode);
	return error;
}

int tmpfs_mount(struct vfs *vfs, const char *path, uint32_t mode)
{
	struct walk walk;
	struct tmpfs_inode *root;
	int error = path_walk(vfs, vfs->root, path, 0, &walk);

	if (error)
		return error;
	if (vfs->mount_count == VFS_MAX_MOUNTS)
		return -ENOSPC;
	root = tmpfs_new(vfs, LX_S_IFDIR | mode);
	if (!root)
		return -ENOSPC;
	root->references = 1;
	vfs->mounts[vfs->mount_count++] = (struct mount){walk.node, tmpfs_node(root)};
	return 0;
}

static int show_through(struct vfs *vfs, struct node below, struct node dir,
			const struct dir_entry *entry)
{
	struct mount mount;
	int error = below.ops->lookup(vfs, below, entry->name, entry->name_len, &mount.root);

	if (error || !node_is_dir(vfs, mount.root))
		return error;
	if (vfs->mount_count == VFS_MAX_MOUNTS)
		return -ENOSPC;
	error = tmpfs_create(vfs, dir, entry->name, entry->name_len, LX_S_IFDIR | 0755, NULL,
			     &mount.at);
	if (!error)
		vfs->mounts[vfs->mount_count++] = mount;
	return error;
}

int tmpfs_mount_over(struct vfs *vfs, const char *path, uint32_t mode)
{
	struct dir_entry entry = {.cookie = 0};
	struct walk walk;
	struct node dir;
	int error = path_walk(vfs, vfs->root, path, 0, &walk);

	if (!error)
		error = tmpfs_mount(vfs, path, mode);
	if (error)
		return error;
	dir = vfs->mounts[vfs->mount_count - 1].root;
	for (;;) {
		error = walk.node.ops->list(vfs, walk.node, entry.cookie, &entry);
		if (error <= 0)
			return error;
		error = show_through(vfs, walk.node, dir, &entry);
		if (error)
			return error;
	}
}
