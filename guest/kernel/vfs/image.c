/*
 * The read-only file system of the image, read in place (../image_format.h).
 *
 * Trust boundary: the image was built and hashed on the host, and lies in pages that nobody can
 * write. Its header and tables are still checked against its length, once at mount and for every
 * node that is used, so that a damaged file ends in EIO and not in a wild pointer.
 */
#include "../image_format.h"
#include "file.h"
#include "vfs.h"

#define IMAGE_DEVICE 1u

static bool table_fits(uint64_t at, uint64_t count, uint64_t each, uint64_t len)
{
	return at <= len && count <= (len - at) / each && at % 8 == 0;
}

static const struct image_node *node_at(struct vfs *vfs, uint32_t index)
{
	return index < vfs->image.node_count ? &vfs->image.nodes[index] : NULL;
}

static struct node as_node(const struct image_node *node)
{
	return (struct node){&image_ops, pointer_of(address_of(node))};
}

static const struct image_node *of_node(struct node node)
{
	return node.data;
}

static bool in_image(struct vfs *vfs, uint64_t offset, uint64_t bytes)
{
	return offset <= vfs->image.len && bytes <= vfs->image.len - offset;
}

int image_mount(struct vfs *vfs, const void *bytes, uint64_t len)
{
	const struct image_header *header = bytes;
	struct image_view *view = &vfs->image;

	if (len < sizeof(*header) || header->magic != IMAGE_MAGIC ||
	    header->version != IMAGE_VERSION || header->total_bytes > len)
		return -EINVAL;
	if (header->node_count == 0 ||
	    !table_fits(header->nodes_offset, header->node_count, sizeof(*view->nodes), len) ||
	    !table_fits(header->entries_offset, header->entry_count, sizeof(*view->entries), len))
		return -EINVAL;
	if (!image_libraries_read(bytes, header->total_bytes, &view->libraries))
		return -EINVAL;
	view->bytes = bytes;
	view->len = header->total_bytes;
	view->nodes = (const void *)(view->bytes + header->nodes_offset);
	view->entries = (const void *)(view->bytes + header->entries_offset);
	view->node_count = header->node_count;
	view->entry_count = header->entry_count;
	if ((view->nodes[0].mode & LX_S_IFMT) != LX_S_IFDIR)
		return -EINVAL;
	vfs->root = as_node(&view->nodes[0]);
	vfs->cwd = vfs->root;
	return 0;
}

/* The entry of a directory, or NULL where the image is damaged. */
static const struct image_entry *entry_at(struct vfs *vfs, const struct image_node *dir,
					  uint64_t index)
{
	const struct image_entry *entry;

	if (index >= dir->size || dir->offset > vfs->image.entry_count ||
	    index >= vfs->image.entry_count - dir->offset)
		return NULL;
	entry = &vfs->image.entries[dir->offset + index];
	if (entry->node >= vfs->image.node_count ||
	    !in_image(vfs, entry->name_offset, entry->name_bytes))
		return NULL;
	return entry;
}

static int compare(const char *a, uint64_t a_len, const uint8_t *b, uint64_t b_len)
{
	int order = memcmp(a, b, min_u64(a_len, b_len));

	if (order != 0)
		return order;
	return a_len < b_len ? -1 : a_len > b_len;
}

static int image_lookup(struct vfs *vfs, struct node dir, const char *name, uint64_t len,
			struct node *found)
{
	const struct image_node *node = of_node(dir);
	uint64_t low = 0;
	uint64_t high = node->size;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		const struct image_entry *entry = entry_at(vfs, node, middle);
		int order;

		if (!entry)
			return -EIO;
		order = compare(name, len, vfs->image.bytes + entry->name_offset,
				entry->name_bytes);
		if (order == 0) {
			*found = as_node(node_at(vfs, entry->node));
			return 0;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return -ENOENT;
}

static struct node image_parent(struct vfs *vfs, struct node node)
{
	const struct image_node *parent = node_at(vfs, of_node(node)->parent);

	return parent ? as_node(parent) : vfs->root;
}

static int image_list(struct vfs *vfs, struct node dir, uint64_t cookie, struct dir_entry *out)
{
	const struct image_node *node = of_node(dir);
	const struct image_entry *entry;

	if (cookie >= node->size)
		return 0;
	entry = entry_at(vfs, node, cookie);
	if (!entry)
		return -EIO;
	*out = (struct dir_entry){
		.name = (const char *)(vfs->image.bytes + entry->name_offset),
		.name_len = entry->name_bytes,
		.inode = (uint64_t)entry->node + 1,
		.type = (uint8_t)entry->type,
		.cookie = cookie + 1,
	};
	return 1;
}

static void image_attributes(struct vfs *vfs, struct node node, struct attributes *out)
{
	const struct image_node *self = of_node(node);
	uint64_t time_ns = self->mtime_s > 0 ? (uint64_t)self->mtime_s * NS_PER_SEC : 0;

	*out = (struct attributes){
		.device = IMAGE_DEVICE,
		.inode = (uint64_t)(self - vfs->image.nodes) + 1,
		.links = 1,
		.mode = self->mode,
		.size = self->size,
		.accessed_ns = time_ns,
		.modified_ns = time_ns,
		.changed_ns = time_ns,
	};
}

static int64_t image_target(struct vfs *vfs, struct node node, char *buffer, uint64_t bytes)
{
	const struct image_node *self = of_node(node);
	uint64_t len = min_u64(self->size, bytes);

	if (!in_image(vfs, self->offset, self->size))
		return -EIO;
	memcpy(buffer, vfs->image.bytes + self->offset, len);
	return (int64_t)len;
}

const void *image_data(struct vfs *vfs, struct node node)
{
	const struct image_node *self = of_node(node);

	if (node.ops != &image_ops || (self->mode & LX_S_IFMT) != LX_S_IFREG ||
	    !in_image(vfs, self->offset, self->size))
		return NULL;
	return vfs->image.bytes + self->offset;
}

const struct image_library *image_library_of(struct vfs *vfs, struct node node)
{
	const struct image_libraries *table = &vfs->image.libraries;
	uint32_t low = 0;
	uint32_t high = table->library_count;
	uint64_t index;

	if (node.ops != &image_ops)
		return NULL;
	index = (uint64_t)(of_node(node) - vfs->image.nodes);
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (table->libraries[middle].node < index)
			low = middle + 1;
		else
			high = middle;
	}
	return low < table->library_count && table->libraries[low].node == index
		       ? &table->libraries[low]
		       : NULL;
}

static int64_t image_read(struct file *file, void *buffer, uint64_t bytes, uint64_t *position)
{
	const struct image_node *self = of_node(file->node);
	const uint8_t *data = image_data(file->vfs, file->node);
	uint64_t len;

	if (!data)
		return -EIO;
	if (*position >= self->size)
		return 0;
	len = min_u64(bytes, self->size - *position);
	memcpy(buffer, data + *position, len);
	*position += len;
	return (int64_t)len;
}

static const struct file_ops image_file_ops = {.read = image_read, .seekable = true};

static int image_open(struct vfs *vfs, struct node node, struct file *file)
{
	if (!image_data(vfs, node))
		return -EIO;
	file->ops = &image_file_ops;
	return 0;
}

const struct fs_ops image_ops = {
	.lookup = image_lookup,
	.parent = image_parent,
	.list = image_list,
	.attributes = image_attributes,
	.target = image_target,
	.open = image_open,
};
