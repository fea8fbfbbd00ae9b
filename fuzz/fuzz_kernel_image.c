/*
 * The read-only file system over damaged images: every directory is listed, every file read, every
 * link followed, and nothing outside of the image is touched.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "world.h"

#define MAX_VISITS 200

struct visitor {
	struct vfs *vfs;
	int left;
};

static void read_file(struct vfs *vfs, struct node node)
{
	struct file *file = file_new(vfs, NULL, NULL, LX_O_RDONLY);
	uint64_t position = 0;
	char chunk[512];

	file->node = node;
	if (!node.ops->open(vfs, node, file))
		while (file_read(file, chunk, sizeof(chunk), &position) > 0 && position < 100000)
			;
	file_drop(file);
}

static void visit(struct visitor *visitor, struct node node, int depth)
{
	struct vfs *vfs = visitor->vfs;
	uint32_t type = node_mode(vfs, node) & LX_S_IFMT;
	struct dir_entry entry;
	uint64_t cookie = 0;
	char text[300];

	if (visitor->left-- <= 0 || depth > 8)
		return;
	if (type == LX_S_IFLNK)
		(void)node.ops->target(vfs, node, text, sizeof(text));
	else if (type != LX_S_IFDIR)
		read_file(vfs, node);
	while (type == LX_S_IFDIR && node.ops->list(vfs, node, cookie, &entry) > 0) {
		struct node child;

		if (entry.cookie <= cookie)
			abort();
		cookie = entry.cookie;
		if (entry.name_len < sizeof(text) &&
		    !node.ops->lookup(vfs, node, entry.name, entry.name_len, &child))
			visit(visitor, child, depth + 1);
		if (visitor->left <= 0)
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *world = world_open();
	struct visitor visitor = {&world->kernel.vfs, MAX_VISITS};
	struct walk walk;
	char text[VFS_PATH_MAX];

	world->kernel.vfs.mount_count = 0;
	if (!image_mount(&world->kernel.vfs, data, size)) {
		visit(&visitor, world->kernel.vfs.root, 0);
		if (!path_walk(&world->kernel.vfs, world->kernel.vfs.root, "/dir/../link/x/hello",
			       0, &walk))
			(void)path_of(&world->kernel.vfs, walk.dir, text, sizeof(text));
	}
	world_close(world);
	return 0;
}
