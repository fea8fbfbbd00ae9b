/*
 * Shared libraries in their window (../abi.h).
 *
 * Theory of operation: a loader's first mapping of a library, told apart by MAP_DENYWRITE and the
 * length of all segments together, gets the library's place. (One whose segments ask for more than a
 * page's alignment is looked for beforehand, with an empty mapping in which the loader would find an
 * aligned part: that gets the place.) What the loader then maps over its parts is there already where it is read-only; writable parts are memory, which is charged, filled
 * and zeroed like the pool's. One mapping at a time: whoever comes second gets a copy in the pool.
 * Since the page tables say what a page of the window can do, nothing else can be mapped there, and
 * no protection given that the page does not have.
 * Trust boundary: as mm.c. The table was checked when the image was mounted.
 */
#include "mm.h"

void mm_set_window(struct mm *mm, uint64_t start, uint64_t bytes, uint64_t memory)
{
	mm->window = (struct extent){start, start + bytes};
	mm->window_memory = memory;
}

bool mm_in_window(const struct mm *mm, uint64_t address)
{
	return address >= mm->window.start && address < mm->window.end;
}

/* The first part that ends after it. */
static uint32_t part_at(const struct mm *mm, uint64_t address)
{
	const struct image_libraries *table = &mm->vfs->image.libraries;
	uint64_t at = address - mm->window.start;
	uint32_t low = 0;
	uint32_t high = table->part_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (table->parts[middle].start + table->parts[middle].bytes <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct extent extent_of(const struct mm *mm, const struct image_part *part)
{
	uint64_t start = mm->window.start + part->start;

	return (struct extent){start, start + part->bytes};
}

static uint32_t prot_of(const struct image_part *part)
{
	return LX_PROT_READ | (part->flags & IMAGE_PART_WRITE ? (uint32_t)LX_PROT_WRITE : 0u) |
	       (part->flags & IMAGE_PART_EXEC ? (uint32_t)LX_PROT_EXEC : 0u);
}

uint32_t window_prot(const struct mm *mm, struct extent range)
{
	const struct image_libraries *table = &mm->vfs->image.libraries;
	uint32_t prot = LX_PROT_READ | LX_PROT_WRITE | LX_PROT_EXEC;

	for (uint32_t i = part_at(mm, range.start); range.start < range.end; i++) {
		struct extent part;

		if (i == table->part_count)
			return 0;
		part = extent_of(mm, &table->parts[i]);
		if (part.start > range.start)
			return 0;
		prot &= prot_of(&table->parts[i]);
		range.start = part.end;
	}
	return prot;
}

/* Bookkeeping only: the pages are there. */
static int add_area(struct mm *mm, struct extent range, uint32_t prot)
{
	return areas_insert(mm, (struct area){.start = range.start,
					      .end = range.end,
					      .prot = (uint8_t)prot,
					      .kind = AREA_LIBRARY});
}

/* All of it: parts can be what they can, what lies between them is nothing. */
static int add_library(struct mm *mm, struct extent range, uint32_t prot)
{
	const struct image_libraries *table = &mm->vfs->image.libraries;
	int error = 0;

	for (uint32_t i = part_at(mm, range.start); !error && range.start < range.end; i++) {
		struct extent part = {range.end, range.end};
		uint32_t can = 0;

		if (i < table->part_count && extent_of(mm, &table->parts[i]).start < range.end) {
			part = extent_of(mm, &table->parts[i]);
			can = prot_of(&table->parts[i]);
		}
		if (part.start > range.start)
			error = add_area(mm, (struct extent){range.start, part.start}, 0);
		if (!error && part.end > part.start)
			error = add_area(mm, part, prot & can);
		range.start = part.end;
	}
	return error;
}

static struct extent place_of(const struct mm *mm, const struct image_library *library)
{
	uint64_t start = mm->window.start + library->start;

	return (struct extent){start, start + library->bytes};
}

static bool fits(const struct mm *mm, const struct image_library *library, uint64_t bytes)
{
	uint64_t room = mm->window.end - mm->window.start;

	return library->start <= room && bytes <= room - library->start;
}

static int clear(struct mm *mm, struct extent range)
{
	int error = areas_make_room(mm);

	if (!error)
		error = areas_split(mm, range.start);
	if (!error)
		error = areas_split(mm, range.end);
	if (!error)
		areas_remove(mm, range.start, range.end, false);
	return error;
}

int64_t mm_reserve_library(struct mm *mm, const struct image_library *library, uint64_t bytes)
{
	struct extent range = place_of(mm, library);
	uint64_t wanted = library->align + max_u64(library->bytes, library->align);
	int error;

	range.end = range.start + wanted;
	if (library->align <= PAGE_BYTES || page_up(bytes) != wanted ||
	    !fits(mm, library, wanted) || !areas_free(mm, range.start, range.end))
		return -ENOMEM;
	error = add_area(mm, range, LX_PROT_NONE);
	return error ? error : (int64_t)range.start;
}

int64_t mm_map_library(struct mm *mm, const struct image_library *library, uint64_t at,
		       uint64_t bytes, uint32_t prot)
{
	struct extent range = place_of(mm, library);
	int error;

	if (!fits(mm, library, library->bytes) || page_up(bytes) != library->bytes ||
	    (prot & LX_PROT_WRITE) || (at != 0 && at != range.start) ||
	    (at == 0 && (library->align > PAGE_BYTES || !areas_free(mm, range.start, range.end))))
		return -ENOMEM;
	error = clear(mm, range);
	if (!error)
		error = add_library(mm, range, prot);
	if (error)
		areas_remove(mm, range.start, range.end, false);
	return error ? error : (int64_t)range.start;
}

int64_t mm_map_part(struct mm *mm, uint64_t start, uint64_t bytes, uint32_t prot, uint64_t data)
{
	struct extent range = {start, start + page_up(bytes)};
	const struct image_libraries *table = &mm->vfs->image.libraries;
	uint32_t index = part_at(mm, start);
	const struct image_part *part = &table->parts[index];
	int error;

	if (start % PAGE_BYTES != 0 || index == table->part_count ||
	    (part->flags & IMAGE_PART_WRITE) || (prot & ~prot_of(part)) ||
	    range.start < extent_of(mm, part).start || range.end > extent_of(mm, part).end ||
	    address_of(mm->vfs->image.bytes) + part->source + (start - extent_of(mm, part).start) !=
		    data)
		return -ENOMEM;
	error = clear(mm, range);
	if (!error)
		error = add_area(mm, range, prot);
	return error ? error : (int64_t)start;
}

uint64_t mm_memory_of(const struct mm *mm, uint64_t address, uint64_t *bytes)
{
	const struct image_libraries *table = &mm->vfs->image.libraries;
	uint32_t index;
	struct extent range;

	if (!mm_in_window(mm, address))
		return address;
	index = part_at(mm, address);
	if (index == table->part_count || !(table->parts[index].flags & IMAGE_PART_WRITE))
		return address;
	range = extent_of(mm, &table->parts[index]);
	if (address < range.start)
		return address;
	*bytes = min_u64(*bytes, range.end - address);
	return mm->window_memory + table->parts[index].source + (address - range.start);
}
