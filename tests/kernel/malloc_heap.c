/*
 * The kernel's heap for tests: each block an allocation of its own, so that AddressSanitizer sees
 * every step outside of it and every use after free, and a size that differs at freeing is noticed.
 * heap->next heads the list of all blocks; heap_init() with UINT64_MAX bytes frees them.
 */
#include "vfs/heap.h"

#include <stdlib.h>
#include <string.h>

struct block {
	struct block *next;
	struct block *before;
	uint64_t bytes;
	uint64_t pad;
};

static struct block *head_of(const struct heap *heap)
{
	return pointer_of(heap->next);
}

void heap_init(struct heap *heap, void *start, uint64_t bytes)
{
	struct block *block = bytes == UINT64_MAX ? head_of(heap) : NULL;

	(void)start;
	while (block) {
		struct block *next = block->next;

		free(block);
		block = next;
	}
	memset(heap, 0, sizeof(*heap));
}

void *heap_alloc(struct heap *heap, uint64_t bytes)
{
	struct block *block = bytes > 0 && bytes < (UINT64_C(64) << 20)
				      ? calloc(1, sizeof(*block) + bytes)
				      : NULL;

	if (!block)
		return NULL;
	block->bytes = bytes;
	block->next = head_of(heap);
	if (block->next)
		block->next->before = block;
	heap->next = address_of(block);
	return block + 1;
}

void heap_free(struct heap *heap, void *pointer, uint64_t bytes)
{
	struct block *block = pointer;

	if (!pointer)
		return;
	block--;
	if (block->bytes != bytes)
		abort();
	if (block->before)
		block->before->next = block->next;
	else
		heap->next = address_of(block->next);
	if (block->next)
		block->next->before = block->before;
	free(block);
}

void *heap_resize(struct heap *heap, void *block, uint64_t old_bytes, uint64_t new_bytes)
{
	void *moved = heap_alloc(heap, new_bytes);

	if (!moved)
		return NULL;
	if (block)
		memcpy(moved, block, old_bytes < new_bytes ? old_bytes : new_bytes);
	heap_free(heap, block, old_bytes);
	return moved;
}
