/*
 * Open files: references, positions, directory listings.
 *
 * Trust boundary: as vfs.h; offsets and whence are the program's and are checked here.
 */
#include "file.h"

#define ANONYMOUS_DEVICE 9u

struct file *file_new(struct vfs *vfs, const struct file_ops *ops, void *object, uint32_t flags)
{
	struct file *file = heap_alloc(vfs->heap, sizeof(*file));

	if (!file)
		return NULL;
	file->ops = ops;
	file->vfs = vfs;
	file->references = 1;
	file->flags = flags & ~(uint32_t)(LX_O_CLOEXEC | LX_O_CREAT | LX_O_EXCL | LX_O_TRUNC);
	file->object = object;
	file->serial = ++vfs->next_serial;
	return file;
}

void file_hold(struct file *file)
{
	file->references++;
}

void file_drop(struct file *file)
{
	struct vfs *vfs;

	if (!file)
		return;
	vfs = file->vfs;
	if (--file->references > 0) {
		if (file->references == file->watchers && vfs->host.unwatched)
			vfs->host.unwatched(vfs->host.context, file);
		return;
	}
	if (file->ops && file->ops->release)
		file->ops->release(file);
	node_drop(vfs, file->node);
	heap_free(vfs->heap, file, sizeof(*file));
}

static bool readable(const struct file *file)
{
	return (file->flags & LX_O_ACCMODE) != LX_O_WRONLY && !(file->flags & LX_O_PATH);
}

static bool writable(const struct file *file)
{
	return (file->flags & LX_O_ACCMODE) != LX_O_RDONLY && !(file->flags & LX_O_PATH);
}

int64_t file_read(struct file *file, void *buffer, uint64_t bytes, uint64_t *position)
{
	if (!readable(file))
		return -EBADF;
	if (file->node.ops && node_is_dir(file->vfs, file->node))
		return -EISDIR;
	if (!file->ops || !file->ops->read)
		return -EINVAL;
	return file->ops->read(file, buffer, bytes, position);
}

int64_t file_write(struct file *file, const void *buffer, uint64_t bytes, uint64_t *position)
{
	struct attributes attributes;

	if (!writable(file))
		return -EBADF;
	if (!file->ops || !file->ops->write)
		return -EINVAL;
	if (file->ops->seekable && (file->flags & LX_O_APPEND)) {
		file_attributes(file, &attributes);
		*position = attributes.size;
	}
	return file->ops->write(file, buffer, bytes, position);
}

uint32_t file_poll(struct file *file)
{
	if (file->flags & LX_O_PATH)
		return LX_POLLNVAL;
	if (!file->ops || !file->ops->poll)
		return LX_POLLIN | LX_POLLOUT | LX_POLLRDNORM | LX_POLLWRNORM;
	return file->ops->poll(file);
}

static bool seek_base(struct file *file, uint32_t whence, uint64_t *base)
{
	struct attributes attributes;

	file_attributes(file, &attributes);
	switch (whence) {
	case LX_SEEK_SET:
	case LX_SEEK_DATA: *base = 0; return true;
	case LX_SEEK_CUR: *base = file->position; return true;
	case LX_SEEK_END: *base = attributes.size; return true;
	default: return false;
	}
}

/* SEEK_DATA and SEEK_HOLE see a file without holes, as Linux allows. */
static int64_t seek_data(struct file *file, int64_t offset, uint32_t whence)
{
	struct attributes attributes;

	file_attributes(file, &attributes);
	if (offset < 0 || (uint64_t)offset >= attributes.size)
		return -ENXIO;
	file->position = whence == LX_SEEK_DATA ? (uint64_t)offset : attributes.size;
	return (int64_t)file->position;
}

int64_t file_seek(struct file *file, int64_t offset, uint32_t whence)
{
	uint64_t base;
	int64_t position;

	if (file->flags & LX_O_PATH)
		return -EBADF;
	if (file->node.ops && node_is_dir(file->vfs, file->node)) {
		if (whence != LX_SEEK_SET || offset < 0)
			return whence == LX_SEEK_CUR && offset == 0 ? (int64_t)file->position
								    : -EINVAL;
		file->position = (uint64_t)offset;
		return offset;
	}
	if (!file->ops || !file->ops->seekable)
		return -ESPIPE;
	if (whence == LX_SEEK_DATA || whence == LX_SEEK_HOLE)
		return seek_data(file, offset, whence);
	if (!seek_base(file, whence, &base))
		return -EINVAL;
	if (__builtin_add_overflow((int64_t)base, offset, &position))
		return -EOVERFLOW;
	if (position < 0)
		return -EINVAL;
	file->position = (uint64_t)position;
	return position;
}

void file_attributes(struct file *file, struct attributes *out)
{
	if (file->node.ops) {
		vfs_attributes(file->vfs, file->node, out);
		return;
	}
	*out = (struct attributes){
		.device = ANONYMOUS_DEVICE,
		.inode = file->serial,
		.links = 1,
		.mode = file->ops->kind_mode,
	};
}

/* The entry at the file's position; "." and ".." are positions 0 and 1. */
static int next_entry(struct file *file, struct dir_entry *entry)
{
	struct vfs *vfs = file->vfs;
	struct attributes attributes;
	int more;

	if (file->position < 2) {
		struct node node = file->position == 0 ? file->node : path_parent(vfs, file->node);

		vfs_attributes(vfs, node, &attributes);
		*entry = (struct dir_entry){
			.name = "..",
			.name_len = file->position + 1,
			.inode = attributes.inode,
			.type = LX_DT_DIR,
			.cookie = file->position + 1,
		};
		return 1;
	}
	more = file->node.ops->list(vfs, file->node, file->position - 2, entry);
	if (more > 0)
		entry->cookie += 2;
	return more;
}

static uint64_t put_entry(const struct dir_entry *entry, uint8_t *buffer, uint64_t room)
{
	uint64_t bytes = (LX_DIRENT_HEAD + entry->name_len + 1 + 7) & ~UINT64_C(7);
	struct lx_dirent head = {
		.d_ino = entry->inode,
		.d_off = (int64_t)entry->cookie,
		.d_reclen = (uint16_t)bytes,
		.d_type = entry->type,
	};

	if (bytes > room)
		return 0;
	memset(buffer, 0, bytes);
	memcpy(buffer, &head, LX_DIRENT_HEAD);
	memcpy(buffer + LX_DIRENT_HEAD, entry->name, entry->name_len);
	return bytes;
}

int64_t file_list(struct file *file, void *buffer, uint64_t bytes)
{
	struct dir_entry entry;
	uint64_t used = 0;
	int more;

	if (!readable(file))
		return -EBADF;
	if (!file->node.ops || !node_is_dir(file->vfs, file->node))
		return -ENOTDIR;
	while ((more = next_entry(file, &entry)) > 0) {
		uint64_t put = put_entry(&entry, (uint8_t *)buffer + used, bytes - used);

		if (put == 0)
			return used > 0 ? (int64_t)used : -EINVAL;
		used += put;
		file->position = entry.cookie;
	}
	return more < 0 && used == 0 ? more : (int64_t)used;
}
