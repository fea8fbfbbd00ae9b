/*
 * Libraries in their window: a loader's mappings cost no copy, all other ways to map the same file
 * are as they were, and no page is used as what it is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define R LX_PROT_READ
#define RX (LX_PROT_READ | LX_PROT_EXEC)
#define RW (LX_PROT_READ | LX_PROT_WRITE)
#define LOADER (LX_MAP_PRIVATE | 0x800) /* MAP_DENYWRITE */
#define LOADER_FIXED (LOADER | LX_MAP_FIXED)
#define ANONYMOUS (LX_MAP_PRIVATE | LX_MAP_ANONYMOUS)
#define PAGES(n) ((uint64_t)(n)*PAGE_BYTES)
#define LIB_PAGES 5u
#define WIDE_PAGES 2u
#define WIDE_AT 8u
#define WIDE_RESERVED 8u

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

static int64_t open_file(struct world *world, const char *path)
{
	return CALL(world, __NR_open, world_string(world, 0, path), LX_O_RDONLY);
}

static uint64_t page(const struct world *world, uint64_t number)
{
	return address_of(world->window) + PAGES(number);
}

static bool in_pool(const struct world *world, int64_t at)
{
	return (uint64_t)at - address_of(world->pool) < WORLD_POOL_BYTES;
}

static int64_t map(struct world *world, uint64_t at, uint64_t bytes, uint32_t prot, uint32_t flags,
		   int64_t fd, uint64_t offset)
{
	return CALL(world, __NR_mmap, at, bytes, prot, flags, fd, offset);
}

/* All that a loader does with lib.so. */
static void load(struct world *world, int64_t fd)
{
	assert_int_equal(map(world, 0, PAGES(LIB_PAGES) - 100, R, LOADER, fd, 0), page(world, 0));
	assert_int_equal(CALL(world, __NR_mprotect, page(world, 1), PAGES(3), 0), 0);
	assert_int_equal(map(world, page(world, 1), PAGES(1), RX, LOADER_FIXED, fd, PAGES(1)),
			 page(world, 1));
	assert_int_equal(map(world, page(world, 3), PAGES(1), RW, LOADER_FIXED, fd, PAGES(3)),
			 page(world, 3));
	assert_int_equal(
		map(world, page(world, 4), PAGES(1) - 100, RW, ANONYMOUS | LX_MAP_FIXED, -1, 0),
		page(world, 4));
}

static void check_filled(const struct world *world, uint64_t number, int byte)
{
	const uint8_t *at = pointer_of(page(world, number));

	for (uint64_t i = 0; i < PAGE_BYTES; i++)
		assert_int_equal(at[i], byte);
}

static void test_only_writable_parts_are_charged(void **state)
{
	struct world *world = *state;
	struct mm *mm = &world->kernel.mm;
	uint64_t charged = mm->charged;
	int64_t fd = open_file(world, "/lib.so");

	load(world, fd);
	assert_int_equal(mm->charged, charged + PAGES(2));
	check_filled(world, 0, 'a');
	check_filled(world, 1, 'b');
	check_filled(world, 3, 'd');
	check_filled(world, 4, 0);
	assert_true(mm_allows(mm, page(world, 1), PAGES(1), RX));
	assert_false(mm_allows(mm, page(world, 1), 1, LX_PROT_WRITE));
	assert_false(mm_allows(mm, page(world, 2), 1, R));
	assert_true(mm_allows(mm, page(world, 3), PAGES(2), RW));
	assert_int_equal(
		CALL(world, __NR_mincore, page(world, 0), PAGES(LIB_PAGES), world_user(world, 0)),
		0);
	assert_int_equal(CALL(world, __NR_munmap, page(world, 0), PAGES(LIB_PAGES)), 0);
	assert_int_equal(mm->charged, charged);
	assert_false(mm_is_mapped(mm, page(world, 0), 1));
}

static void test_a_place_that_comes_back_is_fresh(void **state)
{
	struct world *world = *state;
	int64_t fd = open_file(world, "/lib.so");

	for (int round = 0; round < 3; round++) {
		load(world, fd);
		check_filled(world, 3, 'd');
		check_filled(world, 4, 0);
		memset(pointer_of(page(world, 3)), 0xee, PAGES(2));
		assert_int_equal(CALL(world, __NR_munmap, page(world, 0), PAGES(LIB_PAGES)), 0);
	}
	mm_clean(&world->kernel.mm);
	check_filled(world, 3, 0);
}

static void test_a_second_mapping_is_a_copy(void **state)
{
	struct world *world = *state;
	int64_t fd = open_file(world, "/lib.so");
	int64_t second;

	load(world, fd);
	second = map(world, 0, PAGES(LIB_PAGES), R, LOADER, fd, 0);
	assert_true(in_pool(world, second));
	assert_memory_equal(pointer_of((uint64_t)second), world->image + 8192 + 4096, PAGES(4));
	assert_int_equal(
		map(world, (uint64_t)second + PAGES(1), PAGES(1), RX, LOADER_FIXED, fd, PAGES(1)),
		second + (int64_t)PAGES(1));
	check_filled(world, 3, 'd');
}

/* As for any file: the bytes of the file, wherever they are. */
static void test_other_mappings_show_the_file(void **state)
{
	struct world *world = *state;
	int64_t fd = open_file(world, "/lib.so");
	int64_t in_place = map(world, 0, PAGES(4), R, LX_MAP_PRIVATE, fd, 0);
	const struct {
		uint64_t hint;
		uint64_t bytes;
		uint32_t prot;
		uint32_t flags;
		uint64_t offset;
	} others[] = {
		{0, PAGES(4), R, LOADER, 0},
		{0, PAGES(LIB_PAGES), RW, LOADER, 0},
		{0, PAGES(LIB_PAGES), RW, LX_MAP_PRIVATE, 0},
		{0, PAGES(LIB_PAGES), R, LX_MAP_SHARED | 0x800, 0},
		{0, PAGES(LIB_PAGES), R, LOADER | 0x8000, 0}, /* MAP_POPULATE */
		{page(world, 0), PAGES(LIB_PAGES), R, LOADER, 0},
		{0, PAGES(3), R, LOADER, PAGES(1)},
	};

	assert_int_equal(in_place, address_of(world->image) + 8192 + 4096);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		int64_t at = map(world, others[i].hint, others[i].bytes, others[i].prot,
				 others[i].flags, fd, others[i].offset);

		assert_true(in_pool(world, at));
		assert_memory_equal(pointer_of((uint64_t)at),
				    world->image + 8192 + 4096 + others[i].offset, PAGES(3));
	}
	load(world, fd);
}

static void test_pages_stay_what_they_are(void **state)
{
	struct world *world = *state;
	int64_t fd = open_file(world, "/lib.so");
	int64_t other = open_file(world, "/wide.so");
	const uint32_t fixed = ANONYMOUS | LX_MAP_FIXED;

	load(world, fd);
	assert_int_equal(map(world, page(world, 1), PAGES(1), RW, fixed, -1, 0), -ENOMEM);
	assert_int_equal(map(world, page(world, 1), PAGES(3), RW, fixed, -1, 0), -ENOMEM);
	assert_int_equal(map(world, page(world, 2), PAGES(1), R, fixed, -1, 0), -ENOMEM);
	assert_int_equal(map(world, page(world, 6), PAGES(1), RW, fixed, -1, 0), -ENOMEM);
	assert_int_equal(map(world, page(world, 1), PAGES(1), RW, LOADER_FIXED, fd, PAGES(1)),
			 -ENOMEM);
	assert_int_equal(map(world, page(world, 1), PAGES(1), R, LOADER_FIXED, fd, PAGES(2)),
			 -ENOMEM);
	assert_int_equal(map(world, page(world, 1), PAGES(1), R, LOADER_FIXED, other, 0), -ENOMEM);
	assert_int_equal(map(world, page(world, 0), PAGES(1), RX, LOADER_FIXED, fd, 0), -ENOMEM);
	assert_int_equal(map(world, page(world, 3), PAGES(1), RW | RX, fixed, -1, 0), -EACCES);
	assert_int_equal(map(world, page(world, 16), PAGES(2), RW, fixed, -1, 0), -ENOMEM);
	assert_int_equal(CALL(world, __NR_mprotect, page(world, 1), PAGES(1), RW), -EACCES);
	assert_int_equal(CALL(world, __NR_mprotect, page(world, 0), PAGES(1), RX), -EACCES);
	assert_int_equal(CALL(world, __NR_mprotect, page(world, 2), PAGES(1), R), -EACCES);
	assert_int_equal(CALL(world, __NR_mprotect, page(world, 3), PAGES(1), RX), -EACCES);
	assert_int_equal(CALL(world, __NR_mprotect, page(world, 3), PAGES(1), R), 0);
	assert_int_equal(CALL(world, __NR_madvise, page(world, 0), PAGES(2), 4), 0);
	check_filled(world, 0, 'a');
	check_filled(world, 1, 'b');
	check_filled(world, 3, 'd');
}

/* Before its own mapping comes, memory of a library is nobody's. */
static void test_memory_is_not_writable_without_a_charge(void **state)
{
	struct world *world = *state;
	int64_t fd = open_file(world, "/lib.so");

	assert_int_equal(map(world, 0, PAGES(LIB_PAGES), R, LOADER, fd, 0), page(world, 0));
	assert_int_equal(CALL(world, __NR_mprotect, page(world, 3), PAGES(1), RW), -EACCES);
	assert_false(mm_allows(&world->kernel.mm, page(world, 3), 1, LX_PROT_WRITE));
}

static void test_hints_and_moves_stay_out(void **state)
{
	struct world *world = *state;
	int64_t fd = open_file(world, "/lib.so");
	int64_t mine = map(world, page(world, 3), PAGES(1), RW, ANONYMOUS, -1, 0);
	int64_t moved;

	assert_true(in_pool(world, mine));
	load(world, fd);
	moved = CALL(world, __NR_mremap, page(world, 3), PAGES(2), PAGES(3), LX_MREMAP_MAYMOVE);
	assert_true(in_pool(world, moved));
	assert_int_equal(((uint8_t *)pointer_of((uint64_t)moved))[0], 'd');
	assert_int_equal(CALL(world, __NR_mremap, mine, PAGES(1), PAGES(1),
			      LX_MREMAP_MAYMOVE | LX_MREMAP_FIXED, page(world, 1)),
			 -ENOMEM);
	assert_int_equal(
		CALL(world, __NR_mremap, page(world, 1), PAGES(1), PAGES(2), LX_MREMAP_MAYMOVE),
		-ENOMEM);
	check_filled(world, 1, 'b');
}

/* The host knows memory only where it lies. */
static void test_the_host_writes_to_memory_of_a_library(void **state)
{
	struct world *world = *state;
	int64_t fd = open_file(world, "/lib.so");

	load(world, fd);
	world->request = "from the host";
	assert_int_equal(CALL(world, __NR_read, GUEST_REQUEST_FD, page(world, 4) + 8, 4096 - 8),
			 13);
	assert_int_equal(world->request_at, address_of(world->window_memory) + PAGES(1) + 8);
	assert_memory_equal(pointer_of(page(world, 4) + 8), "from the host", 13);
	assert_int_equal(CALL(world, __NR_read, GUEST_REQUEST_FD, page(world, 1), 16), -EFAULT);
	assert_int_equal(CALL(world, __NR_pread64, fd, page(world, 3), 16, 0), 16);
	assert_int_equal(*(uint8_t *)pointer_of(page(world, 3)), 'a');
}

static void test_wide_alignment(void **state)
{
	struct world *world = *state;
	uint64_t asked = PAGES(WIDE_RESERVED) - 60;
	int64_t fd;

	assert_true(in_pool(world, map(world, 0, asked, 0, ANONYMOUS, -1, 0)));
	fd = open_file(world, "/wide.so");
	assert_true(in_pool(world, map(world, 0, asked, RW, ANONYMOUS, -1, 0)));
	assert_true(in_pool(world, map(world, 0, PAGES(4), 0, ANONYMOUS, -1, 0)));
	assert_true(in_pool(world, map(world, 0, PAGES(WIDE_PAGES), R, LOADER, fd, 0)));
	assert_int_equal(map(world, 0, asked, 0, ANONYMOUS, -1, 0), page(world, WIDE_AT));
	assert_int_equal(
		map(world, page(world, WIDE_AT), PAGES(WIDE_PAGES), RX, LOADER_FIXED, fd, 0),
		page(world, WIDE_AT));
	assert_int_equal(CALL(world, __NR_munmap, page(world, WIDE_AT + WIDE_PAGES),
			      PAGES(WIDE_RESERVED - WIDE_PAGES)),
			 0);
	assert_int_equal(
		map(world, page(world, WIDE_AT + 1), PAGES(1), RW, LOADER_FIXED, fd, PAGES(1)),
		page(world, WIDE_AT + 1));
	check_filled(world, WIDE_AT, 'a');
	check_filled(world, WIDE_AT + 1, 'b');
	assert_true(in_pool(world, map(world, 0, asked, 0, ANONYMOUS, -1, 0)));
}

static void test_the_limit_holds(void **state)
{
	struct world *world = *state;
	struct mm *mm = &world->kernel.mm;
	int64_t fd = open_file(world, "/lib.so");

	mm->limit = mm->charged + PAGES(1);
	assert_int_equal(map(world, 0, PAGES(LIB_PAGES), R, LOADER, fd, 0), page(world, 0));
	assert_int_equal(map(world, page(world, 3), PAGES(2), RW, LOADER_FIXED, fd, PAGES(3)),
			 -ENOMEM);
	assert_int_equal(map(world, page(world, 3), PAGES(1), RW, LOADER_FIXED, fd, PAGES(3)),
			 page(world, 3));
	assert_int_equal(mm_set_end(mm, address_of(world->pool) + WORLD_POOL_BYTES), 0);
	assert_int_equal(mm_set_end(mm, page_up(address_of(world->user) + 1)), -EINVAL);
}

static bool mounts_with(struct world *world, void *field, uint64_t value, size_t bytes)
{
	uint8_t kept[8];
	struct vfs vfs = {0};
	bool good;

	memcpy(kept, field, bytes);
	memcpy(field, &value, bytes);
	good = image_mount(&vfs, world->image, world->image_bytes) == 0;
	memcpy(field, kept, bytes);
	return good;
}

static void test_damaged_tables_are_refused(void **state)
{
	struct world *world = *state;
	struct image_header *header = (void *)world->image;
	struct image_library *library = (void *)(world->image + header->libraries_offset);
	struct image_part *part = (void *)(world->image + header->parts_offset);

#define GOOD(field, value) assert_true(mounts_with(world, &(field), (value), sizeof(field)))
#define BAD(field, value) assert_false(mounts_with(world, &(field), (value), sizeof(field)))
	GOOD(part[0].source, PAGES(2));
	BAD(header->libraries_offset, header->total_bytes);
	BAD(header->libraries_offset, header->libraries_offset + 4);
	BAD(header->parts_offset, UINT64_MAX - 7);
	BAD(header->library_count, UINT32_MAX);
	BAD(header->library_count, 1);
	BAD(header->part_count, UINT32_MAX);
	BAD(header->library_bytes, PAGES(9));
	BAD(header->library_bytes, GUEST_LIBRARY_MAX_BYTES + PAGES(1));
	BAD(header->library_ram_bytes, PAGES(2));
	BAD(header->library_ram_bytes, GUEST_LIBRARY_RAM_MAX_BYTES + PAGES(1));
	BAD(library[0].node, header->node_count);
	BAD(library[1].node, TEST_LIB);
	BAD(library[0].bytes, PAGES(4));
	BAD(library[0].bytes, 0);
	BAD(library[0].bytes, PAGES(9));
	BAD(library[1].start, PAGES(4));
	BAD(library[1].start, PAGES(9));
	BAD(library[1].align, 0);
	BAD(library[1].align, 3 * PAGE_BYTES);
	BAD(part[0].source, header->total_bytes);
	BAD(part[0].source, 1);
	BAD(part[0].source, UINT64_MAX - PAGES(1) + 1);
	BAD(part[0].bytes, 0);
	BAD(part[0].bytes, PAGES(2));
	BAD(part[0].bytes, UINT64_MAX - PAGES(1) + 1);
	BAD(part[1].start, PAGES(0));
	BAD(part[1].flags, 4);
	BAD(part[2].source, PAGES(2));
	BAD(part[4].start, PAGES(10));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_only_writable_parts_are_charged),
		TEST(test_a_place_that_comes_back_is_fresh),
		TEST(test_a_second_mapping_is_a_copy),
		TEST(test_other_mappings_show_the_file),
		TEST(test_pages_stay_what_they_are),
		TEST(test_memory_is_not_writable_without_a_charge),
		TEST(test_hints_and_moves_stay_out),
		TEST(test_the_host_writes_to_memory_of_a_library),
		TEST(test_wide_alignment),
		TEST(test_the_limit_holds),
		TEST(test_damaged_tables_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
