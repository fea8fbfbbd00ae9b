/*
 * The guest kernel's system calls: a sequence of calls with hostile arguments, one thread or many.
 * Whatever the program asks for, the kernel writes only where the program may (AddressSanitizer,
 * the pool's edges), its list of areas stays in order and its count of memory true.
 *
 * Input: 10 bytes a call: number, five argument codes, two 16-bit values.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "world.h"

#define CALL_BYTES 10u
#define MAX_CALLS 200u
#define NUMBERS 452u

/* What a hostile program would try: places in its own memory, edges, nonsense. */
static uint64_t argument(const struct world *world, uint8_t code, uint16_t first, uint16_t second)
{
	const struct mm *mm = &world->kernel.mm;

	if (mm->count == 0)
		return second;
	switch (code % 16) {
	case 0: return code / 16;
	case 1: return first;
	case 2: return second;
	case 3: return world_user(world, first);
	case 4: return world_user(world, (uint64_t)second * 16);
	case 5: return page_down(world_user(world, (uint64_t)first * 16));
	case 6: return (uint64_t)first * PAGE_BYTES;
	case 7: return world_user(world, WORLD_USER_BYTES - code / 16);
	case 8: return mm->areas[first % mm->count].start;
	case 9: return mm->areas[first % mm->count].end - second % 64;
	case 10: return UINT64_MAX - second;
	case 11: return UINT64_C(1) << (code / 16 + second % 64) % 64;
	case 12: return mm->brk_end + first;
	case 13: return address_of(world->image) + first;
	case 14: return (uint32_t)first << 16 | second;
	default: return code / 16 + 3u; /* a descriptor */
	}
}

/* Paths, times, vectors and structures for the calls to find. */
static void fill_memory(struct world *world, const uint8_t *data, size_t size)
{
	static const char paths[] = "/tmp/a\0/hello\0/dir/../link\0a/b\0/tmp\0/proc/self/maps\0"
				    "/dev/zero\0/dev/shm/x\0..\0/tmp/a/\0/link/x";

	for (uint64_t at = 0; size > 0 && at < 65536; at++)
		world->user[at] = data[at % size];
	memcpy(world->user, paths, sizeof(paths));
	for (uint64_t at = 4096; at < 65536; at += 64) {
		uint64_t pair[2] = {world_user(world, at + 512), at % 977};

		memcpy(world->user + at, pair, sizeof(pair));
	}
}

static void check(const struct world *world)
{
	const struct mm *mm = &world->kernel.mm;
	uint64_t charged = 0;

	for (uint64_t i = 0; i < mm->count; i++) {
		const struct area *area = &mm->areas[i];

		charged += area_charge(area);
		if (area->start >= area->end || area->start < mm->low || area->end > mm->high ||
		    (i > 0 && mm->areas[i - 1].end > area->start))
			abort();
	}
	for (uint64_t i = 0; i < mm->stale_count; i++)
		if (mm->stale[i].start >= mm->stale[i].end ||
		    (i > 0 && mm->stale[i - 1].end > mm->stale[i].start) ||
		    !areas_free(mm, mm->stale[i].start, mm->stale[i].end))
			abort();
	if (charged != mm->charged)
		abort();
	if (world->kernel.vfs.tmpfs.used_bytes > world->kernel.vfs.tmpfs.max_bytes ||
	    world->kernel.vfs.tmpfs.used_files > world->kernel.vfs.tmpfs.max_files)
		abort();
}

static uint16_t get_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static void make_call(struct world *world, const uint8_t *at)
{
	uint16_t first = get_u16(at + 6);
	uint16_t second = get_u16(at + 8);
	uint64_t number = at[0] == 255 ? first % NUMBERS : at[0];
	uint64_t arguments[6];

	for (unsigned i = 0; i < 5; i++)
		arguments[i] = argument(world, at[1 + i], first, second);
	arguments[5] = argument(world, (uint8_t)(at[1] ^ at[5]), second, first);
	(void)world_call(world, number, arguments[0], arguments[1], arguments[2], arguments[3],
			 arguments[4], arguments[5]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *world = world_open();

	fill_memory(world, data, size);
	for (size_t i = 0; i < size / CALL_BYTES && i < MAX_CALLS && world->end == WORLD_RUNS;
	     i++) {
		make_call(world, data + i * CALL_BYTES);
		if (world->end == WORLD_PANIC)
			abort();
		check(world);
	}
	world_close(world);
	return 0;
}
