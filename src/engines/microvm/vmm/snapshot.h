/*
 * The snapshot: a machine that has booted, imported and warmed up and waits for its first request.
 * One file: this header, padded to SNAPSHOT_MEMORY_OFFSET, then guest memory from
 * GUEST_PROGRAM_BASE to memory_end (sparse). The file-system image is another file beside it.
 */
#ifndef PSB_VMM_SNAPSHOT_H
#define PSB_VMM_SNAPSHOT_H

#include "machine.h"

#define SNAPSHOT_MAGIC UINT64_C(0x31534d5642535021)
#define SNAPSHOT_VERSION 4u
/* File offsets and guest addresses differ by large pages, so that the page cache can hold a part of
 * memory as one and KVM can map it as one. */
#define SNAPSHOT_MEMORY_OFFSET UINT64_C(0x200000)
#define SNAPSHOT_MAX_HOT 512u

struct snapshot_range {
	uint32_t first; /* guest address / page */
	uint32_t pages;
};

struct snapshot_header {
	uint64_t magic;
	uint32_t version;
	uint32_t state_bytes; /* sizeof(struct machine_state) */
	uint8_t key[32];      /* what it was made from, see image_key.h */
	uint64_t image_bytes;
	uint64_t memory_end; /* guest address */
	uint64_t text_start; /* large pages of the program that cannot be written; may be none */
	uint64_t text_end;
	uint64_t read_buffer; /* where the guest wants the request's first bytes */
	uint64_t read_bytes;
	uint64_t tsc_khz;
	uint8_t memory_sha256[32];
	uint8_t image_sha256[32];
	char image_name[64];
	char python[512];
	char preload[1024];
	/* What every execution writes, as a rehearsal after the boot has shown. */
	uint32_t hot_count;
	struct snapshot_range hot[SNAPSHOT_MAX_HOT];
	struct machine_features features;
	struct machine_state state;
};

_Static_assert(sizeof(struct snapshot_header) <= SNAPSHOT_MEMORY_OFFSET, "snapshot header");

struct snapshot {
	int snapshot_fd;
	int image_fd;
	struct snapshot_header header;
};

/* Checks owner, mode, sizes and every field before it is used. */
int snapshot_load(struct snapshot *snapshot, int snapshot_fd, int image_fd, struct psb_error *err);

#endif
