/*
 * mmap and its family, brk, and pages for the kernel itself.
 *
 * Theory of operation: see mm_areas.c for the bookkeeping. A mapping is charged by its size while
 * it is accessible; when the limit would be passed the answer is ENOMEM, which Python turns into
 * MemoryError. What is really enforced is the machine's size and the worker's cgroup.
 * Trust boundary: all addresses and lengths are the program's. Each entry checks alignment, sums
 * without overflow and stays within [low, high), or in the library window (mm_window.c).
 */
#include "mm.h"

#define USER_PROT (LX_PROT_READ | LX_PROT_WRITE | LX_PROT_EXEC)

int mm_init(struct mm *mm, struct heap *heap, struct vfs *vfs, uint64_t low, uint64_t high)
{
	memset(mm, 0, sizeof(*mm));
	mm->heap = heap;
	mm->vfs = vfs;
	mm->low = page_up(low);
	mm->high = page_down(high);
	mm->map_base = mm->low;
	mm->brk_start = mm->low;
	mm->brk_end = mm->low;
	mm->limit = UINT64_MAX;
	return areas_make_room(mm);
}

int mm_reserve(struct mm *mm, uint64_t start, uint64_t end)
{
	return areas_insert(mm, (struct area){.start = start, .end = end, .kind = AREA_RESERVED});
}

void mm_begin(struct mm *mm, uint64_t *shown_peak)
{
	mm->base = mm->charged;
	mm->peak = mm->charged;
	mm->limit_hit = false;
	mm->shown_peak = shown_peak;
	*shown_peak = 0;
}

void mm_note_peak(struct mm *mm)
{
	if (mm->charged <= mm->peak)
		return;
	mm->peak = mm->charged;
	if (mm->shown_peak)
		*mm->shown_peak = mm->peak - mm->base;
}

int mm_set_end(struct mm *mm, uint64_t high)
{
	uint64_t index;

	high = page_down(high);
	index = areas_find(mm, high);
	if (index < mm->count && !mm_in_window(mm, mm->areas[index].start))
		return -EINVAL;
	mm->high = high;
	return 0;
}

void mm_set_layout(struct mm *mm, uint64_t brk_start, uint64_t map_base)
{
	mm->brk_start = page_up(brk_start);
	mm->brk_end = mm->brk_start;
	mm->map_base = page_up(map_base);
}

/* [start, end) from a start and a length, both the program's. */
static int range_of(const struct mm *mm, uint64_t start, uint64_t bytes, struct extent *range)
{
	struct extent space =
		mm_in_window(mm, start) ? mm->window : (struct extent){mm->low, mm->high};

	if (start % PAGE_BYTES != 0 || bytes == 0 || bytes > mm->high)
		return -EINVAL;
	if (start < space.start || start > space.end || page_up(bytes) > space.end - start)
		return -ENOMEM;
	*range = (struct extent){start, start + page_up(bytes)};
	return 0;
}

static int over_limit(struct mm *mm, uint64_t more)
{
	if (more <= mm->limit && mm->charged <= mm->limit - more)
		return 0;
	mm->limit_hit = true;
	return -ENOMEM;
}

static int split_at_ends(struct mm *mm, struct extent range)
{
	int error = areas_split(mm, range.start);

	return error ? error : areas_split(mm, range.end);
}

static int place_fixed(struct mm *mm, struct extent range, bool replace)
{
	int error;

	if (areas_free(mm, range.start, range.end))
		return 0;
	if (!replace)
		return -EEXIST;
	error = split_at_ends(mm, range);
	if (error)
		return error;
	areas_remove(mm, range.start, range.end, false);
	return areas_free(mm, range.start, range.end) ? 0 : -ENOMEM;
}

static bool in_text(const struct mm *mm, struct extent range)
{
	return range.start < mm->text.end && range.end > mm->text.start;
}

/* Only what the pages can do: in the window memory is memory, code is code; text is no memory. */
static int check_pages(const struct mm *mm, struct extent range, uint32_t prot)
{
	uint32_t can;

	if (in_text(mm, range))
		return -ENOMEM;
	if (!mm_in_window(mm, range.start))
		return 0;
	can = window_prot(mm, range);
	if (!(can & LX_PROT_WRITE))
		return -ENOMEM;
	return prot & USER_PROT & ~can ? -EACCES : 0;
}

static int place(struct mm *mm, uint64_t hint, uint64_t bytes, uint32_t prot, uint32_t flags,
		 struct extent *range)
{
	int error;

	if (flags & (LX_MAP_FIXED | LX_MAP_FIXED_NOREPLACE)) {
		error = range_of(mm, hint, bytes, range);
		if (!error)
			error = check_pages(mm, *range, prot);
		return error ? error : place_fixed(mm, *range, !(flags & LX_MAP_FIXED_NOREPLACE));
	}
	if (bytes == 0)
		return -EINVAL;
	if (bytes > mm->high)
		return -ENOMEM;
	if (hint >= mm->map_base && !mm_in_window(mm, hint) &&
	    !range_of(mm, page_down(hint), bytes, range) &&
	    areas_free(mm, range->start, range->end))
		return 0;
	range->start = areas_gap(mm, page_up(bytes));
	range->end = range->start + page_up(bytes);
	return range->start ? 0 : -ENOMEM;
}

int64_t mm_map(struct mm *mm, uint64_t hint, uint64_t bytes, uint32_t prot, uint32_t flags)
{
	struct area area = {.prot = (uint8_t)(prot & USER_PROT), .kind = AREA_PRIVATE};
	struct extent range;
	int error;

	area.flags = (uint8_t)((flags & LX_MAP_STACK ? AREA_STACK : 0u) |
			       (area.prot ? AREA_TOUCHED : 0u));
	area.end = bytes <= mm->high ? page_up(bytes) : 0; /* for the charge only */
	error = over_limit(mm, area_charge(&area));
	if (!error)
		error = areas_make_room(mm);
	if (!error)
		error = place(mm, hint, bytes, prot, flags, &range);
	if (error)
		return error;
	area.start = range.start;
	area.end = range.end;
	stale_clear(mm, area.start, area.end);
	error = areas_insert(mm, area);
	return error ? error : (int64_t)area.start;
}

int64_t mm_map_shared(struct mm *mm, uint64_t start, uint64_t bytes, uint32_t prot,
		      struct node backing)
{
	struct extent range = {start, start + page_up(bytes)};
	int error = split_at_ends(mm, range);

	if (error)
		return error;
	for (uint64_t i = areas_find(mm, start); i < mm->count && mm->areas[i].start < range.end;
	     i++) {
		struct area *area = &mm->areas[i];

		/* The caller has pinned once; each part of the mapping counts for itself. */
		if (area->start != start)
			tmpfs_pin_more(backing, 1);
		area->kind = AREA_SHARED;
		area->prot |= (uint8_t)(prot & USER_PROT);
		area->backing = backing;
		area->maps++;
	}
	return (int64_t)start;
}

int mm_unmap(struct mm *mm, uint64_t start, uint64_t bytes)
{
	struct extent range;
	int error;

	if (start % PAGE_BYTES != 0 || bytes == 0)
		return -EINVAL;
	if (range_of(mm, start, bytes, &range))
		return -EINVAL;
	error = split_at_ends(mm, range);
	if (!error)
		areas_remove(mm, range.start, range.end, false);
	return error;
}

bool mm_is_mapped(const struct mm *mm, uint64_t start, uint64_t bytes)
{
	uint64_t end = start + page_up(bytes);

	for (uint64_t i = areas_find(mm, start); start < end; i++) {
		if (i == mm->count || mm->areas[i].start > start ||
		    mm->areas[i].kind == AREA_KERNEL || mm->areas[i].kind == AREA_RESERVED)
			return false;
		start = mm->areas[i].end;
	}
	return true;
}

/* What the range will be charged more when all of it gets this protection. */
static uint64_t extra_charge(const struct mm *mm, struct extent range)
{
	uint64_t extra = 0;

	for (uint64_t i = areas_find(mm, range.start);
	     i < mm->count && mm->areas[i].start < range.end; i++) {
		struct area area = mm->areas[i];
		uint64_t before = area_charge(&area);

		area.start = max_u64(area.start, range.start);
		area.end = min_u64(area.end, range.end);
		area.prot = LX_PROT_READ;
		extra += before > 0 ? 0 : area_charge(&area);
	}
	return extra;
}

/* The page tables stay as they are: code cannot be made writable, nor data code. */
static bool pages_refuse(const struct mm *mm, struct extent range, uint32_t prot)
{
	if ((prot & LX_PROT_WRITE) && in_text(mm, range))
		return true;
	if (!mm_in_window(mm, range.start))
		return false;
	for (uint64_t i = areas_find(mm, range.start);
	     (prot & LX_PROT_WRITE) && i < mm->count && mm->areas[i].start < range.end; i++)
		if (mm->areas[i].kind == AREA_LIBRARY)
			return true;
	return (prot & ~window_prot(mm, range)) != 0;
}

static void set_prot(struct mm *mm, struct area *area, uint32_t prot)
{
	mm->charged -= area_charge(area);
	area->prot = (uint8_t)prot;
	if (prot)
		area->flags |= AREA_TOUCHED;
	mm->charged += area_charge(area);
	mm_note_peak(mm);
}

int mm_protect(struct mm *mm, uint64_t start, uint64_t bytes, uint32_t prot)
{
	struct extent range;
	uint64_t index;
	int error = bytes == 0 && start % PAGE_BYTES == 0 ? 1 : range_of(mm, start, bytes, &range);

	if (error)
		return error > 0 ? 0 : error;
	if (prot & ~(uint32_t)USER_PROT)
		return -EINVAL;
	if (!mm_is_mapped(mm, range.start, range.end - range.start))
		return -ENOMEM;
	if (pages_refuse(mm, range, prot))
		return -EACCES;
	error = prot ? over_limit(mm, extra_charge(mm, range)) : 0;
	if (!error)
		error = split_at_ends(mm, range);
	if (error)
		return error;
	index = areas_find(mm, range.start);
	for (uint64_t i = index; i < mm->count && mm->areas[i].start < range.end; i++)
		set_prot(mm, &mm->areas[i], prot);
	for (uint64_t i = areas_find(mm, range.end - 1) + 1; i > index && i > 0; i--)
		areas_join(mm, i);
	areas_join(mm, index);
	return 0;
}

static int grow_in_place(struct mm *mm, struct extent old, uint64_t end)
{
	uint64_t index = areas_find(mm, old.start);
	struct area more = mm->areas[index];

	if (end > mm->high || end < old.end || mm_in_window(mm, old.start) ||
	    !areas_free(mm, old.end, end))
		return -ENOMEM;
	more.start = old.end;
	more.end = end;
	stale_clear(mm, more.start, more.end);
	return areas_insert(mm, more);
}

static int64_t move(struct mm *mm, struct extent old, uint64_t bytes, uint32_t flags,
		    uint64_t fixed)
{
	uint64_t index = areas_find(mm, old.start);
	uint32_t prot = mm->areas[index].prot;
	uint32_t map_flags = flags & LX_MREMAP_FIXED ? LX_MAP_FIXED : 0;
	int64_t at = mm_map(mm, fixed, bytes, prot, map_flags);

	if (at < 0)
		return at;
	memcpy(pointer_of((uint64_t)at), pointer_of(old.start),
	       min_u64(bytes, old.end - old.start));
	(void)mm_unmap(mm, old.start, old.end - old.start);
	return at;
}

static int check_remap(const struct mm *mm, struct extent old, uint64_t new_bytes, uint32_t flags,
		       uint64_t fixed)
{
	uint64_t new_end;

	if (new_bytes == 0 || (flags & ~(uint32_t)(LX_MREMAP_MAYMOVE | LX_MREMAP_FIXED)))
		return -EINVAL;
	if ((flags & LX_MREMAP_FIXED) &&
	    (!(flags & LX_MREMAP_MAYMOVE) || fixed % PAGE_BYTES != 0 ||
	     __builtin_add_overflow(fixed, page_up(min_u64(new_bytes, mm->high)), &new_end) ||
	     (fixed < old.end && old.start < new_end)))
		return -EINVAL;
	return mm_is_mapped(mm, old.start, old.end - old.start) ? 0 : -EFAULT;
}

/* Growing and moving is for one area of plain memory. */
static bool is_one_private(const struct mm *mm, struct extent range)
{
	const struct area *area = &mm->areas[areas_find(mm, range.start)];

	return area->kind == AREA_PRIVATE && area->end >= range.end;
}

int64_t mm_remap(struct mm *mm, uint64_t start, uint64_t old_bytes, uint64_t new_bytes,
		 uint32_t flags, uint64_t fixed)
{
	struct extent old;
	uint64_t wanted;
	int error = range_of(mm, start, old_bytes, &old);

	if (error == -ENOMEM)
		error = -EFAULT; /* nothing of the program's lies there */
	if (!error)
		error = check_remap(mm, old, new_bytes, flags, fixed);
	if (error)
		return error;
	if (new_bytes > mm->high)
		return -ENOMEM;
	wanted = page_up(new_bytes);
	if ((flags & LX_MREMAP_FIXED) && is_one_private(mm, old))
		return move(mm, old, wanted, flags, fixed);
	if (wanted <= old.end - old.start && !(flags & LX_MREMAP_FIXED)) {
		if (wanted < old.end - old.start)
			error = mm_unmap(mm, start + wanted, old.end - old.start - wanted);
		return error ? error : (int64_t)start;
	}
	if (!is_one_private(mm, old))
		return -ENOMEM;
	error = over_limit(mm, wanted - (old.end - old.start));
	if (error)
		return error;
	if (!grow_in_place(mm, old, start + wanted))
		return (int64_t)start;
	return flags & LX_MREMAP_MAYMOVE ? move(mm, old, wanted, 0, 0) : -ENOMEM;
}

/* A thread's stack is exempt: glibc drops the unused part of each finished thread's, and zeroing it
 * would touch what never was. */
int mm_discard(struct mm *mm, uint64_t start, uint64_t bytes)
{
	struct extent range;
	int error = bytes == 0 ? 0 : range_of(mm, start, bytes, &range);

	if (error || bytes == 0)
		return error;
	if (!mm_is_mapped(mm, range.start, range.end - range.start))
		return -ENOMEM;
	for (uint64_t i = areas_find(mm, range.start);
	     i < mm->count && mm->areas[i].start < range.end; i++) {
		const struct area *area = &mm->areas[i];
		uint64_t from = max_u64(area->start, range.start);

		if (area->kind == AREA_PRIVATE && (area->flags & AREA_TOUCHED) &&
		    !(area->flags & AREA_STACK))
			memset(pointer_of(from), 0, min_u64(area->end, range.end) - from);
	}
	return 0;
}

static bool grow_brk(struct mm *mm, uint64_t old_page, uint64_t new_page)
{
	struct area area = {.start = old_page,
			    .end = new_page,
			    .prot = LX_PROT_READ | LX_PROT_WRITE,
			    .kind = AREA_PRIVATE,
			    .flags = AREA_TOUCHED};

	if (over_limit(mm, new_page - old_page) || !areas_free(mm, old_page, new_page))
		return false;
	stale_clear(mm, old_page, new_page);
	return areas_insert(mm, area) == 0;
}

uint64_t mm_brk(struct mm *mm, uint64_t end)
{
	uint64_t old_page = page_up(mm->brk_end);
	uint64_t new_page;

	if (end < mm->brk_start || end > mm->high)
		return mm->brk_end;
	new_page = page_up(end);
	if (new_page > old_page && !grow_brk(mm, old_page, new_page))
		return mm->brk_end;
	if (new_page < old_page && mm_unmap(mm, new_page, old_page - new_page))
		return mm->brk_end;
	mm->brk_end = end;
	return end;
}

uint64_t mm_allowed_bytes(const struct mm *mm, uint64_t start, uint64_t bytes, uint32_t prot)
{
	uint64_t at = start;
	uint64_t end;

	if (__builtin_add_overflow(start, bytes, &end))
		return 0;
	for (uint64_t i = areas_find(mm, start); i < mm->count && at < end; i++) {
		if (mm->areas[i].start > at || (mm->areas[i].prot & prot) != prot)
			break;
		at = mm->areas[i].end;
	}
	return min_u64(at, end) - start;
}

bool mm_allows(const struct mm *mm, uint64_t start, uint64_t bytes, uint32_t prot)
{
	return mm_allowed_bytes(mm, start, bytes, prot) == bytes;
}

static void *kernel_pages(struct mm *mm, uint64_t bytes)
{
	struct area area = {.kind = AREA_KERNEL, .flags = AREA_TOUCHED};

	if (areas_make_room(mm))
		return NULL;
	area.start = areas_gap(mm, bytes);
	area.end = area.start + bytes;
	if (area.start == 0)
		return NULL;
	stale_clear(mm, area.start, area.end);
	return areas_insert(mm, area) ? NULL : pointer_of(area.start);
}

void *mm_pages_resize(void *context, void *old, uint64_t old_bytes, uint64_t new_bytes)
{
	struct mm *mm = context;
	struct extent range = {address_of(old), address_of(old) + old_bytes};
	void *moved;

	if (new_bytes > mm->high)
		return NULL;
	if (old_bytes > 0 && new_bytes > old_bytes && !areas_make_room(mm) &&
	    !grow_in_place(mm, range, range.start + new_bytes))
		return old;
	moved = new_bytes > 0 ? kernel_pages(mm, new_bytes) : NULL;
	if (new_bytes > 0 && !moved)
		return NULL;
	if (moved && old_bytes > 0)
		memcpy(moved, old, min_u64(old_bytes, new_bytes));
	if (old_bytes > 0)
		areas_remove(mm, range.start, range.end, true);
	return moved;
}
