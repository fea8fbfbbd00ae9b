/* Finds, makes and reads control groups in a directory that imitates the kernel's. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* needs the four above */
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup/cgroup.h"
#include "keeper/keeper.h"

struct host {
	char root[64];
	char self[96];
};

static void put(const char *dir, const char *name, const char *text)
{
	char path[512];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void make_dir(const char *dir, const char *name)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static int set_up(void **state)
{
	struct host *host = calloc(1, sizeof(*host));

	assert_non_null(host);
	(void)snprintf(host->root, sizeof(host->root), "/tmp/psb-test-XXXXXX");
	assert_non_null(mkdtemp(host->root));
	(void)snprintf(host->self, sizeof(host->self), "%s/self", host->root);
	*state = host;
	return 0;
}

static int tear_down(void **state)
{
	struct host *host = *state;

	workspace_tree_remove(AT_FDCWD, host->root);
	assert_int_equal(access(host->root, F_OK), -1);
	free(host);
	return 0;
}

static void test_v1_uses_own_path(void **state)
{
	struct host *host = *state;
	struct cgroup_host found;

	put(host->root, "self", "9:pids:/\n4:memory:/app/x\n2:cpuacct:/\n0::/\n");
	make_dir(host->root, "memory");
	make_dir(host->root, "memory/app");
	make_dir(host->root, "memory/app/x");
	make_dir(host->root, "pids");
	make_dir(host->root, "cpuacct");
	assert_int_equal(cgroup_find(host->root, host->self, &found, NULL), 0);
	assert_false(found.unified);
	assert_non_null(strstr(found.parent[CGROUP_MEMORY], "/memory/app/x"));
}

static void test_v1_falls_back_to_the_mount(void **state)
{
	struct host *host = *state;
	struct cgroup_host found;

	put(host->root, "self",
	    "9:pids:/docker/abc\n4:memory:/docker/abc\n2:cpuacct:/docker/abc\n");
	make_dir(host->root, "memory");
	make_dir(host->root, "pids");
	make_dir(host->root, "cpuacct");
	assert_int_equal(cgroup_find(host->root, host->self, &found, NULL), 0);
	assert_null(strstr(found.parent[CGROUP_PIDS], "docker"));
}

static void test_missing_controller_is_named(void **state)
{
	struct host *host = *state;
	struct cgroup_host found;
	struct psb_error err;

	put(host->root, "self", "4:memory:/\n");
	make_dir(host->root, "memory");
	assert_int_equal(cgroup_find(host->root, host->self, &found, &err), PSB_E_UNSUPPORTED);
	assert_non_null(strstr(err.message, "Delegate"));
}

static void test_v2_takes_the_nearest_that_delegates(void **state)
{
	struct host *host = *state;
	struct cgroup_host found;

	put(host->root, "self", "0::/user/app/scope\n");
	put(host->root, "cgroup.controllers", "cpu memory pids\n");
	make_dir(host->root, "user");
	make_dir(host->root, "user/app");
	make_dir(host->root, "user/app/scope");
	put(host->root, "user/app/cgroup.subtree_control", "");
	assert_int_equal(cgroup_find(host->root, host->self, &found, NULL), 0);
	assert_true(found.unified);
	assert_non_null(strstr(found.parent[0], "/user/app"));
	assert_null(strstr(found.parent[0], "scope"));
}

/* The counters of a v2 slot are differences from when it was armed. */
static void test_v2_slot_usage(void **state)
{
	struct host *host = *state;
	struct cgroup_tree tree = {.name = "psb-1-1", .host = {.unified = true}};
	struct cgroup_slot slot;
	struct cgroup_usage usage;
	char dir[200];

	(void)snprintf(tree.host.parent[0], sizeof(tree.host.parent[0]), "%s", host->root);
	make_dir(host->root, "psb-1-1");
	make_dir(host->root, "psb-1-1/s0");
	(void)snprintf(dir, sizeof(dir), "%s/psb-1-1/s0", host->root);
	put(dir, "cpu.stat", "usage_usec 1000\n");
	put(dir, "memory.current", "4096\n");
	put(dir, "memory.peak", "8192\n");
	put(dir, "memory.max", "");
	put(dir, "pids.max", "");
	put(dir, "memory.events", "low 0\nmax 2\noom_kill 1\n");
	put(dir, "pids.events", "max 3\n");
	cgroup_slot_init(&slot);
	assert_int_equal(cgroup_slot_open(&tree, 0, &slot), 0);
	assert_int_equal(cgroup_slot_arm(&tree, &slot, 1 << 20, 5), 0);
	cgroup_slot_usage(&tree, &slot, true, &usage);
	assert_false(usage.oom_killed);
	assert_int_equal(usage.cpu_us, 0);
	put(dir, "cpu.stat", "user_usec 9\nusage_usec 3500\n");
	put(dir, "memory.events", "low 0\nmax 7\noom_kill 2\n");
	put(dir, "pids.events", "max 4\n");
	cgroup_slot_usage(&tree, &slot, true, &usage);
	assert_int_equal(usage.cpu_us, 2500);
	assert_int_equal(usage.memory_peak_bytes, 4096);
	assert_true(usage.oom_killed);
	assert_true(usage.memory_limit_hit);
	assert_true(usage.process_limit_hit);
	cgroup_slot_close(&slot);
}

static void test_half_a_slot_is_none(void **state)
{
	struct host *host = *state;
	struct cgroup_tree tree = {.name = "psb-1-1", .host = {.unified = true}};
	struct cgroup_slot slot;

	(void)snprintf(tree.host.parent[0], sizeof(tree.host.parent[0]), "%s", host->root);
	make_dir(host->root, "psb-1-1");
	cgroup_slot_init(&slot);
	assert_int_equal(cgroup_slot_open(&tree, 0, &slot), -ENOENT); /* there is no cpu.stat */
	assert_int_equal(slot.dirs[0], -1);
	assert_int_equal(slot.cpu_usage, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_v1_uses_own_path, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_v1_falls_back_to_the_mount, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_missing_controller_is_named, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_v2_takes_the_nearest_that_delegates, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_v2_slot_usage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_half_a_slot_is_none, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
