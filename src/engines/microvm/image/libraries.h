/* Gives the shared libraries of an image their places in the guest's library window
 * (guest/kernel/abi.h). */
#ifndef PSB_IMAGE_LIBRARIES_H
#define PSB_IMAGE_LIBRARIES_H

#include <stddef.h>
#include <stdint.h>

#include "../../../../guest/kernel/image_format.h"
#include "pysandbox.h"

/* What becomes the image's table. All zeroes is an empty one. */
struct libraries {
	struct image_library *libraries;
	struct image_part *parts;
	uint32_t library_count;
	uint32_t library_room;
	uint32_t part_count;
	uint32_t part_room;
	uint64_t bytes;
	uint64_t ram_bytes;
};

/* Looks at one file of the image, at `offset` (a page's) in it. One that is no shared library, that
 * the window cannot show as a loader would map it, or that has no room, gets no place. Files come
 * in the order of their nodes. */
int libraries_add(struct libraries *libraries, uint32_t node, const uint8_t *file, uint64_t bytes,
		  uint64_t offset, struct psb_error *err);
void libraries_close(struct libraries *libraries);

#endif
