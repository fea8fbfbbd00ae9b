/* The level's table, floors, and what is read of the host's mitigations. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/floor.h"
#include "core/level.h"

/* A plan that meets every row. */
static struct plan best_plan(void)
{
	struct plan plan = {.engine = "x", .walls = ~0u};

	for (int i = 0; i < CONTROL_COUNT; i++)
		plan.controls[i].by = BY_HYPERVISOR;
	return plan;
}

static void each_row_can_be_the_last(void **state)
{
	static const struct {
		enum plan_control control; /* taken away, if not CONTROL_COUNT */
		unsigned int walls;        /* taken away */
		int level;
	} rows[] = {
		{CONTROL_COUNT, 0, 10},
		{CONTROL_COUNT, WALL_FRESH_WORKER, 9},
		{CONTROL_COUNT, WALL_UNSHARED_PAGES, 9},
		{CONTROL_COUNT, WALL_OWN_WORKER, 8},
		{CONTROL_COUNT, WALL_MITIGATIONS, 8},
		{CONTROL_COUNT, WALL_JAILED_WORKER, 7},
		{CONTROL_COUNT, WALL_HYPERVISOR, 7},
		{CONTROL_COUNT, WALL_HYPERVISOR | WALL_WASM, 7},
		{CONTROL_COUNT, WALL_HYPERVISOR | WALL_WASM | WALL_CGROUP, 6},
		{CONTROL_COUNT, WALL_HYPERVISOR | WALL_WASM | WALL_OWN_UID, 6},
		{CONTROL_COUNT, WALL_NAMESPACES, 10}, /* all by the hypervisor is stronger */
		{CONTROL_signals, 0, 4},
		{CONTROL_network, 0, 4},
		{CONTROL_filesystem, 0, 3},
		{CONTROL_syscalls, 0, 2},
		{CONTROL_cpu, 0, 1},
		{CONTROL_memory, 0, 1},
		{CONTROL_wall, 0, 0},
		{CONTROL_host_memory, 0, 0},
		{CONTROL_imports, 0, 10},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		static const enum control_by weak[] = {BY_ABSENT, BY_ADVISORY, BY_RUNTIME};

		for (size_t j = 0; j < COUNT(weak); j++) {
			struct plan plan = best_plan();

			if (rows[i].control < CONTROL_COUNT)
				plan.controls[rows[i].control].by = weak[j];
			plan.walls &= ~rows[i].walls;
			assert_int_equal(level_by_table(&plan), rows[i].level);
		}
	}
}

/* Without namespaces only a hypervisor around all four counts; the kernel does not. */
static void what_replaces_namespaces(void **state)
{
	static const enum plan_control four[] = {CONTROL_processes, CONTROL_ipc, CONTROL_identity,
						 CONTROL_filesystem};

	(void)state;
	for (size_t i = 0; i < COUNT(four); i++) {
		struct plan plan = best_plan();

		plan.walls &= ~(unsigned int)WALL_NAMESPACES;
		plan.controls[four[i]].by = BY_KERNEL;
		assert_int_equal(level_by_table(&plan), 5);
	}
}

static struct floor read_floor(const char *text)
{
	struct floor floor = {.level = 0};

	assert_int_equal(floor_read("require", text, &floor, NULL), 0);
	return floor;
}

static void floors_are_read_strictly(void **state)
{
	static const char *const bad[] = {"",
					  "0",
					  "11",
					  "05",
					  "5 ",
					  "-1",
					  "five",
					  "memory,",
					  ",memory",
					  "5,6",
					  "imports",
					  "memory,memory",
					  "memory 5",
					  "5,imports",
					  "Memory",
					  "99999999999999999999",
					  "memoryxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"};
	struct floor floor = read_floor("memory,7,network");

	(void)state;
	assert_int_equal(floor.level, 7);
	assert_int_equal(floor.controls, 1u << CONTROL_memory | 1u << CONTROL_network);
	assert_int_equal(read_floor("10").level, 10);
	assert_int_equal(read_floor("cpu").controls, 1u << CONTROL_cpu);
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct psb_error err = {.message = ""};

		assert_int_equal(floor_read("require", bad[i], &floor, &err), PSB_E_POLICY);
		assert_non_null(strstr(err.message, "require: "));
	}
	assert_int_equal(floor.level, 7);
}

static int met(const struct plan *plan, const char *text)
{
	struct floor floor = read_floor(text);

	return floor_met(plan, &floor, NULL);
}

static void floors_count_only_walls(void **state)
{
	struct plan plan = {.engine = "x", .level = 5};

	(void)state;
	plan.controls[CONTROL_network].by = BY_KERNEL;
	plan.controls[CONTROL_workspace].by = BY_ADVISORY;
	plan.controls[CONTROL_memory].by = BY_RUNTIME;
	plan.controls[CONTROL_syscalls].by = BY_HYPERVISOR;
	assert_int_equal(met(&plan, "5"), 0);
	assert_int_equal(met(&plan, "6"), PSB_E_UNSUPPORTED);
	assert_int_equal(met(&plan, "10"), PSB_E_UNSUPPORTED);
	assert_int_equal(met(&plan, "network"), 0);
	assert_int_equal(met(&plan, "syscalls,5,network"), 0);
	assert_int_equal(met(&plan, "syscalls,6"), PSB_E_UNSUPPORTED);
	assert_int_equal(met(&plan, "network,workspace"), PSB_E_UNSUPPORTED);
	assert_int_equal(met(&plan, "memory"), PSB_E_UNSUPPORTED);
	assert_int_equal(met(&plan, "devices"), PSB_E_UNSUPPORTED);
}

/* The guest's own runtime may divide what a wall bounds, and nothing more. */
static void a_runtime_counts_only_behind_a_wall(void **state)
{
	struct plan plan = best_plan();

	(void)state;
	plan.controls[CONTROL_workspace].by = BY_RUNTIME;
	plan.controls[CONTROL_processes].by = BY_RUNTIME;
	plan.controls[CONTROL_network].by = BY_RUNTIME;
	assert_int_equal(met(&plan, "workspace,processes"), 0);
	assert_int_equal(met(&plan, "network"), PSB_E_UNSUPPORTED);
	plan.controls[CONTROL_memory].by = BY_RUNTIME;
	assert_int_equal(met(&plan, "workspace"), PSB_E_UNSUPPORTED);
	assert_int_equal(met(&plan, "processes"), PSB_E_UNSUPPORTED);
}

static void a_shortage_is_explained(void **state)
{
	struct plan plan = {.engine = "x", .level = 5};
	struct floor floor = read_floor("7");
	struct psb_error err;

	(void)state;
	assert_int_equal(floor_met(&plan, &floor, &err), PSB_E_UNSUPPORTED);
	assert_non_null(strstr(err.message, "x reaches level 5 here, the floor is 7"));
	floor = read_floor("memory");
	plan.controls[CONTROL_memory] = (struct control){BY_ADVISORY, "hope"};
	assert_int_equal(floor_met(&plan, &floor, &err), PSB_E_UNSUPPORTED);
	assert_non_null(strstr(err.message, "\"memory\" as advisory here (hope)"));
}

static void joined_floors_demand_both(void **state)
{
	struct floor floor = read_floor("6,memory");
	struct floor more = read_floor("5,network");

	(void)state;
	floor_join(&floor, &more);
	assert_int_equal(floor.level, 6);
	assert_int_equal(floor.controls, 1u << CONTROL_memory | 1u << CONTROL_network);
}

/* Texts as kernels give them. */
static void only_known_good_texts_are_good(void **state)
{
	static const char *const good[] = {
		"Not affected\n",
		"Mitigation: PTI\n",
		"Mitigation: usercopy/swapgs barriers and __user pointer sanitization\n",
		"Mitigation: Speculative Store Bypass disabled via prctl\n",
		"Mitigation: Clear CPU buffers; SMT disabled\n",
		"KVM: Mitigation: VMX disabled\n",
		"Mitigation: Retpolines; STIBP: disabled; RSB filling; PBRSB-eIBRS: Not affected\n",
	};
	static const char *const bad[] = {
		"",
		"\n",
		"Vulnerable\n",
		"Vulnerable: Safe RET, no microcode\n",
		"Vulnerable: __user pointer sanitization and usercopy barriers only\n",
		"Processor vulnerable\n",
		"KVM: Vulnerable\n",
		"Mitigation: Clear CPU buffers; SMT vulnerable\n",
		"Mitigation: PTE Inversion; VMX: conditional cache flushes, SMT vulnerable\n",
		"Mitigation: Enhanced IBRS; RSB filling; BHI: Vulnerable\n",
		"Mitigation: Clear CPU buffers; SMT Host state unknown\n",
		"Unknown: Dependent on hypervisor status\n",
		"Unknown: No mitigations\n",
		"something new\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(speculation_text_good(good[i]));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(speculation_text_good(bad[i]));
}

static void put_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
}

static void remove_file(const char *dir, const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	(void)unlink(path);
}

static void the_level_falls_with_the_mitigations(void **state)
{
	char dir[] = "/tmp/psb-speculation-XXXXXX";
	struct speculation found;
	struct plan plan = best_plan();

	(void)state;
	assert_non_null(mkdtemp(dir));
	speculation_read(dir, &found); /* an empty directory tells nothing */
	assert_false(found.mitigated);
	assert_string_equal(found.found, "unknown");
	put_file(dir, "mds", "Not affected\n");
	put_file(dir, "retbleed", "Mitigation: untrained return thunk\n");
	speculation_read(dir, &found);
	assert_true(found.mitigated);
	assert_int_equal(found.examined, 2);
	level_settle(&plan, &found);
	assert_int_equal(plan.level, 10);
	assert_int_equal(plan.controls[CONTROL_hardware_speculation].by, BY_KERNEL);
	put_file(dir, "spec_rstack_overflow", "Vulnerable: Safe RET, no microcode\n");
	speculation_read(dir, &found);
	assert_false(found.mitigated);
	assert_string_equal(found.found, "vulnerable:spec_rstack_overflow");
	level_settle(&plan, &found);
	assert_int_equal(plan.level, 8);
	assert_int_equal(plan.controls[CONTROL_hardware_speculation].by, BY_ABSENT);
	assert_string_equal(plan.controls[CONTROL_hardware_speculation].how, found.found);
	remove_file(dir, "mds");
	remove_file(dir, "retbleed");
	remove_file(dir, "spec_rstack_overflow");
	assert_int_equal(rmdir(dir), 0);
	speculation_read(dir, &found); /* no such directory */
	assert_false(found.mitigated);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_can_be_the_last),
		cmocka_unit_test(what_replaces_namespaces),
		cmocka_unit_test(floors_are_read_strictly),
		cmocka_unit_test(floors_count_only_walls),
		cmocka_unit_test(a_runtime_counts_only_behind_a_wall),
		cmocka_unit_test(a_shortage_is_explained),
		cmocka_unit_test(joined_floors_demand_both),
		cmocka_unit_test(only_known_good_texts_are_good),
		cmocka_unit_test(the_level_falls_with_the_mitigations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
