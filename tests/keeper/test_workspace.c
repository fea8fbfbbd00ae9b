/* The count of a workspace: what is in it, and nothing behind its links. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* needs the four above */
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper/keeper.h"

#define MANY UINT64_C(1000)
#define LARGE (UINT64_C(1) << 30)
#define OWN 3 /* entries that do not count */

static char root[64];

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(root, sizeof(root), "/tmp/psb-test-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	workspace_tree_remove(AT_FDCWD, root);
	return 0;
}

static const char *in_root(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	return path;
}

static void put(const char *name, size_t bytes)
{
	char block[4096] = "";
	int fd = open(in_root(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	for (; bytes > 0; bytes -= sizeof(block))
		assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
	assert_int_equal(fsync(fd), 0); /* blocks are given late by some file systems */
	assert_int_equal(close(fd), 0);
}

static void entries_are_counted(void **state)
{
	(void)state;
	assert_int_equal(mkdir(in_root("d"), 0700), 0);
	put("d/a", 0);
	put("d/b", 0);
	put("d/c", 0);
	put("d/e", 0);
	assert_false(workspace_is_over(root, 5 - OWN, LARGE));
	assert_true(workspace_is_over(root, 4 - OWN, LARGE));
}

static void bytes_are_counted(void **state)
{
	(void)state;
	put("a", 40960);
	assert_int_equal(mkdir(in_root("d"), 0700), 0);
	put("d/b", 40960);
	assert_false(workspace_is_over(root, MANY, 100000));
	assert_true(workspace_is_over(root, MANY, 60000));
}

static void hard_links_share_their_bytes(void **state)
{
	char first[128];

	(void)state;
	put("a", 40960);
	(void)snprintf(first, sizeof(first), "%s", in_root("a"));
	assert_int_equal(link(first, in_root("b")), 0);
	assert_int_equal(link(first, in_root("c")), 0);
	assert_false(workspace_is_over(root, MANY, 50000));
	assert_true(workspace_is_over(root, MANY, 30000));
}

/* /usr holds more than either cap allows. */
static void links_are_not_followed(void **state)
{
	(void)state;
	assert_int_equal(symlink("/usr", in_root("out")), 0);
	assert_int_equal(symlink("..", in_root("up")), 0);
	assert_int_equal(symlink("loop", in_root("loop")), 0);
	assert_int_equal(mkfifo(in_root("fifo"), 0600), 0);
	assert_false(workspace_is_over(root, 4 - OWN, 8192));
	assert_false(workspace_is_over(in_root("out"), 0, 0));
	assert_false(workspace_is_over(in_root("missing"), 0, 0));
}

static void deep_trees_are_over(void **state)
{
	char path[600];
	size_t len = (size_t)snprintf(path, sizeof(path), "%s", root);

	(void)state;
	for (int i = 0; i < 40; i++) {
		len += (size_t)snprintf(path + len, sizeof(path) - len, "/d");
		assert_int_equal(mkdir(path, 0700), 0);
	}
	assert_false(workspace_is_over(root, MANY, LARGE));
	for (int i = 0; i < 20; i++) {
		len += (size_t)snprintf(path + len, sizeof(path) - len, "/d");
		assert_int_equal(mkdir(path, 0700), 0);
	}
	assert_true(workspace_is_over(root, MANY, LARGE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(entries_are_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bytes_are_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hard_links_share_their_bytes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(links_are_not_followed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(deep_trees_are_over, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
