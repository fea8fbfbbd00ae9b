/*
 * The read-only file system over damaged images: every directory is listed, every file read, every
 * link followed, every library mapped, and nothing outside of the image or the window is touched.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

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

/* Its table's places, without the page tables behind them: all of it is memory. */
static uint64_t window_address(void)
{
	static void *window;

	if (!window)
		window = mmap(NULL, GUEST_LIBRARY_MAX_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return address_of(window);
}

static volatile int seen;

static void use_part(struct world *world, const struct image_part *part)
{
	struct mm *mm = &world->kernel.mm;
	uint64_t start = mm->window.start + part->start;
	const struct extent range = {start, start + part->bytes};
	const uint8_t *pages = world->kernel.vfs.image.bytes + part->source;
	bool write = part->flags & IMAGE_PART_WRITE;

	if (((window_prot(mm, range) & LX_PROT_WRITE) != 0) != write)
		abort();
	if (write) {
		if (mm_map(mm, start, part->bytes, LX_PROT_READ, LX_MAP_FIXED) < 0)
			abort();
		return;
	}
	if (mm_map_part(mm, start, part->bytes, LX_PROT_READ, address_of(pages)) < 0)
		abort();
	seen = pages[0] + pages[part->bytes - 1];
}

static void map_libraries(struct world *world)
{
	const struct image_libraries *table = &world->kernel.vfs.image.libraries;
	struct mm *mm = &world->kernel.mm;

	mm->limit = UINT64_MAX;
	mm_set_window(mm, window_address(), table->bytes, 0);
	for (uint32_t i = 0; i < table->library_count; i++) {
		const struct image_library *library = &table->libraries[i];
		uint64_t start = mm->window.start + library->start;
		const struct image_node *node = &world->kernel.vfs.image.nodes[library->node];
		const struct node named = {&image_ops, pointer_of(address_of(node))};

		if (image_library_of(&world->kernel.vfs, named) != library ||
		    mm_map_library(mm, library, start, library->bytes, LX_PROT_READ) < 0)
			abort();
	}
	for (uint32_t i = 0; i < table->part_count; i++)
		use_part(world, &table->parts[i]);
	for (uint32_t i = 0; i < table->library_count; i++)
		if (mm_unmap(mm, mm->window.start + table->libraries[i].start,
			     table->libraries[i].bytes))
			abort();
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
		map_libraries(world);
		if (!path_walk(&world->kernel.vfs, world->kernel.vfs.root, "/dir/../link/x/hello",
			       0, &walk))
			(void)path_of(&world->kernel.vfs, walk.dir, text, sizeof(text));
	}
	world_close(world);
	return 0;
}
