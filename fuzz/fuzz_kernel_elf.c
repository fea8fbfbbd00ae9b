/*
 * The program loader over damaged ELF files, the interpreter being the same file: nothing outside
 * of the file is read and nothing outside of the mapped span is written.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "image_format.h"
#include "world.h"

/* An image whose root has one file, "elf". */
static uint8_t *image_of(const uint8_t *data, size_t size, uint64_t *bytes)
{
	struct image_header header = {
		.magic = IMAGE_MAGIC,
		.version = IMAGE_VERSION,
		.header_bytes = 4096,
		.node_count = 2,
		.entry_count = 1,
		.nodes_offset = 4096,
		.entries_offset = 4096 + 2 * sizeof(struct image_node),
	};
	const struct image_node nodes[2] = {
		{.mode = LX_S_IFDIR | 0755, .size = 1},
		{.mode = LX_S_IFREG | 0755, .size = size, .offset = 8192},
	};
	const struct image_entry entry = {.name_offset = 5000, .node = 1, .name_bytes = 3};
	uint8_t *image;

	header.total_bytes = 8192 + size;
	image = calloc(1, header.total_bytes);
	memcpy(image, &header, sizeof(header));
	memcpy(image + header.nodes_offset, nodes, sizeof(nodes));
	memcpy(image + header.entries_offset, &entry, sizeof(entry));
	memcpy(image + 5000, "elf", 3);
	memcpy(image + 8192, data, size);
	*bytes = header.total_bytes;
	return image;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *world = world_open();
	struct program program;
	uint64_t bytes;
	uint8_t *image = image_of(data, size, &bytes);

	world->kernel.vfs.mount_count = 0;
	if (image_mount(&world->kernel.vfs, image, bytes))
		abort();
	(void)elf_load(&world->kernel, "/elf", &program);
	world_close(world);
	free(image);
	return 0;
}
