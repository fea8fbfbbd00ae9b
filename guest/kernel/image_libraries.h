/*
 * Whether an image's table of libraries (image_format.h) is good. Shared by the guest kernel, which
 * maps by it, and by the VMM, which writes page tables by it.
 *
 * Trust boundary: the image is our own, checked against damage: after this every library and every
 * part lies in the window, every part's pages in the image or in the window's memory, in order.
 */
#ifndef PSB_KERNEL_IMAGE_LIBRARIES_H
#define PSB_KERNEL_IMAGE_LIBRARIES_H

#include <stdbool.h>

#include "abi.h"
#include "image_format.h"

struct image_libraries {
	const struct image_library *libraries;
	const struct image_part *parts;
	uint32_t library_count;
	uint32_t part_count;
	uint64_t bytes;
	uint64_t ram_bytes;
};

static inline bool image_range_fits(uint64_t start, uint64_t bytes, uint64_t room)
{
	return start % GUEST_PAGE_BYTES == 0 && bytes % GUEST_PAGE_BYTES == 0 && bytes > 0 &&
	       start <= room && bytes <= room - start;
}

static inline bool image_array_fits(uint64_t at, uint64_t count, uint64_t each, uint64_t len)
{
	return at % 8 == 0 && at <= len && count <= (len - at) / each;
}

static inline bool image_part_is_good(const struct image_libraries *table,
				      const struct image_part *part, uint64_t image_bytes)
{
	uint64_t room = part->flags & IMAGE_PART_WRITE ? table->ram_bytes : image_bytes;

	return image_range_fits(part->start, part->bytes, table->bytes) &&
	       image_range_fits(part->source, part->bytes, room) &&
	       part->flags <= (IMAGE_PART_WRITE | IMAGE_PART_EXEC);
}

/* The parts from *next on lie in it, and *next then is behind them. */
static inline bool image_library_is_good(const struct image_libraries *table,
					 const struct image_library *library, uint32_t *next,
					 uint64_t image_bytes)
{
	uint64_t at = library->start;
	uint64_t end;

	if (!image_range_fits(library->start, library->bytes, table->bytes) ||
	    library->align < GUEST_PAGE_BYTES || (library->align & (library->align - 1)) != 0 ||
	    library->start % library->align != 0)
		return false;
	end = library->start + library->bytes;
	for (; *next < table->part_count && table->parts[*next].start < end; (*next)++) {
		const struct image_part *part = &table->parts[*next];

		if (!image_part_is_good(table, part, image_bytes) || part->start < at ||
		    part->bytes > end - part->start)
			return false;
		at = part->start + part->bytes;
	}
	return true;
}

/* `image_bytes` are there and begin with a header. False: damaged. */
static inline bool image_libraries_read(const uint8_t *image, uint64_t image_bytes,
					struct image_libraries *out)
{
	const struct image_header *header = (const void *)image;
	struct image_libraries table = {.library_count = header->library_count,
					.part_count = header->part_count,
					.bytes = header->library_bytes,
					.ram_bytes = header->library_ram_bytes};
	uint64_t end = 0;
	uint32_t next = 0;

	if (!image_array_fits(header->libraries_offset, table.library_count,
			      sizeof(*table.libraries), image_bytes) ||
	    !image_array_fits(header->parts_offset, table.part_count, sizeof(*table.parts),
			      image_bytes) ||
	    table.bytes > GUEST_LIBRARY_MAX_BYTES || table.ram_bytes > GUEST_LIBRARY_RAM_MAX_BYTES)
		return false;
	table.libraries = (const void *)(image + header->libraries_offset);
	table.parts = (const void *)(image + header->parts_offset);
	for (uint32_t i = 0; i < table.library_count; i++) {
		const struct image_library *library = &table.libraries[i];

		if ((i > 0 && library->node <= library[-1].node) || library->start < end ||
		    library->node >= header->node_count ||
		    !image_library_is_good(&table, library, &next, image_bytes))
			return false;
		end = library->start + library->bytes;
	}
	if (next != table.part_count)
		return false;
	*out = table;
	return true;
}

#endif
