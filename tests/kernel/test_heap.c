/*
 * The kernel's real heap: blocks are apart, zeroed, aligned, used again, and its end is an end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/heap.h"

#define ARENA_BYTES (UINT64_C(1) << 20)
#define ROUNDS 20000
#define LIVE 200

struct live {
	uint8_t *block;
	uint64_t bytes;
	uint8_t mark;
};

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void check_marks(const struct live *live)
{
	for (uint64_t i = 0; i < live->bytes; i++)
		assert_int_equal(live->block[i], live->mark);
}

static void take(struct heap *heap, struct live *live)
{
	uint64_t bytes = next_random() % (next_random() % 8 == 0 ? 20000 : 600) + 1;

	live->block = heap_alloc(heap, bytes);
	if (!live->block)
		return;
	assert_int_equal(address_of(live->block) % 16, 0);
	for (uint64_t i = 0; i < bytes; i++)
		assert_int_equal(live->block[i], 0);
	live->bytes = bytes;
	live->mark = (uint8_t)next_random();
	memset(live->block, live->mark, bytes);
}

/* Random taking and giving: no block overlaps another, none is handed out dirty. */
static void test_blocks_are_apart(void **state)
{
	uint8_t *arena = aligned_alloc(4096, ARENA_BYTES);
	struct live live[LIVE] = {{NULL, 0, 0}};
	struct heap heap;

	(void)state;
	heap_init(&heap, arena, ARENA_BYTES);
	for (int i = 0; i < ROUNDS; i++) {
		struct live *one = &live[next_random() % LIVE];

		if (!one->block) {
			take(&heap, one);
			continue;
		}
		check_marks(one);
		heap_free(&heap, one->block, one->bytes);
		one->block = NULL;
	}
	for (int i = 0; i < LIVE; i++)
		if (live[i].block)
			check_marks(&live[i]);
	free(arena);
}

static void test_the_end_is_an_end(void **state)
{
	uint8_t *arena = aligned_alloc(4096, 16 * 4096);
	struct heap heap;
	void *run;
	int count = 0;

	(void)state;
	heap_init(&heap, arena, 16 * 4096);
	while (heap_alloc(&heap, 3000))
		count++;
	assert_int_equal(count, 16);
	assert_null(heap_alloc(&heap, 16));
	assert_null(heap_alloc(&heap, 0));
	assert_null(heap_alloc(&heap, UINT64_MAX));
	heap_init(&heap, arena, 16 * 4096);
	run = heap_alloc(&heap, 16 * 4096);
	assert_non_null(run);
	heap_free(&heap, run, 16 * 4096);
	assert_non_null(heap_alloc(&heap, 8 * 4096));
	free(arena);
}

/* Runs that were given back in pieces are one again. */
static void test_neighbours_join(void **state)
{
	uint8_t *arena = aligned_alloc(4096, 8 * 4096);
	void *runs[4];
	struct heap heap;

	(void)state;
	heap_init(&heap, arena, 8 * 4096);
	for (int i = 0; i < 4; i++)
		runs[i] = heap_alloc(&heap, 8192);
	assert_null(heap_alloc(&heap, 8192));
	for (int i = 0; i < 4; i++)
		heap_free(&heap, runs[(i * 3 + 1) % 4], 8192);
	assert_non_null(heap_alloc(&heap, 8 * 4096));
	free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks_are_apart),
		cmocka_unit_test(test_the_end_is_an_end),
		cmocka_unit_test(test_neighbours_join),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
