/*
 * The read-only file system inside an image, as it lies in the file and, mapped, in the guest.
 * Little endian; every offset counts from the first byte of the super block. The builder writes
 * it, the guest kernel reads it in place. Node 0 is the root. The entries of one directory are
 * consecutive and sorted by the bytes of their names; "." and ".." are not stored.
 */
#ifndef PSB_KERNEL_ROMFS_FORMAT_H
#define PSB_KERNEL_ROMFS_FORMAT_H

#include <stdint.h>

#define ROMFS_MAGIC "PSBROFS1"
#define ROMFS_MAGIC_BYTES 8u
#define ROMFS_NAME_MAX 255u

struct romfs_super {
	char magic[ROMFS_MAGIC_BYTES];
	uint32_t node_count;
	uint32_t entry_count;
	uint64_t nodes_at;
	uint64_t entries_at;
	uint64_t names_at;
	uint64_t names_len;
	uint64_t total_len;
};

struct romfs_node {
	uint32_t mode; /* type and permissions as in st_mode */
	uint32_t link_count;
	uint64_t size;    /* bytes of a file or of a link's target */
	uint64_t data_at; /* a file's is page aligned */
	uint64_t mtime_ns;
	uint64_t map_at; /* where this object is laid out for mapping, 0: nowhere */
	uint32_t parent; /* of a directory; the root's is the root */
	uint32_t entry_first;
	uint32_t entry_count;
	uint32_t reserved[3];
};

struct romfs_entry {
	uint32_t node;
	uint32_t name_at; /* from names_at */
	uint16_t name_len;
	uint8_t type; /* DT_… */
	uint8_t zero;
	uint32_t reserved;
};

_Static_assert(sizeof(struct romfs_super) == 56, "layout of the file");
_Static_assert(sizeof(struct romfs_node) == 64, "layout of the file");
_Static_assert(sizeof(struct romfs_entry) == 16, "layout of the file");

#endif
