/*
 * The writable file system: inodes in the kernel's heap, contents in pages of their own.
 *
 * Theory of operation: a file's contents are one contiguous run of pages, so that a shared mapping
 * is just the run's address; while it is mapped (pinned) it may not move. What is charged against
 * the cap is the size in whole pages, so a sparse file costs what it claims. An inode lives as long
 * as it has a name, an open file or a mapping.
 * Trust boundary: as vfs.h. Sizes are the program's; they are compared with the caps before any
 * page is asked for.
 */
#include "tmpfs.h"

#include "file.h"

#define FIRST_CAPACITY PAGE_BYTES
#define GENEROUS_BYTES (UINT64_C(1) << 20)
#define MAX_FILE_BYTES (UINT64_C(1) << 40)

int tmpfs_full(struct vfs *vfs)
{
	vfs->disk_limit_hit = true;
	return -ENOSPC;
}

struct tmpfs_inode *tmpfs_new(struct vfs *vfs, uint32_t mode)
{
	struct tmpfs *tmpfs = &vfs->tmpfs;
	struct tmpfs_inode *inode;
	uint64_t now = vfs_now(vfs);

	if (tmpfs->used_files >= tmpfs->max_files) {
		(void)tmpfs_full(vfs);
		return NULL;
	}
	inode = heap_alloc(vfs->heap, sizeof(*inode));
	if (!inode)
		return NULL;
	tmpfs->used_files++;
	*inode = (struct tmpfs_inode){
		.number = ++tmpfs->next_inode,
		.mode = mode,
		.accessed_ns = now,
		.modified_ns = now,
		.changed_ns = now,
	};
	inode->parent = inode;
	return inode;
}

static bool is_link(const struct tmpfs_inode *inode)
{
	return (inode->mode & LX_S_IFMT) == LX_S_IFLNK;
}

void tmpfs_release(struct vfs *vfs, struct tmpfs_inode *inode)
{
	if (inode->links > 0 || inode->references > 0 || inode->pins > 0)
		return;
	if (is_link(inode))
		heap_free(vfs->heap, inode->contents, inode->size + 1);
	else if (inode->capacity > 0)
		(void)vfs->pages.resize(vfs->pages.context, inode->contents, inode->capacity, 0);
	if (!is_link(inode))
		vfs->tmpfs.used_bytes -= page_up(inode->size);
	heap_free(vfs->heap, inode->entries, inode->entry_capacity * sizeof(*inode->entries));
	vfs->tmpfs.used_files--;
	heap_free(vfs->heap, inode, sizeof(*inode));
}

void tmpfs_touch(struct vfs *vfs, struct tmpfs_inode *inode)
{
	inode->modified_ns = vfs_now(vfs);
	inode->changed_ns = inode->modified_ns;
}

int tmpfs_set_target(struct vfs *vfs, struct tmpfs_inode *inode, const char *target)
{
	uint64_t len = strlen(target);

	inode->contents = heap_alloc(vfs->heap, len + 1);
	if (!inode->contents)
		return -ENOMEM;
	memcpy(inode->contents, target, len + 1);
	inode->size = len;
	return 0;
}

/* Small files double, so that appending is cheap; large ones grow by an eighth. */
static uint64_t next_capacity(const struct tmpfs_inode *inode, uint64_t needed)
{
	uint64_t roomy = inode->capacity < GENEROUS_BYTES ? inode->capacity * 2
							  : inode->capacity + inode->capacity / 8;

	return page_up(max_u64(max_u64(needed, roomy), FIRST_CAPACITY));
}

static int reserve(struct vfs *vfs, struct tmpfs_inode *inode, uint64_t needed)
{
	uint64_t capacity;
	void *grown;

	if (needed <= inode->capacity)
		return 0;
	if (inode->pins > 0)
		return -EBUSY;
	capacity = next_capacity(inode, needed);
	grown = vfs->pages.resize(vfs->pages.context, inode->contents, inode->capacity, capacity);
	if (!grown && capacity > page_up(needed)) {
		capacity = page_up(needed);
		grown = vfs->pages.resize(vfs->pages.context, inode->contents, inode->capacity,
					  capacity);
	}
	if (!grown)
		return -ENOSPC;
	inode->contents = grown;
	inode->capacity = capacity;
	return 0;
}

static int set_size(struct vfs *vfs, struct tmpfs_inode *inode, uint64_t size)
{
	uint64_t old_charge = page_up(inode->size);
	uint64_t charge;
	int error;

	if (size > MAX_FILE_BYTES)
		return -EFBIG;
	charge = page_up(size);
	if (charge > old_charge) {
		if (charge - old_charge > vfs->tmpfs.max_bytes ||
		    vfs->tmpfs.used_bytes > vfs->tmpfs.max_bytes - (charge - old_charge))
			return tmpfs_full(vfs);
		error = reserve(vfs, inode, size);
		if (error)
			return error == -ENOSPC ? tmpfs_full(vfs) : error;
	}
	if (size < inode->size)
		memset(inode->contents + size, 0, inode->size - size);
	vfs->tmpfs.used_bytes += charge - old_charge;
	inode->size = size;
	return 0;
}

int tmpfs_truncate(struct vfs *vfs, struct node node, uint64_t size)
{
	struct tmpfs_inode *inode = tmpfs_of(node);
	int error = set_size(vfs, inode, size);

	if (!error)
		tmpfs_touch(vfs, inode);
	return error;
}

static int64_t tmpfs_read(struct file *file, void *buffer, uint64_t bytes, uint64_t *position)
{
	struct tmpfs_inode *inode = tmpfs_of(file->node);
	uint64_t len;

	if (*position >= inode->size)
		return 0;
	len = min_u64(bytes, inode->size - *position);
	memmove(buffer, inode->contents + *position, len);
	*position += len;
	return (int64_t)len;
}

static int64_t tmpfs_write(struct file *file, const void *buffer, uint64_t bytes,
			   uint64_t *position)
{
	struct tmpfs_inode *inode = tmpfs_of(file->node);
	uint64_t end;
	int error;

	if (bytes == 0)
		return 0;
	if (__builtin_add_overflow(*position, bytes, &end) || end > MAX_FILE_BYTES)
		return -EFBIG;
	if (end > inode->size) {
		error = set_size(file->vfs, inode, end);
		if (error)
			return error;
	}
	memmove(inode->contents + *position, buffer, bytes);
	*position = end;
	tmpfs_touch(file->vfs, inode);
	return (int64_t)bytes;
}

static const struct file_ops tmpfs_file_ops = {
	.read = tmpfs_read, .write = tmpfs_write, .seekable = true};

int tmpfs_open(struct vfs *vfs, struct node node, struct file *file)
{
	(void)vfs;
	(void)node;
	file->ops = &tmpfs_file_ops;
	return 0;
}

int tmpfs_nameless(struct vfs *vfs, uint32_t mode, struct node *made)
{
	struct tmpfs_inode *inode = tmpfs_new(vfs, LX_S_IFREG | (mode & 07777));

	if (!inode)
		return -ENOSPC;
	*made = tmpfs_node(inode);
	return 0;
}

/* Beyond the file's end a mapping may read zeroes up to the end of the page only. */
void *tmpfs_pin(struct vfs *vfs, struct node node, uint64_t offset, uint64_t len)
{
	struct tmpfs_inode *inode = tmpfs_of(node);
	uint64_t end;

	if (node.ops != &tmpfs_ops || (inode->mode & LX_S_IFMT) != LX_S_IFREG ||
	    __builtin_add_overflow(offset, len, &end) || end > page_up(inode->size) ||
	    reserve(vfs, inode, end))
		return NULL;
	inode->pins++;
	return inode->contents + offset;
}

void tmpfs_pin_more(struct node node, uint32_t pins)
{
	tmpfs_of(node)->pins += pins;
}

void tmpfs_unpin(struct vfs *vfs, struct node node)
{
	struct tmpfs_inode *inode = tmpfs_of(node);

	inode->pins--;
	tmpfs_release(vfs, inode);
}

static void tmpfs_attributes(struct vfs *vfs, struct node node, struct attributes *out)
{
	const struct tmpfs_inode *inode = tmpfs_of(node);
	bool directory = (inode->mode & LX_S_IFMT) == LX_S_IFDIR;

	(void)vfs;
	*out = (struct attributes){
		.device = TMPFS_DEVICE,
		.inode = inode->number,
		.links = directory ? inode->subdirs + 2 : inode->links,
		.mode = inode->mode,
		.size = directory ? inode->entry_count * 20 : inode->size,
		.accessed_ns = inode->accessed_ns,
		.modified_ns = inode->modified_ns,
		.changed_ns = inode->changed_ns,
	};
}

static int64_t tmpfs_target(struct vfs *vfs, struct node node, char *buffer, uint64_t bytes)
{
	const struct tmpfs_inode *inode = tmpfs_of(node);
	uint64_t len = min_u64(inode->size, bytes);

	(void)vfs;
	memcpy(buffer, inode->contents, len);
	return (int64_t)len;
}

static struct node tmpfs_parent(struct vfs *vfs, struct node node)
{
	(void)vfs;
	return tmpfs_node(tmpfs_of(node)->parent);
}

static int tmpfs_set_mode(struct vfs *vfs, struct node node, uint32_t mode)
{
	struct tmpfs_inode *inode = tmpfs_of(node);

	inode->mode = (inode->mode & LX_S_IFMT) | (mode & 07777);
	inode->changed_ns = vfs_now(vfs);
	return 0;
}

static int tmpfs_set_times(struct vfs *vfs, struct node node, uint64_t accessed_ns,
			   uint64_t modified_ns)
{
	struct tmpfs_inode *inode = tmpfs_of(node);

	if (accessed_ns != UINT64_MAX)
		inode->accessed_ns = accessed_ns;
	if (modified_ns != UINT64_MAX)
		inode->modified_ns = modified_ns;
	inode->changed_ns = vfs_now(vfs);
	return 0;
}

static void tmpfs_hold(struct node node)
{
	tmpfs_of(node)->references++;
}

static void tmpfs_drop(struct vfs *vfs, struct node node)
{
	tmpfs_of(node)->references--;
	tmpfs_release(vfs, tmpfs_of(node));
}

const struct fs_ops tmpfs_ops = {
	.lookup = tmpfs_lookup,
	.parent = tmpfs_parent,
	.list = tmpfs_list,
	.attributes = tmpfs_attributes,
	.target = tmpfs_target,
	.open = tmpfs_open,
	.create = tmpfs_create,
	.link = tmpfs_link,
	.unlink = tmpfs_unlink,
	.rename = tmpfs_rename,
	.truncate = tmpfs_truncate,
	.set_mode = tmpfs_set_mode,
	.set_times = tmpfs_set_times,
	.hold = tmpfs_hold,
	.drop = tmpfs_drop,
};
