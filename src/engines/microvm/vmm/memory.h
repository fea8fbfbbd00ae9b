/*
 * Guest memory as the VMM sees it: one reservation in which guest address x lies at ram + x, the
 * image beside it. The guest's addresses and lengths are checked here and nowhere else, and every
 * write of the VMM marks its pages for the reset.
 */
#ifndef PSB_VMM_MEMORY_H
#define PSB_VMM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pysandbox.h"

#define MEMORY_SLOTS 4u
/* What an ordinary execution touches lies below: its dirty bitmap is read after every one. */
#define MEMORY_HOT_END UINT64_C(0x08000000)

struct memory_slot {
	uint64_t start;
	uint64_t bytes;
	uint64_t *dirty; /* a bit per page, filled by KVM; NULL: not tracked */
	bool read_only;
};

/* A snapshot's memory in its file, and what a machine is to have. */
struct memory_source {
	int fd;
	uint64_t offset;   /* of GUEST_PROGRAM_BASE in the file */
	uint64_t file_end; /* guest addresses: below it the file's pages, above it zeroes */
	uint64_t end;
	uint64_t text_start; /* large pages that cannot be written; none if equal */
	uint64_t text_end;
	bool tracked; /* KVM logs which pages are written, so that it can be reset */
};

struct memory {
	uint8_t *ram; /* host address of guest address 0; [0, GUEST_PROGRAM_BASE) is inaccessible */
	uint64_t end;
	uint64_t text_start; /* not to be written; none if equal */
	uint64_t text_end;
	uint8_t *image;
	uint64_t image_bytes;
	bool tracked;
	struct memory_slot slots[MEMORY_SLOTS];
	uint32_t slot_count;
	uint64_t *written; /* a bit per page: written by the VMM since the last reset */
	uint64_t *hot;     /* a bit per page: never protected again, restored at every reset */
	uint64_t hot_pages;
	bool unshared;     /* snapshot and image are copies of our own, not mappings of files */
	uint64_t file_end; /* snapshot: below it the file's pages, above it zeroes */
};

/* Memory for a machine to boot in: [GUEST_PROGRAM_BASE, end) shared with `fd` from its start. */
int memory_open_boot(struct memory *memory, int fd, uint64_t end, struct psb_error *err);
/* Memory of a snapshot: private copies of the file's pages up to file_end, zeroes up to end. */
int memory_open_snapshot(struct memory *memory, const struct memory_source *source,
			 struct psb_error *err);
int memory_map_image(struct memory *memory, int fd, uint64_t bytes, struct psb_error *err);
/* Both of these for a worker that may share no page: anonymous memory with the files' contents. */
int memory_copy_snapshot(struct memory *memory, const struct memory_source *source,
			 struct psb_error *err);
int memory_copy_image(struct memory *memory, int fd, uint64_t bytes, struct psb_error *err);
/* A read-only copy of a file's part that shares no page with anybody; MAP_FAILED and err. */
uint8_t *memory_copy_file(int fd, uint64_t offset, uint64_t bytes, struct psb_error *err);
/* Makes private copies of pages that will be written soon, before KVM has looked at them. A hint. */
void memory_prefetch(const struct memory *memory, uint64_t start, uint64_t bytes);
void memory_close(struct memory *memory);

/* Copies from RAM or image. False: not all of it is there; nothing was copied. */
bool memory_read(const struct memory *memory, uint64_t address, void *to, uint64_t bytes);
/* RAM only, for writing to a descriptor while the vCPU stands still; NULL if not there. */
const uint8_t *memory_view(const struct memory *memory, uint64_t address, uint64_t bytes);
/* The one way to write: marks the pages and returns their place, or NULL if not all is RAM that may be
 * written. */
uint8_t *memory_claim(struct memory *memory, uint64_t address, uint64_t bytes);
bool memory_write(struct memory *memory, uint64_t address, const void *from, uint64_t bytes);

static inline bool bit_test(const uint64_t *bits, uint64_t index)
{
	return (bits[index / 64] >> (index % 64)) & 1;
}

static inline void bit_set(uint64_t *bits, uint64_t index)
{
	bits[index / 64] |= UINT64_C(1) << (index % 64);
}

#endif
