/*
 * The kernel's own small objects: blocks of powers of two out of one fixed arena, whole pages above
 * half a page. Freeing needs the size again, so that no block carries a header.
 */
#ifndef PSB_KERNEL_HEAP_H
#define PSB_KERNEL_HEAP_H

#include "base.h"

#define HEAP_CLASSES 8u /* 16 to 2048 bytes */

struct heap_block;
struct heap_run;

struct heap {
	uint64_t next; /* never handed out from here on */
	uint64_t end;
	struct heap_block *free_blocks[HEAP_CLASSES];
	struct heap_run *free_runs; /* by address, neighbours joined */
};

void heap_init(struct heap *heap, void *start, uint64_t bytes);

/* Zeroed and aligned to 16, or NULL. */
void *heap_alloc(struct heap *heap, uint64_t bytes);
void heap_free(struct heap *heap, void *block, uint64_t bytes); /* NULL is fine */

/* Like realloc; the old block stays as it is on failure. */
void *heap_resize(struct heap *heap, void *block, uint64_t old_bytes, uint64_t new_bytes);

#endif
