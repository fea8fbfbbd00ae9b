/*
 * A small image: the mount points, /hello, /dir/inner, /tmp/venv/program and /link -> hello.
 */
#include <stdlib.h>
#include <string.h>

#include "image_format.h"
#include "vfs/uapi.h"
#include "world.h"

#define TABLE_AT 4096u
#define ENTRIES_AT (TABLE_AT + 2048u)
#define NAMES_AT (TABLE_AT + 3072u)
#define DATA_AT 8192u
#define IMAGE_BYTES (6 * 4096u)

struct item {
	const char *name;
	uint32_t mode;
	uint32_t parent;
	const char *contents;
};

/* By directory, and in each sorted by name. */
static const struct item items[] = {
	{"", LX_S_IFDIR | 0755, 0, NULL},
	{"dev", LX_S_IFDIR | 0755, 0, NULL},
	{"dir", LX_S_IFDIR | 0755, 0, NULL},
	{"hello", LX_S_IFREG | 0644, 0, "hello, world\n"},
	{"link", LX_S_IFLNK | 0777, 0, "hello"},
	{"proc", LX_S_IFDIR | 0755, 0, NULL},
	{"sandbox", LX_S_IFDIR | 0755, 0, NULL},
	{"tmp", LX_S_IFDIR | 0755, 0, NULL},
	{"inner", LX_S_IFREG | 0755, 2, "inside"},
	{"venv", LX_S_IFDIR | 0755, 7, NULL},
	{"program", LX_S_IFREG | 0755, 9, "in /tmp"},
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
	uint64_t len = item->contents ? strlen(item->contents) : 0;

	node += index;
	*node = (struct image_node){.mode = item->mode, .parent = item->parent, .size = len};
	node->mtime_s = 1600000000;
	if ((item->mode & LX_S_IFMT) == LX_S_IFREG) {
		node->offset = *data_at;
		memcpy(image + *data_at, item->contents, len);
		*data_at += 4096;
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
	*bytes = IMAGE_BYTES;
	return image;
}
