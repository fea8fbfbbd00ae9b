/*
 * The object that shows programs the clock is found as the C library's loader looks: through the
 * dynamic section, the hash table and its chain. What is shown is what the kernel's own clock says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "linux/vdso.h"
#include "world.h"

static const struct vdso_symbol symbols[VDSO_SYMBOLS] = {
	{"__vdso_clock_gettime", 0x1234}, {"__vdso_time", 0x5678}, {NULL, 0}};

static uint64_t dynamic_value(const struct vdso *vdso, int64_t tag)
{
	const Elf64_Dyn *row = pointer_of(vdso->segments[1].p_vaddr);

	while (row->d_tag != DT_NULL && row->d_tag != tag)
		row++;
	return row->d_tag == tag ? row->d_un.d_val : 0;
}

/* As the loader does: bucket, then chain, names compared. */
static uint64_t look_up(const struct vdso *vdso, const char *name)
{
	const uint32_t *hash = pointer_of(dynamic_value(vdso, DT_HASH));
	const Elf64_Sym *table = pointer_of(dynamic_value(vdso, DT_SYMTAB));
	const char *text = pointer_of(dynamic_value(vdso, DT_STRTAB));

	assert_int_equal(hash[0], 1);
	for (uint32_t i = hash[2]; i != 0; i = hash[3 + i]) {
		assert_true(i < hash[1]);
		assert_true(table[i].st_name < dynamic_value(vdso, DT_STRSZ));
		if (strcmp(text + table[i].st_name, name) == 0)
			return table[i].st_value;
	}
	return 0;
}

static void test_the_loader_finds_the_functions(void **state)
{
	struct vdso vdso;
	const char *text;

	(void)state;
	vdso_build(&vdso, symbols);
	assert_memory_equal(vdso.header.e_ident, ELFMAG, SELFMAG);
	assert_int_equal(vdso.segments[0].p_vaddr, address_of(&vdso));
	text = pointer_of(dynamic_value(&vdso, DT_STRTAB));
	assert_string_equal(text + dynamic_value(&vdso, DT_SONAME), "linux-vdso.so.1");
	assert_int_equal(look_up(&vdso, "__vdso_clock_gettime"), 0x1234);
	assert_int_equal(look_up(&vdso, "__vdso_time"), 0x5678);
	assert_int_equal(look_up(&vdso, "__vdso_getcpu"), 0);
}

static void test_what_is_shown_is_the_clock(void **state)
{
	struct world *world = world_open();
	struct user_clock shown = {.writes = 0};

	(void)state;
	world->kernel.user_clock = &shown;
	world->run.clock.base_tsc += 1000;
	clock_rebase(&world->kernel);
	assert_int_equal(shown.writes, 1);
	assert_int_equal(shown.base_tsc, world->kernel.base_tsc);
	assert_int_equal(shown.multiplier, world->run.clock.multiplier);
	assert_int_equal(shown.steady_base_ns, world->run.clock.monotonic_base_ns);
	assert_int_equal(shown.wall_base_ns, world->run.clock.realtime_base_ns);
	clock_rebase(&world->kernel);
	assert_int_equal(shown.writes, 2); /* who was stopped while reading reads again */
	world_close(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_loader_finds_the_functions),
		cmocka_unit_test(test_what_is_shown_is_the_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
