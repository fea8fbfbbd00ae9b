/*
 * /dev and /proc: a fixed table of nodes. Devices compute their bytes; files of /proc are written
 * by the machine (vfs_host.describe) when they are opened, as what they tell changes.
 *
 * Trust boundary: as vfs.h. Nothing in here tells anything about the host.
 */
#include "file.h"
#include "vfs.h"

#define SYNTH_DEVICE 3u
#define MAX_TEXT_BYTES (UINT64_C(256) << 10)
#define DIR_MODE (LX_S_IFDIR | 0555)
#define TEXT_MODE (LX_S_IFREG | 0444)
#define DEVICE_MODE (LX_S_IFCHR | 0666)
#define LINK_MODE (LX_S_IFLNK | 0777)
#define MEM_DEVICE(minor) (0x100u + (minor))

enum { NODE_DEV, NODE_PROC, NODE_SELF, NODE_SYS, NODE_KERNEL };

struct synth_node {
	const char *name;
	uint32_t parent;
	uint32_t mode;
	const struct file_ops *device; /* NULL: a text of /proc */
	uint64_t represented;
	const char *target;
};

struct text {
	char *bytes; /* room for MAX_TEXT_BYTES while written, cut afterwards */
	uint64_t len;
};

static int64_t read_nothing(struct file *file, void *buffer, uint64_t bytes, uint64_t *position)
{
	(void)file, (void)buffer, (void)bytes, (void)position;
	return 0;
}

static int64_t write_nothing(struct file *file, const void *buffer, uint64_t bytes,
			     uint64_t *position)
{
	(void)file, (void)buffer, (void)position;
	return (int64_t)bytes;
}

static int64_t write_full(struct file *file, const void *buffer, uint64_t bytes, uint64_t *position)
{
	(void)file, (void)buffer, (void)bytes, (void)position;
	return -ENOSPC;
}

static int64_t read_zeroes(struct file *file, void *buffer, uint64_t bytes, uint64_t *position)
{
	(void)file, (void)position;
	memset(buffer, 0, bytes);
	return (int64_t)bytes;
}

static int64_t read_random(struct file *file, void *buffer, uint64_t bytes, uint64_t *position)
{
	(void)position;
	file->vfs->host.random(file->vfs->host.context, buffer, bytes);
	return (int64_t)bytes;
}

static int64_t read_text(struct file *file, void *buffer, uint64_t bytes, uint64_t *position)
{
	const struct text *text = file->object;
	uint64_t len;

	if (*position >= text->len)
		return 0;
	len = min_u64(bytes, text->len - *position);
	memcpy(buffer, text->bytes + *position, len);
	*position += len;
	return (int64_t)len;
}

static void release_text(struct file *file)
{
	struct text *text = file->object;

	if (!text)
		return;
	heap_free(file->vfs->heap, text->bytes, text->len);
	heap_free(file->vfs->heap, text, sizeof(*text));
}

static const struct file_ops null_ops = {
	.read = read_nothing, .write = write_nothing, .seekable = true};
static const struct file_ops zero_ops = {
	.read = read_zeroes, .write = write_nothing, .seekable = true};
static const struct file_ops full_ops = {
	.read = read_zeroes, .write = write_full, .seekable = true};
static const struct file_ops random_ops = {
	.read = read_random, .write = write_nothing, .seekable = true};
static const struct file_ops text_ops = {
	.read = read_text, .release = release_text, .seekable = true};

static const struct synth_node nodes[] = {
	[NODE_DEV] = {"dev", NODE_DEV, DIR_MODE, NULL, 0, NULL},
	[NODE_PROC] = {"proc", NODE_PROC, DIR_MODE, NULL, 0, NULL},
	[NODE_SELF] = {"self", NODE_PROC, DIR_MODE, NULL, 0, NULL},
	[NODE_SYS] = {"sys", NODE_PROC, DIR_MODE, NULL, 0, NULL},
	[NODE_KERNEL] = {"kernel", NODE_SYS, DIR_MODE, NULL, 0, NULL},
	{"null", NODE_DEV, DEVICE_MODE, &null_ops, MEM_DEVICE(3), NULL},
	{"zero", NODE_DEV, DEVICE_MODE, &zero_ops, MEM_DEVICE(5), NULL},
	{"full", NODE_DEV, DEVICE_MODE, &full_ops, MEM_DEVICE(7), NULL},
	{"random", NODE_DEV, DEVICE_MODE, &random_ops, MEM_DEVICE(8), NULL},
	{"urandom", NODE_DEV, DEVICE_MODE, &random_ops, MEM_DEVICE(9), NULL},
	{"shm", NODE_DEV, DIR_MODE, NULL, 0, NULL},
	{"cpuinfo", NODE_PROC, TEXT_MODE, NULL, 0, NULL},
	{"meminfo", NODE_PROC, TEXT_MODE, NULL, 0, NULL},
	{"stat", NODE_PROC, TEXT_MODE, NULL, 0, NULL},
	{"uptime", NODE_PROC, TEXT_MODE, NULL, 0, NULL},
	{"loadavg", NODE_PROC, TEXT_MODE, NULL, 0, NULL},
	{"version", NODE_PROC, TEXT_MODE, NULL, 0, NULL},
	{"filesystems", NODE_PROC, TEXT_MODE, NULL, 0, NULL},
	{"mounts", NODE_PROC, LINK_MODE, NULL, 0, "self/mounts"},
	{"maps", NODE_SELF, TEXT_MODE, NULL, 0, NULL},
	{"status", NODE_SELF, TEXT_MODE, NULL, 0, NULL},
	{"stat", NODE_SELF, TEXT_MODE, NULL, 0, NULL},
	{"statm", NODE_SELF, TEXT_MODE, NULL, 0, NULL},
	{"cmdline", NODE_SELF, TEXT_MODE, NULL, 0, NULL},
	{"comm", NODE_SELF, TEXT_MODE, NULL, 0, NULL},
	{"mounts", NODE_SELF, TEXT_MODE, NULL, 0, NULL},
	{"mountinfo", NODE_SELF, TEXT_MODE, NULL, 0, NULL},
	{"cgroup", NODE_SELF, TEXT_MODE, NULL, 0, NULL},
	{"exe", NODE_SELF, LINK_MODE, NULL, 0, ""},
	{"osrelease", NODE_KERNEL, TEXT_MODE, NULL, 0, NULL},
};

#define NODE_COUNT (sizeof(nodes) / sizeof(nodes[0]))

static const struct synth_node *of_node(struct node node)
{
	return node.data;
}

static struct node as_node(const struct synth_node *node)
{
	return (struct node){&synth_ops, pointer_of(address_of(node))};
}

static bool is_child(const struct synth_node *node, struct node dir)
{
	return &nodes[node->parent] == of_node(dir) && node != of_node(dir);
}

static int synth_lookup(struct vfs *vfs, struct node dir, const char *name, uint64_t len,
			struct node *found)
{
	(void)vfs;
	for (uint64_t i = 0; i < NODE_COUNT; i++) {
		if (is_child(&nodes[i], dir) && strlen(nodes[i].name) == len &&
		    memcmp(nodes[i].name, name, len) == 0) {
			*found = as_node(&nodes[i]);
			return 0;
		}
	}
	return -ENOENT;
}

static struct node synth_parent(struct vfs *vfs, struct node node)
{
	(void)vfs;
	return as_node(&nodes[of_node(node)->parent]);
}

static int synth_list(struct vfs *vfs, struct node dir, uint64_t cookie, struct dir_entry *entry)
{
	(void)vfs;
	for (uint64_t i = cookie; i < NODE_COUNT; i++) {
		if (!is_child(&nodes[i], dir))
			continue;
		*entry = (struct dir_entry){
			.name = nodes[i].name,
			.name_len = strlen(nodes[i].name),
			.inode = i + 1,
			.type = (uint8_t)((nodes[i].mode & LX_S_IFMT) >> 12),
			.cookie = i + 1,
		};
		return 1;
	}
	return 0;
}

static void synth_attributes(struct vfs *vfs, struct node node, struct attributes *out)
{
	const struct synth_node *self = of_node(node);

	(void)vfs;
	*out = (struct attributes){
		.device = SYNTH_DEVICE,
		.inode = (uint64_t)(self - nodes) + 1,
		.links = 1,
		.mode = self->mode,
		.represented = self->represented,
	};
}

static int64_t synth_target(struct vfs *vfs, struct node node, char *buffer, uint64_t bytes)
{
	const struct synth_node *self = of_node(node);
	uint64_t len;

	if (!self->target)
		return -EINVAL;
	if (!self->target[0]) /* the machine knows */
		return (int64_t)vfs->host.describe(vfs->host.context, self->name, buffer, bytes);
	len = min_u64(strlen(self->target), bytes);
	memcpy(buffer, self->target, len);
	return (int64_t)len;
}

/* "self/maps" for a file below /proc/self, else just its name. */
static const char *description_name(const struct synth_node *self)
{
	static const char *const own_stat = "self/stat";

	if (self->parent == NODE_SELF && strlen(self->name) == 4 &&
	    memcmp(self->name, "stat", 4) == 0)
		return own_stat;
	return self->name;
}

static int open_text(struct vfs *vfs, const struct synth_node *self, struct file *file)
{
	struct text *text = heap_alloc(vfs->heap, sizeof(*text));
	char *scratch = vfs->pages.resize(vfs->pages.context, NULL, 0, MAX_TEXT_BYTES);

	if (text && scratch) {
		text->len = vfs->host.describe(vfs->host.context, description_name(self), scratch,
					       MAX_TEXT_BYTES);
		text->bytes = heap_alloc(vfs->heap, text->len);
		if (text->bytes)
			memcpy(text->bytes, scratch, text->len);
		else
			text->len = 0;
	}
	if (scratch)
		(void)vfs->pages.resize(vfs->pages.context, scratch, MAX_TEXT_BYTES, 0);
	if (!text || !scratch) {
		heap_free(vfs->heap, text, sizeof(*text));
		return -ENOMEM;
	}
	file->ops = &text_ops;
	file->object = text;
	return 0;
}

static int synth_open(struct vfs *vfs, struct node node, struct file *file)
{
	const struct synth_node *self = of_node(node);

	if (!self->device)
		return (file->flags & LX_O_ACCMODE) == LX_O_RDONLY ? open_text(vfs, self, file)
								   : -EACCES;
	file->ops = self->device;
	return 0;
}

static int mount_at(struct vfs *vfs, const char *path, const struct synth_node *root)
{
	struct walk walk;
	int error = path_walk(vfs, vfs->root, path, 0, &walk);

	if (error)
		return error;
	if (vfs->mount_count == VFS_MAX_MOUNTS)
		return -ENOSPC;
	vfs->mounts[vfs->mount_count++] = (struct mount){walk.node, as_node(root)};
	return 0;
}

int synth_mount(struct vfs *vfs)
{
	int error = mount_at(vfs, "/dev", &nodes[NODE_DEV]);

	return error ? error : mount_at(vfs, "/proc", &nodes[NODE_PROC]);
}

const struct fs_ops synth_ops = {
	.lookup = synth_lookup,
	.parent = synth_parent,
	.list = synth_list,
	.attributes = synth_attributes,
	.target = synth_target,
	.open = synth_open,
};
