/*
 * Tells the host what is in the workspace when the run is over: struct file_record, name, contents,
 * in a walk that names each directory before what is in it.
 *
 * Theory of operation: the walk goes down by path and comes back by "..", so it needs no stack of
 * its own; a path longer than the buffer is left out with all that is below.
 * Trust boundary: the program has had the same memory in its hands; whatever is told here is
 * checked by the host as any guest byte.
 */
#include "boot.h"

struct collector {
	struct kernel *kernel;
	char path[VFS_PATH_MAX]; /* relative to the workspace, no NUL */
	uint64_t len;
};

static void put(struct collector *collector, const void *data, uint64_t bytes)
{
	(void)host_output(collector->kernel, STREAM_FILES, data, bytes);
}

static void put_contents(struct collector *collector, struct node node, uint64_t bytes)
{
	struct vfs *vfs = &collector->kernel->vfs;
	struct file *file = file_new(vfs, NULL, NULL, LX_O_RDONLY);
	uint64_t position = 0;
	char chunk[PAGE_BYTES];

	if (!file)
		host_panic("collect: no memory to read a file of the workspace");
	file->node = node;
	node_hold(node);
	if (node.ops->open(vfs, node, file))
		host_panic("collect: a file of the workspace cannot be opened");
	while (position < bytes) {
		int64_t got = file->ops->read(file, chunk, min_u64(sizeof(chunk), bytes - position),
					      &position);

		if (got <= 0)
			host_panic("collect: a file of the workspace cannot be read");
		put(collector, chunk, (uint64_t)got);
	}
	file_drop(file);
}

static void put_entry(struct collector *collector, struct node node)
{
	struct vfs *vfs = &collector->kernel->vfs;
	struct attributes attributes;
	struct file_record record;
	char target[VFS_PATH_MAX];
	uint32_t type;

	vfs_attributes(vfs, node, &attributes);
	type = attributes.mode & LX_S_IFMT;
	record = (struct file_record){
		.mode = attributes.mode,
		.name_bytes = (uint32_t)collector->len,
		.data_bytes = type == LX_S_IFDIR ? 0 : attributes.size,
		.mtime_ns = (int64_t)attributes.modified_ns,
	};
	put(collector, &record, sizeof(record));
	put(collector, collector->path, collector->len);
	if (type == LX_S_IFREG)
		put_contents(collector, node, attributes.size);
	if (type == LX_S_IFLNK && node.ops->target(vfs, node, target, sizeof(target)) > 0)
		put(collector, target, attributes.size);
}

static bool enter(struct collector *collector, const struct dir_entry *entry)
{
	if (collector->len + entry->name_len + 1 > sizeof(collector->path))
		return false;
	if (collector->len > 0)
		collector->path[collector->len++] = '/';
	memcpy(collector->path + collector->len, entry->name, entry->name_len);
	collector->len += entry->name_len;
	return true;
}

static void leave(struct collector *collector)
{
	while (collector->len > 0 && collector->path[--collector->len] != '/')
		;
}

/* The cookie with which the parent's listing goes on behind this directory. */
static uint64_t cookie_of(struct vfs *vfs, struct node parent, struct node child)
{
	struct dir_entry entry;
	struct node node;
	uint64_t cookie = 0;

	while (parent.ops->list(vfs, parent, cookie, &entry) > 0) {
		cookie = entry.cookie;
		if (!parent.ops->lookup(vfs, parent, entry.name, entry.name_len, &node) &&
		    node_same(node, child))
			break;
	}
	return cookie;
}

static void collect_from(struct collector *collector, struct node root)
{
	struct vfs *vfs = &collector->kernel->vfs;
	struct node dir = root;
	uint64_t cookie = 0;
	struct dir_entry entry;

	for (;;) {
		struct node node;

		if (dir.ops->list(vfs, dir, cookie, &entry) <= 0) {
			if (node_same(dir, root))
				return;
			node = dir;
			dir = dir.ops->parent(vfs, dir);
			cookie = cookie_of(vfs, dir, node);
			leave(collector);
			continue;
		}
		cookie = entry.cookie;
		if (dir.ops->lookup(vfs, dir, entry.name, entry.name_len, &node) ||
		    !enter(collector, &entry))
			continue;
		put_entry(collector, node);
		if (entry.type == LX_DT_DIR) {
			dir = node;
			cookie = 0;
		} else {
			leave(collector);
		}
	}
}

void collect_workspace(struct kernel *kernel)
{
	static struct collector collector;
	struct walk walk;

	collector = (struct collector){.kernel = kernel};
	if (path_walk(&kernel->vfs, kernel->vfs.root, WORKSPACE, 0, &walk))
		return; /* removed by the program: nothing to tell */
	collect_from(&collector, walk.node);
}
