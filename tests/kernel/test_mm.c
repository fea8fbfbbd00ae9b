/*
 * Address space: what is free stays apart from what is used, is zero when handed out, and the limit
 * gives ENOMEM.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define RW (LX_PROT_READ | LX_PROT_WRITE)
#define ANONYMOUS (LX_MAP_PRIVATE | LX_MAP_ANONYMOUS)
#define PAGES(n) ((uint64_t)(n)*PAGE_BYTES)

static int set_up(void **state)
{
	*state = world_open();
	return 0;
}

static int tear_down(void **state)
{
	world_close(*state);
	return 0;
}

static int64_t map(struct world *world, uint64_t bytes)
{
	return CALL(world, __NR_mmap, 0, bytes, RW, ANONYMOUS, UINT64_MAX, 0);
}

static void check_zero(uint64_t address, uint64_t bytes)
{
	const uint8_t *at = pointer_of(address);

	for (uint64_t i = 0; i < bytes; i++)
		assert_int_equal(at[i], 0);
}

static void test_memory_comes_back_zeroed(void **state)
{
	struct world *world = *state;
	int64_t first = map(world, PAGES(4));
	int64_t second;

	assert_true(first > 0);
	memset(pointer_of((uint64_t)first), 0xaa, PAGES(4));
	assert_int_equal(CALL(world, __NR_munmap, first, PAGES(4)), 0);
	second = map(world, PAGES(4));
	assert_int_equal(second, first);
	check_zero((uint64_t)second, PAGES(4));
	memset(pointer_of((uint64_t)first), 0xaa, PAGES(4));
	assert_int_equal(CALL(world, __NR_munmap, first + (int64_t)PAGES(1), PAGES(2)), 0);
	check_zero((uint64_t)map(world, PAGES(1)), PAGES(1));
	mm_clean(&world->kernel.mm);
	check_zero((uint64_t)first + PAGES(2), PAGES(1));
}

static void test_reserved_memory_is_not_touched(void **state)
{
	struct world *world = *state;
	int64_t at = CALL(world, __NR_mmap, 0, PAGES(8), LX_PROT_NONE, ANONYMOUS, UINT64_MAX, 0);
	uint64_t charged = world->kernel.mm.charged;

	assert_int_equal(CALL(world, __NR_mprotect, at, PAGES(2), RW), 0);
	assert_int_equal(world->kernel.mm.charged, charged + PAGES(2));
	assert_int_equal(CALL(world, __NR_munmap, at, PAGES(8)), 0);
	assert_int_equal(world->kernel.mm.charged, charged);
	assert_int_equal(world->kernel.mm.stale_count, 1);
	assert_int_equal(world->kernel.mm.stale[0].end - world->kernel.mm.stale[0].start, PAGES(2));
}

static void test_fixed_replaces(void **state)
{
	struct world *world = *state;
	int64_t at = map(world, PAGES(3));
	int64_t middle = at + (int64_t)PAGES(1);

	memset(pointer_of((uint64_t)at), 1, PAGES(3));
	assert_int_equal(CALL(world, __NR_mmap, middle, PAGES(1), RW, ANONYMOUS | LX_MAP_FIXED,
			      UINT64_MAX, 0),
			 middle);
	check_zero((uint64_t)middle, PAGES(1));
	assert_int_equal(*(uint8_t *)pointer_of((uint64_t)at), 1);
	assert_int_equal(CALL(world, __NR_mmap, middle, PAGES(1), RW,
			      ANONYMOUS | LX_MAP_FIXED_NOREPLACE, UINT64_MAX, 0),
			 -EEXIST);
	/* Nothing outside of the space, and nothing of the kernel's. */
	assert_int_equal(CALL(world, __NR_mmap, PAGES(16), PAGES(1), RW, ANONYMOUS | LX_MAP_FIXED,
			      UINT64_MAX, 0),
			 -ENOMEM);
}

static void test_remap_moves_and_keeps(void **state)
{
	struct world *world = *state;
	int64_t at = map(world, PAGES(2));
	int64_t wall = map(world, PAGES(1));
	int64_t moved;

	memset(pointer_of((uint64_t)at), 7, PAGES(2));
	assert_int_equal(wall, at + (int64_t)PAGES(2));
	assert_int_equal(CALL(world, __NR_mremap, at, PAGES(2), PAGES(4), 0), -ENOMEM);
	moved = CALL(world, __NR_mremap, at, PAGES(2), PAGES(4), LX_MREMAP_MAYMOVE);
	assert_true(moved > 0 && moved != at);
	assert_int_equal(((uint8_t *)pointer_of((uint64_t)moved))[PAGES(2) - 1], 7);
	check_zero((uint64_t)moved + PAGES(2), PAGES(2));
	assert_int_equal(CALL(world, __NR_mremap, moved, PAGES(4), PAGES(6), 0), moved);
	assert_int_equal(CALL(world, __NR_mremap, moved, PAGES(6), PAGES(1), 0), moved);
	assert_int_equal(CALL(world, __NR_mremap, at, PAGES(2), PAGES(4), LX_MREMAP_MAYMOVE),
			 -EFAULT);
}

/* Shrinking does not care how many areas a range has become (a fault that was there). */
static void test_remap_shrinks_several_areas(void **state)
{
	struct world *world = *state;
	int64_t at = map(world, PAGES(3));

	assert_int_equal(CALL(world, __NR_mprotect, at, PAGES(1), LX_PROT_READ), 0);
	assert_int_equal(CALL(world, __NR_mremap, at, PAGES(3), PAGES(2), LX_MREMAP_MAYMOVE), at);
	assert_false(mm_is_mapped(&world->kernel.mm, (uint64_t)at + PAGES(2), PAGES(1)));
	assert_int_equal(CALL(world, __NR_mremap, at, PAGES(2), PAGES(4), LX_MREMAP_MAYMOVE),
			 -ENOMEM);
	assert_int_equal(CALL(world, __NR_mremap, 4096, 4096, 8192, 0), -EFAULT);
}

static void test_limit_gives_enomem(void **state)
{
	struct world *world = *state;
	struct mm *mm = &world->kernel.mm;

	mm->limit = mm->charged + PAGES(10);
	assert_int_equal(map(world, PAGES(11)), -ENOMEM);
	assert_true(mm->limit_hit);
	assert_true(map(world, PAGES(10)) > 0);
	assert_int_equal(map(world, 1), -ENOMEM);
	assert_int_equal(CALL(world, __NR_brk, mm->brk_end + 1), mm->brk_end);
	assert_true(CALL(world, __NR_mmap, 0, PAGES(50), LX_PROT_NONE, ANONYMOUS, UINT64_MAX, 0) >
		    0);
	assert_int_equal(map(world, UINT64_MAX), -ENOMEM);
	assert_int_equal(map(world, UINT64_C(1) << 47), -ENOMEM);
	assert_int_equal(map(world, 0), -EINVAL);
}

static void test_brk(void **state)
{
	struct world *world = *state;
	uint64_t start = world->kernel.mm.brk_start;

	assert_int_equal(CALL(world, __NR_brk, 0), start);
	assert_int_equal(CALL(world, __NR_brk, start + 100), start + 100);
	memset(pointer_of(start), 9, 4096);
	assert_int_equal(CALL(world, __NR_brk, start + PAGES(3)), start + PAGES(3));
	check_zero(start + PAGES(1), PAGES(2));
	assert_int_equal(CALL(world, __NR_brk, start), start);
	assert_int_equal(CALL(world, __NR_brk, start + PAGES(1)), start + PAGES(1));
	check_zero(start, PAGES(1));
}

static void test_files_are_mapped(void **state)
{
	struct world *world = *state;
	int64_t fd = CALL(world, __NR_open, world_string(world, 0, "/hello"), 0, 0);
	int64_t shared = CALL(world, __NR_mmap, 0, 100, LX_PROT_READ, LX_MAP_PRIVATE, fd, 0);
	int64_t copy = CALL(world, __NR_mmap, 0, 100, RW, LX_MAP_PRIVATE, fd, 0);

	/* The image itself, and a copy that may be written. */
	assert_memory_equal(pointer_of((uint64_t)shared), "hello, world\n", 14);
	assert_in_range(shared, address_of(world->image),
			address_of(world->image) + world->image_bytes);
	assert_memory_equal(pointer_of((uint64_t)copy), "hello, world\n", 14);
	assert_not_in_range(copy, address_of(world->image),
			    address_of(world->image) + world->image_bytes);
	check_zero((uint64_t)copy + 13, PAGE_BYTES - 13);
	assert_int_equal(CALL(world, __NR_mprotect, shared, 100, RW), -EACCES);
	assert_int_equal(CALL(world, __NR_munmap, shared, 100), 0);
	assert_int_equal(CALL(world, __NR_read, fd, shared, 5), -EFAULT);
}

static void test_text_stays_what_it_is(void **state)
{
	struct world *world = *state;
	const uint32_t fixed = LX_MAP_PRIVATE | LX_MAP_ANONYMOUS | LX_MAP_FIXED;
	int64_t text = CALL(world, __NR_mmap, 0, 3 * PAGE_BYTES, RW,
			    LX_MAP_PRIVATE | LX_MAP_ANONYMOUS, -1, 0);

	world->kernel.mm.text =
		(struct extent){(uint64_t)text + PAGE_BYTES, (uint64_t)text + 2 * PAGE_BYTES};
	assert_int_equal(CALL(world, __NR_mprotect, text, 2 * PAGE_BYTES, LX_PROT_READ), 0);
	assert_int_equal(CALL(world, __NR_mprotect, text, 2 * PAGE_BYTES, RW), -EACCES);
	assert_int_equal(CALL(world, __NR_mprotect, text, PAGE_BYTES, RW), 0);
	assert_int_equal(CALL(world, __NR_mprotect, text + 2 * PAGE_BYTES, PAGE_BYTES, RW), 0);
	assert_int_equal(CALL(world, __NR_mmap, text, 2 * PAGE_BYTES, RW, fixed, -1, 0), -ENOMEM);
	assert_int_equal(CALL(world, __NR_mmap, text, PAGE_BYTES, RW, fixed, -1, 0), text);
}

static void test_shared_mapping_is_the_file(void **state)
{
	struct world *world = *state;
	int64_t fd = CALL(world, __NR_open, world_string(world, 0, "/tmp/f"),
			  LX_O_RDWR | LX_O_CREAT, 0600);
	uint64_t used = world->kernel.vfs.tmpfs.used_files;
	int64_t first;
	int64_t second;

	assert_int_equal(CALL(world, __NR_ftruncate, fd, PAGES(4)), 0);
	first = CALL(world, __NR_mmap, 0, PAGES(4), RW, LX_MAP_SHARED, fd, 0);
	second = CALL(world, __NR_mmap, 0, PAGES(2), RW, LX_MAP_SHARED, fd, PAGES(1));
	assert_int_equal(second, first + (int64_t)PAGES(1));
	memcpy(pointer_of((uint64_t)second), "written", 7);
	assert_int_equal(CALL(world, __NR_pread64, fd, world_user(world, 100), 7, PAGES(1)), 7);
	assert_memory_equal(world->user + 100, "written", 7);
	/* While it is mapped it cannot grow out of its place; unmapped it goes with its last name. */
	assert_int_equal(CALL(world, __NR_munmap, first, PAGES(4)), 0);
	assert_true(mm_allows(&world->kernel.mm, (uint64_t)second, PAGES(2), RW));
	assert_int_equal(CALL(world, __NR_close, fd), 0);
	assert_int_equal(CALL(world, __NR_unlink, world_user(world, 0)), 0);
	assert_int_equal(world->kernel.vfs.tmpfs.used_files, used);
	assert_int_equal(CALL(world, __NR_munmap, second, PAGES(2)), 0);
	assert_int_equal(world->kernel.vfs.tmpfs.used_files, used - 1);
	assert_false(mm_is_mapped(&world->kernel.mm, (uint64_t)first, PAGES(4)));
}

static void test_bad_memory_is_efault(void **state)
{
	struct world *world = *state;
	uint64_t beyond = address_of(world->pool) + WORLD_POOL_BYTES - 8;

	assert_int_equal(CALL(world, __NR_write, 1, 0, 10), -EFAULT);
	assert_int_equal(CALL(world, __NR_write, 1, UINT64_MAX - 2, 10), -EFAULT);
	assert_int_equal(CALL(world, __NR_uname, beyond), -EFAULT);
	assert_int_equal(CALL(world, __NR_open, address_of(&world), 0), -EFAULT);
	/* A kernel's own page is no memory of the program's. */
	assert_int_equal(CALL(world, __NR_pipe, world_user(world, 0)), 0);
	for (uint64_t i = 0; i < world->kernel.mm.count; i++)
		if (world->kernel.mm.areas[i].kind == AREA_KERNEL)
			assert_int_equal(CALL(world, __NR_uname, world->kernel.mm.areas[i].start),
					 -EFAULT);
}

#define SLOTS 40

struct slot {
	uint64_t start;
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

static void check_slot(const struct slot *slot)
{
	const uint8_t *at = pointer_of(slot->start);

	for (uint64_t i = 0; i < slot->bytes; i += 512)
		assert_int_equal(at[i], slot->mark);
}

static void change_slot(struct world *world, struct slot *slot)
{
	if (slot->bytes == 0) {
		slot->bytes = PAGES(next_random() % 20 + 1);
		slot->start = (uint64_t)map(world, slot->bytes);
		assert_true((int64_t)slot->start > 0);
		check_zero(slot->start, slot->bytes);
		slot->mark = (uint8_t)(next_random() | 1);
		memset(pointer_of(slot->start), slot->mark, slot->bytes);
		return;
	}
	check_slot(slot);
	if (slot->bytes > PAGE_BYTES && next_random() % 2) {
		assert_int_equal(CALL(world, __NR_munmap, slot->start, PAGE_BYTES), 0);
		slot->start += PAGE_BYTES;
		slot->bytes -= PAGE_BYTES;
		return;
	}
	assert_int_equal(CALL(world, __NR_munmap, slot->start, slot->bytes), 0);
	slot->bytes = 0;
}

/* No two mappings overlap and none is handed out dirty, whatever the order. */
static void test_random_order(void **state)
{
	struct world *world = *state;
	uint64_t charged = world->kernel.mm.charged;
	struct slot slots[SLOTS] = {{0, 0, 0}};

	for (int i = 0; i < 5000; i++)
		change_slot(world, &slots[next_random() % SLOTS]);
	for (int i = 0; i < SLOTS; i++) {
		if (slots[i].bytes == 0)
			continue;
		check_slot(&slots[i]);
		assert_int_equal(CALL(world, __NR_munmap, slots[i].start, slots[i].bytes), 0);
	}
	assert_int_equal(world->kernel.mm.charged, charged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_memory_comes_back_zeroed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reserved_memory_is_not_touched, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_fixed_replaces, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_remap_moves_and_keeps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_remap_shrinks_several_areas, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_limit_gives_enomem, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_brk, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_files_are_mapped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_text_stays_what_it_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shared_mapping_is_the_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_memory_is_efault, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_random_order, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
