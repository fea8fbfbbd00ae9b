/*
 * A small image: the mount points, /hello, /dir/inner, /tmp/venv/program, /link -> hello, and two
 * libraries with places in the window (world.h). A page of theirs holds one letter.
 */
#include <stdlib.h>
#include <string.h>

#include "image_format.h"
#include "vfs/uapi.h"
#include "world.h"

#define TABLE_AT 4096u
#define ENTRIES_AT (TABLE_AT + 2048u)
#define NAMES_AT (TABLE_AT + 3072u)
#define LIBRARIES_AT (TABLE_AT + 3456u)
#define PARTS_AT (TABLE_AT + 3584u)
#define DATA_AT 8192u
#define IMAGE_BYTES (11 * 4096u)

struct item {
	const char *name;
	uint32_t mode;
	uint32_t parent;
	const char *contents;
	uint32_t pages; /* in place of contents: of a, b, c, ... */
};

/* By directory, and in each sorted by name. */
static const struct item items[] = {
	{"", LX_S_IFDIR | 0755, 0, NULL, 0},
	{"dev", LX_S_IFDIR | 0755, 0, NULL, 0},
	{"dir", LX_S_IFDIR | 0755, 0, NULL, 0},
	{"hello", LX_S_IFREG | 0644, 0, "hello, world\n", 0},
	{"lib.so", LX_S_IFREG | 0644, 0, NULL, 4},
	{"link", LX_S_IFLNK | 0777, 0, "hello", 0},
	{"proc", LX_S_IFDIR | 0755, 0, NULL, 0},
	{"sandbox", LX_S_IFDIR | 0755, 0, NULL, 0},
	{"tmp", LX_S_IFDIR | 0755, 0, NULL, 0},
	{"wide.so", LX_S_IFREG | 0644, 0, NULL, 2},
	{"inner", LX_S_IFREG | 0755, 2, "inside", 0},
	{"venv", LX_S_IFDIR | 0755, 8, NULL, 0},
	{"program", LX_S_IFREG | 0755, 11, "in /tmp", 0},
};

#define ITEMS (sizeof(items) / sizeof(items[0]))

static uint8_t type_of(uint32_t mode)
{
	return (uint8_t)((mode & LX_S_IFMT) >> 12);
}

static void put_node(uint8_t *image, uint32_t index, uint64_t *data_at, uint64_t *names_at)
{
	struct image_node *node = (void *)(image + TABLE_AT);
	const struct item *item = &items[index];
	uint64_t len = item->contents ? strlen(item->contents) : item->pages * UINT64_C(4096);

	node += index;
	*node = (struct image_node){.mode = item->mode, .parent = item->parent, .size = len};
	node->mtime_s = 1600000000;
	if ((item->mode & LX_S_IFMT) == LX_S_IFREG) {
		node->offset = *data_at;
		for (uint32_t i = 0; i < item->pages; i++)
			memset(image + *data_at + i * 4096u, 'a' + (int)i, 4096);
		if (item->contents)
			memcpy(image + *data_at, item->contents, len);
		*data_at += item->pages > 0 ? len : 4096;
	} else if ((item->mode & LX_S_IFMT) == LX_S_IFLNK) {
		node->offset = *names_at;
		memcpy(image + *names_at, item->contents, len);
		*names_at += len;
	}
}

static void put_entry(uint8_t *image, uint32_t index, uint64_t *names_at)
{
	struct image_entry *entry = (void *)(image + ENTRIES_AT);
	struct image_node *nodes = (void *)(image + TABLE_AT);
	struct image_node *parent = &nodes[items[index].parent];

	/* Entry 0 belongs to item 1. */
	if (parent->size == 0)
		parent->offset = index - 1;
	parent->size++;
	entry += index - 1;
	entry->node = index;
	entry->name_offset = *names_at;
	entry->name_bytes = (uint16_t)strlen(items[index].name);
	entry->type = type_of(items[index].mode);
	memcpy(image + *names_at, items[index].name, entry->name_bytes);
	*names_at += entry->name_bytes;
}

#define PART(start, pages, source, flags)                                                          \
	{                                                                                          \
		(start) * UINT64_C(4096), (pages)*UINT64_C(4096), (source), (flags)                \
	}

/* See world.h. */
static void put_libraries(uint8_t *image, struct image_header *header)
{
	const struct image_node *nodes = (void *)(image + TABLE_AT);
	uint64_t lib = nodes[TEST_LIB].offset;
	uint64_t wide = nodes[TEST_WIDE].offset;
	const struct image_library libraries[] = {
		{.start = 0, .bytes = 5 * 4096, .node = TEST_LIB, .align = 4096},
		{.start = 8 * 4096, .bytes = 2 * 4096, .node = TEST_WIDE, .align = 16384}};
	const struct image_part parts[] = {
		PART(0, 1, lib, 0), PART(1, 1, lib + 4096, IMAGE_PART_EXEC),
		PART(3, 2, 0, IMAGE_PART_WRITE), PART(8, 1, wide, IMAGE_PART_EXEC),
		PART(9, 1, 2 * UINT64_C(4096), IMAGE_PART_WRITE)};

	memcpy(image + LIBRARIES_AT, libraries, sizeof(libraries));
	memcpy(image + PARTS_AT, parts, sizeof(parts));
	header->libraries_offset = LIBRARIES_AT;
	header->parts_offset = PARTS_AT;
	header->library_count = sizeof(libraries) / sizeof(libraries[0]);
	header->part_count = sizeof(parts) / sizeof(parts[0]);
	header->library_bytes = TEST_WINDOW_PAGES * UINT64_C(4096);
	header->library_ram_bytes = TEST_MEMORY_PAGES * UINT64_C(4096);
}

uint8_t *test_image(uint64_t *bytes)
{
	uint8_t *image = aligned_alloc(4096, IMAGE_BYTES);
	struct image_header *header = (void *)image;
	uint64_t data_at = DATA_AT;
	uint64_t names_at = NAMES_AT;

	memset(image, 0, IMAGE_BYTES);
	for (uint32_t i = 0; i < ITEMS; i++)
		put_node(image, i, &data_at, &names_at);
	for (uint32_t i = 1; i < ITEMS; i++)
		put_entry(image, i, &names_at);
	*header = (struct image_header){
		.magic = IMAGE_MAGIC,
		.version = IMAGE_VERSION,
		.header_bytes = 4096,
		.total_bytes = IMAGE_BYTES,
		.node_count = ITEMS,
		.entry_count = ITEMS - 1,
		.nodes_offset = TABLE_AT,
		.entries_offset = ENTRIES_AT,
		.names_offset = NAMES_AT,
		.names_bytes = names_at - NAMES_AT,
		.data_offset = DATA_AT,
	};
	put_libraries(image, header);
	*bytes = IMAGE_BYTES;
	return image;
}
