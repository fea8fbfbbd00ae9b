/*
 * The sorted list of areas, the gaps between them, and the free ranges that are not zero.
 *
 * Theory of operation: memory is zero when the machine starts, and a range that is given back is
 * remembered as stale instead of being zeroed at once: it is zeroed when it is handed out again, so
 * memory that was reserved but never touched stays untouched. Gaps are taken first fit from the
 * bottom, which keeps a machine in few pages.
 * Trust boundary: addresses were checked against the space's ends and aligned by mm.c.
 */
#include "mm.h"

#define FIRST_AREAS 128u
#define STACK_CHARGE (UINT64_C(256) << 10)

uint64_t areas_find(const struct mm *mm, uint64_t address)
{
	uint64_t low = 0;
	uint64_t high = mm->count;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (mm->areas[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int areas_make_room(struct mm *mm)
{
	uint64_t capacity = mm->capacity > 0 ? mm->capacity * 2 : FIRST_AREAS;
	void *grown;

	if (mm->count + 3 <= mm->capacity)
		return 0;
	grown = heap_resize(mm->heap, mm->areas, mm->capacity * sizeof(*mm->areas),
			    capacity * sizeof(*mm->areas));
	if (!grown)
		return -ENOMEM;
	mm->areas = grown;
	mm->capacity = capacity;
	return 0;
}

static void insert_at(struct mm *mm, uint64_t index, struct area area)
{
	memmove(&mm->areas[index + 1], &mm->areas[index], (mm->count - index) * sizeof(*mm->areas));
	mm->areas[index] = area;
	mm->count++;
}

static void remove_at(struct mm *mm, uint64_t index, uint64_t number)
{
	mm->count -= number;
	memmove(&mm->areas[index], &mm->areas[index + number],
		(mm->count - index) * sizeof(*mm->areas));
}

static bool alike(const struct area *a, const struct area *b)
{
	return a->end == b->start && a->prot == b->prot && a->kind == b->kind &&
	       a->flags == b->flags && a->kind == AREA_PRIVATE && !(a->flags & AREA_STACK);
}

void areas_join(struct mm *mm, uint64_t index)
{
	if (index == 0 || index >= mm->count || !alike(&mm->areas[index - 1], &mm->areas[index]))
		return;
	mm->areas[index - 1].end = mm->areas[index].end;
	remove_at(mm, index, 1);
}

/* What an area takes of the memory limit. A thread's stack is rarely touched below its top. */
uint64_t area_charge(const struct area *area)
{
	uint64_t bytes = area->end - area->start;

	if (area->kind != AREA_PRIVATE || area->prot == LX_PROT_NONE)
		return 0;
	return area->flags & AREA_STACK ? min_u64(bytes, STACK_CHARGE) : bytes;
}

int areas_split(struct mm *mm, uint64_t address)
{
	uint64_t index = areas_find(mm, address);
	struct area upper;

	if (index == mm->count || mm->areas[index].start >= address)
		return 0;
	if (areas_make_room(mm))
		return -ENOMEM;
	mm->charged -= area_charge(&mm->areas[index]);
	upper = mm->areas[index];
	upper.start = address;
	mm->areas[index].end = address;
	insert_at(mm, index + 1, upper);
	mm->charged += area_charge(&mm->areas[index]) + area_charge(&upper);
	if (upper.kind == AREA_SHARED)
		tmpfs_pin_more(upper.backing, upper.maps);
	return 0;
}

int areas_insert(struct mm *mm, struct area area)
{
	uint64_t index = areas_find(mm, area.start);

	if (areas_make_room(mm))
		return -ENOMEM;
	insert_at(mm, index, area);
	mm->charged += area_charge(&area);
	mm_note_peak(mm);
	areas_join(mm, index + 1);
	areas_join(mm, index);
	return 0;
}

bool areas_free(const struct mm *mm, uint64_t start, uint64_t end)
{
	uint64_t index = areas_find(mm, start);

	return index == mm->count || mm->areas[index].start >= end;
}

static uint64_t gap_from(const struct mm *mm, uint64_t from, uint64_t to, uint64_t bytes)
{
	uint64_t start = from;

	for (uint64_t i = areas_find(mm, from); i < mm->count && mm->areas[i].start < to; i++) {
		if (mm->areas[i].start > start && mm->areas[i].start - start >= bytes)
			return start;
		start = max_u64(start, mm->areas[i].end);
	}
	return start < to && to - start >= bytes ? start : 0;
}

uint64_t areas_gap(const struct mm *mm, uint64_t bytes)
{
	uint64_t at = gap_from(mm, mm->map_base, mm->high, bytes);
	uint64_t above_brk = page_up(mm->brk_end);

	if (at == 0 && above_brk < mm->map_base)
		at = gap_from(mm, above_brk, mm->map_base, bytes);
	return at;
}

/* -- stale ranges: sorted, apart from each other -- */

static uint64_t stale_find(const struct mm *mm, uint64_t address)
{
	uint64_t index = 0;

	while (index < mm->stale_count && mm->stale[index].end <= address)
		index++;
	return index;
}

static void stale_delete(struct mm *mm, uint64_t index)
{
	mm->stale_count--;
	memmove(&mm->stale[index], &mm->stale[index + 1],
		(mm->stale_count - index) * sizeof(*mm->stale));
}

static void stale_insert(struct mm *mm, uint64_t index, struct extent extent)
{
	memmove(&mm->stale[index + 1], &mm->stale[index],
		(mm->stale_count - index) * sizeof(*mm->stale));
	mm->stale[index] = extent;
	mm->stale_count++;
}

static void zero(struct extent extent)
{
	memset(pointer_of(extent.start), 0, extent.end - extent.start);
}

static void stale_add(struct mm *mm, struct extent extent)
{
	uint64_t index = stale_find(mm, extent.start);

	if (index > 0 && mm->stale[index - 1].end == extent.start) {
		mm->stale[--index].end = extent.end;
	} else if (mm->stale_count == MM_MAX_STALE) {
		zero(extent);
		return;
	} else {
		stale_insert(mm, index, extent);
	}
	if (index + 1 < mm->stale_count && mm->stale[index + 1].start == mm->stale[index].end) {
		mm->stale[index].end = mm->stale[index + 1].end;
		stale_delete(mm, index + 1);
	}
}

void stale_clear(struct mm *mm, uint64_t start, uint64_t end)
{
	uint64_t index = stale_find(mm, start);

	while (index < mm->stale_count && mm->stale[index].start < end) {
		struct extent *stale = &mm->stale[index];
		struct extent above = {end, stale->end};

		zero((struct extent){max_u64(stale->start, start), min_u64(stale->end, end)});
		if (stale->start < start) {
			stale->end = start;
			index++;
		} else {
			stale_delete(mm, index);
		}
		if (above.start < above.end)
			stale_add(mm, above);
	}
}

void mm_clean(struct mm *mm)
{
	for (uint64_t i = 0; i < mm->stale_count; i++)
		zero(mm->stale[i]);
	mm->stale_count = 0;
}

/* The contents go on existing for their file. Unpinning may free them, and change the list. */
static void unmap_shared(struct mm *mm, struct area *area)
{
	struct node backing = area->backing;

	if (--area->maps == 0) {
		area->kind = AREA_KERNEL;
		area->prot = LX_PROT_NONE;
	}
	tmpfs_unpin(mm->vfs, backing);
}

void areas_remove(struct mm *mm, uint64_t start, uint64_t end, bool kernel)
{
	uint64_t index = areas_find(mm, start);

	while (index < mm->count && mm->areas[index].start < end) {
		struct area area = mm->areas[index];

		if (area.kind == AREA_SHARED) {
			unmap_shared(mm, &mm->areas[index]);
		} else if (area.kind == AREA_LIBRARY) {
			remove_at(mm, index, 1);
		} else if (area.kind == AREA_PRIVATE || (area.kind == AREA_KERNEL && kernel)) {
			mm->charged -= area_charge(&area);
			remove_at(mm, index, 1);
			if (area.flags & AREA_TOUCHED)
				stale_add(mm, (struct extent){area.start, area.end});
		}
		index = areas_find(mm, area.end);
	}
}
