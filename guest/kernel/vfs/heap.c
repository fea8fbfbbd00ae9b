/*
 * Theory of operation: an allocation of up to half a page is rounded to a power of two and taken
 * from that size's free list, which is filled a page at a time; anything larger is a run of whole
 * pages, first fit. Pages never used before come from the end of the used part, so that a small
 * kernel dirties few pages. Pages that became blocks stay blocks.
 * Trust boundary: sizes come from the kernel, which has bounded them; an exhausted arena gives NULL
 * and its caller answers ENOMEM.
 */
#include "heap.h"

#define SMALLEST_SHIFT 4u
#define LARGEST_BLOCK (16u << (HEAP_CLASSES - 1))

struct heap_block {
	struct heap_block *next;
};

struct heap_run {
	struct heap_run *next;
	uint64_t bytes;
};

void heap_init(struct heap *heap, void *start, uint64_t bytes)
{
	memset(heap, 0, sizeof(*heap));
	heap->next = page_up(address_of(start));
	heap->end = page_down(address_of(start) + bytes);
}

static unsigned class_of(uint64_t bytes)
{
	unsigned class = 0;

	while ((UINT64_C(1) << (class + SMALLEST_SHIFT)) < bytes)
		class ++;
	return class;
}

static void *take_run(struct heap *heap, uint64_t bytes)
{
	struct heap_run **link = &heap->free_runs;
	uint64_t at;

	for (; *link; link = &(*link)->next) {
		struct heap_run *run = *link;

		if (run->bytes < bytes)
			continue;
		/* The tail goes, so that the run keeps its place in the list. */
		run->bytes -= bytes;
		if (run->bytes == 0)
			*link = run->next;
		return memset((char *)run + run->bytes, 0, bytes);
	}
	if (bytes > heap->end - heap->next)
		return NULL;
	at = heap->next;
	heap->next += bytes;
	return memset(pointer_of(at), 0, bytes);
}

static void join(struct heap_run *run)
{
	if (run->next && (char *)run + run->bytes == (char *)run->next) {
		run->bytes += run->next->bytes;
		run->next = run->next->next;
	}
}

static void give_run(struct heap *heap, void *start, uint64_t bytes)
{
	struct heap_run *run = start;
	struct heap_run *before = NULL;

	for (struct heap_run *at = heap->free_runs; at && at < run; at = at->next)
		before = at;
	run->bytes = bytes;
	run->next = before ? before->next : heap->free_runs;
	if (before)
		before->next = run;
	else
		heap->free_runs = run;
	join(run);
	if (before)
		join(before);
}

static int fill_class(struct heap *heap, unsigned class)
{
	uint64_t block_bytes = UINT64_C(1) << (class + SMALLEST_SHIFT);
	char *page = take_run(heap, PAGE_BYTES);

	if (!page)
		return -ENOMEM;
	for (uint64_t at = PAGE_BYTES; at > 0; at -= block_bytes) {
		struct heap_block *block = (void *)(page + at - block_bytes);

		block->next = heap->free_blocks[class];
		heap->free_blocks[class] = block;
	}
	return 0;
}

void *heap_alloc(struct heap *heap, uint64_t bytes)
{
	struct heap_block *block;
	unsigned class;

	if (bytes == 0 || bytes > heap->end)
		return NULL;
	if (bytes > LARGEST_BLOCK)
		return take_run(heap, page_up(bytes));
	class = class_of(bytes);
	if (!heap->free_blocks[class] && fill_class(heap, class))
		return NULL;
	block = heap->free_blocks[class];
	heap->free_blocks[class] = block->next;
	return memset(block, 0, bytes);
}

void heap_free(struct heap *heap, void *block, uint64_t bytes)
{
	struct heap_block *freed = block;
	unsigned class;

	if (!block)
		return;
	if (bytes > LARGEST_BLOCK) {
		give_run(heap, block, page_up(bytes));
		return;
	}
	class = class_of(bytes);
	freed->next = heap->free_blocks[class];
	heap->free_blocks[class] = freed;
}

void *heap_resize(struct heap *heap, void *block, uint64_t old_bytes, uint64_t new_bytes)
{
	void *moved = heap_alloc(heap, new_bytes);

	if (!moved)
		return NULL;
	if (block)
		memcpy(moved, block, min_u64(old_bytes, new_bytes));
	heap_free(heap, block, old_bytes);
	return moved;
}
