/*
 * The file-system image: one read-only file, mapped at GUEST_IMAGE_BASE and shared by all machines.
 * Written by src/engines/microvm/image, read by guest/kernel/vfs. All offsets count from the start
 * of the file; integers are little-endian.
 *
 *   struct image_header (one page)
 *   struct image_node[node_count]    node 0 is the root directory
 *   struct image_entry[entry_count]  of all directories; a directory's are contiguous and sorted by
 *                                    name (memcmp, then length), without "." and ".."
 *   names                            not NUL-terminated
 *   data                             every file begins on a page
 *   struct image_library[library_count]  shared libraries that have a place in the window of abi.h
 *   struct image_part[part_count]        that window's pages (image_libraries.h checks both)
 */
#ifndef PSB_KERNEL_IMAGE_FORMAT_H
#define PSB_KERNEL_IMAGE_FORMAT_H

#include <stdint.h>

#define IMAGE_MAGIC UINT64_C(0x31474d4956425350) /* "PSBVIMG1" */
#define IMAGE_VERSION 2u
#define IMAGE_MAX_NODES (1u << 20)
#define IMAGE_MAX_NAME_BYTES 255u

struct image_header {
	uint64_t magic;
	uint32_t version;
	uint32_t header_bytes; /* 4096 */
	uint64_t total_bytes;  /* of the file, a multiple of a page */
	uint32_t node_count;
	uint32_t entry_count;
	uint64_t nodes_offset;
	uint64_t entries_offset;
	uint64_t names_offset;
	uint64_t names_bytes;
	uint64_t data_offset;
	uint32_t library_count;
	uint32_t part_count;
	uint64_t libraries_offset;
	uint64_t parts_offset;
	uint64_t library_bytes;     /* of the window that are used */
	uint64_t library_ram_bytes; /* its writable pages */
};

struct image_node {
	uint32_t mode;   /* S_IFREG, S_IFDIR, S_IFLNK | permissions */
	uint32_t parent; /* node of the directory it is in; the root's is itself */
	uint64_t size;   /* bytes; for a directory: number of entries */
	uint64_t offset; /* file: data; link: target (no NUL, in names); directory: first entry's
			  * index in the entry table */
	int64_t mtime_s;
};

struct image_entry {
	uint64_t name_offset; /* in the file, within names */
	uint32_t node;
	uint16_t name_bytes;
	uint16_t type; /* DT_REG, DT_DIR, DT_LNK */
};

/* Sorted by node, and so by place. Places and sizes are multiples of a page. */
struct image_library {
	uint64_t start; /* in the window, a multiple of align */
	uint64_t bytes; /* the span of its segments */
	uint32_t node;
	uint32_t align; /* that its segments ask for; a page or more */
};

enum image_part_flag {
	IMAGE_PART_WRITE = 1, /* memory, not the image */
	IMAGE_PART_EXEC = 2,
};

/* The pages of a library's segment, sorted by place. What lies between two is not mapped. */
struct image_part {
	uint64_t start; /* in the window */
	uint64_t bytes;
	uint64_t source; /* in the image; IMAGE_PART_WRITE: in the window's memory */
	uint64_t flags;
};

#endif
