/*
 * The program's address space: which ranges are in use, for what, and how much of the memory limit
 * they take. Page tables never change: this is bookkeeping over memory that is always there.
 */
#ifndef PSB_KERNEL_MM_H
#define PSB_KERNEL_MM_H

#include "../vfs/vfs.h"

#define MM_MAX_STALE 512u

enum area_kind {
	AREA_PRIVATE,  /* anonymous, or a copy of a file's part */
	AREA_SHARED,   /* a shared mapping: tmpfs contents */
	AREA_KERNEL,   /* contents of tmpfs files, buffers: not the program's */
	AREA_LIBRARY,  /* pages of the library window as the image has them */
	AREA_RESERVED, /* not memory */
};

enum area_flag {
	AREA_STACK = 1,   /* a thread's: mostly untouched */
	AREA_TOUCHED = 2, /* was accessible once, so it may hold something */
};

struct area {
	uint64_t start;
	uint64_t end;
	uint8_t prot; /* LX_PROT_… */
	uint8_t kind;
	uint8_t flags;
	uint32_t maps;       /* AREA_SHARED: how many mappings have this part */
	struct node backing; /* AREA_SHARED: the file, pinned once for each of them */
};

struct extent {
	uint64_t start;
	uint64_t end;
};

struct mm {
	struct heap *heap;
	struct vfs *vfs;    /* for unpinning */
	struct area *areas; /* by address */
	uint64_t count;
	uint64_t capacity;
	uint64_t low;
	uint64_t high;
	struct extent window;   /* of libraries (mm_window.c); empty: there is none */
	uint64_t window_memory; /* where its writable pages lie one after the other */
	struct extent text;     /* of the program: no execution can write it; may be empty */
	uint64_t map_base;      /* mappings go above, first fit */
	uint64_t brk_start;
	uint64_t brk_end;
	uint64_t charged;
	uint64_t limit; /* of charged */
	uint64_t peak;
	uint64_t base;        /* charged when the run began */
	uint64_t *shown_peak; /* the host reads it, however the run ends: peak beyond base */
	bool limit_hit;
	uint64_t stale_count;
	struct extent stale[MM_MAX_STALE]; /* free, but not zero */
};

/* [low, high): all of it memory that reads as zero, except what mm_reserve() takes out. */
int mm_init(struct mm *mm, struct heap *heap, struct vfs *vfs, uint64_t low, uint64_t high);
int mm_reserve(struct mm *mm, uint64_t start, uint64_t end);
/* A run begins: what is charged from now on is its own. */
void mm_begin(struct mm *mm, uint64_t *shown_peak);
void mm_note_peak(struct mm *mm); /* charged has grown */
/* More or less memory at the end; nothing in use may lie in what goes. */
int mm_set_end(struct mm *mm, uint64_t high);
/* The library window; its writable pages are those from `memory` on, which nobody else may use. */
void mm_set_window(struct mm *mm, uint64_t start, uint64_t bytes, uint64_t memory);
bool mm_in_window(const struct mm *mm, uint64_t address);
/* A loader's first mapping of a library, anywhere (0) or `at` its place: that, or -ENOMEM if this is
 * no such mapping. */
int64_t mm_map_library(struct mm *mm, const struct image_library *library, uint64_t at,
		       uint64_t bytes, uint32_t prot);
/* What a loader asks for before that if segments are aligned to more than a page. */
int64_t mm_reserve_library(struct mm *mm, const struct image_library *library, uint64_t bytes);
/* A mapping over a read-only part, if what is there lies at `data` too; else -ENOMEM. */
int64_t mm_map_part(struct mm *mm, uint64_t start, uint64_t bytes, uint32_t prot, uint64_t data);
/* Where the host finds what the program has at this address; no more than *bytes, which is cut. */
uint64_t mm_memory_of(const struct mm *mm, uint64_t address, uint64_t *bytes);
/* Where brk begins; mappings without a wish go above map_base, or between the two if that is full. */
void mm_set_layout(struct mm *mm, uint64_t brk_start, uint64_t map_base);

/* Address or negative errno. Anonymous memory, zeroed. */
int64_t mm_map(struct mm *mm, uint64_t hint, uint64_t bytes, uint32_t prot, uint32_t flags);
/* A shared mapping of pinned contents at `start`, which mm owns (AREA_KERNEL). */
int64_t mm_map_shared(struct mm *mm, uint64_t start, uint64_t bytes, uint32_t prot,
		      struct node backing);
int mm_unmap(struct mm *mm, uint64_t start, uint64_t bytes);
int mm_protect(struct mm *mm, uint64_t start, uint64_t bytes, uint32_t prot);
int64_t mm_remap(struct mm *mm, uint64_t start, uint64_t old_bytes, uint64_t new_bytes,
		 uint32_t flags, uint64_t fixed);
int mm_discard(struct mm *mm, uint64_t start, uint64_t bytes); /* MADV_DONTNEED */
bool mm_is_mapped(const struct mm *mm, uint64_t start, uint64_t bytes);
uint64_t mm_brk(struct mm *mm, uint64_t end); /* the new or, refused, the old end */

/* May the program use all of it in this way? */
bool mm_allows(const struct mm *mm, uint64_t start, uint64_t bytes, uint32_t prot);
/* Bytes from start on that it may use so. */
uint64_t mm_allowed_bytes(const struct mm *mm, uint64_t start, uint64_t bytes, uint32_t prot);

/* For struct page_source: context is the mm. */
void *mm_pages_resize(void *mm, void *old, uint64_t old_bytes, uint64_t new_bytes);

/* Zeroes everything free, as it is after boot. */
void mm_clean(struct mm *mm);

/* -- between mm.c and mm_areas.c -- */
uint64_t areas_find(const struct mm *mm, uint64_t address); /* first that ends after it */
int areas_split(struct mm *mm, uint64_t address);
int areas_insert(struct mm *mm, struct area area);
/* Takes [start, end) out, split at before; the kernel's own only if told so. What was there becomes
 * stale; a shared mapping's contents stay the file's. */
void areas_remove(struct mm *mm, uint64_t start, uint64_t end, bool kernel);
/* Room for two more areas, so that what follows cannot fail half-way. */
int areas_make_room(struct mm *mm);
void areas_join(struct mm *mm, uint64_t index); /* with the one before, if alike */
bool areas_free(const struct mm *mm, uint64_t start, uint64_t end);
uint64_t areas_gap(const struct mm *mm, uint64_t bytes); /* 0: none */
uint64_t area_charge(const struct area *area);
/* mm_window.c: what all pages of a range in the window can do; 0: some belong to no library. */
uint32_t window_prot(const struct mm *mm, struct extent range);
void stale_clear(struct mm *mm, uint64_t start, uint64_t end); /* zero before use */

#endif
