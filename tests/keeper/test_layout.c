/* Interpreters are found by their paths; nothing is executed to find out. */

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

#include "keeper/keeper.h"
#include "keeper/python_layout.h"

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

static void put(const char *name, const char *text, size_t len, mode_t mode)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		(void)mkdir(path, 0755);
		*slash = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	assert_int_equal(close(fd), 0);
}

static int find(const char *name, struct python_layout *out, struct psb_error *err)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	return python_layout_find(path, out, err);
}

static void test_system_python(void **state)
{
	struct python_layout layout;

	(void)state;
	assert_int_equal(python_layout_find("/usr/bin/python3", &layout, NULL), 0);
	assert_string_equal(layout.prefix, "/usr");
	assert_string_equal(layout.venv, "");
	assert_int_equal(strncmp(layout.version, "3.", 2), 0);
}

static void test_prefix_and_venv(void **state)
{
	struct python_layout layout;
	char link[256];
	char target[256];

	(void)state;
	put("opt/bin/python3.12", "\177ELF....", 8, 0755);
	put("opt/lib/python3.12/os.py", "", 0, 0644);
	put("venv/pyvenv.cfg", "home = x\n", 9, 0644);
	put("venv/bin/keep", "", 0, 0644);
	(void)snprintf(target, sizeof(target), "%s/opt/bin/python3.12", root);
	(void)snprintf(link, sizeof(link), "%s/venv/bin/python3", root);
	assert_int_equal(symlink(target, link), 0);
	assert_int_equal(find("venv/bin/python3", &layout, NULL), 0);
	assert_string_equal(layout.version, "3.12");
	assert_non_null(strstr(layout.prefix, "/opt"));
	assert_non_null(strstr(layout.venv, "/venv"));
	assert_string_equal(layout.executable, target);
}

static void test_bad_interpreters_are_explained(void **state)
{
	struct python_layout layout;
	struct psb_error err;

	(void)state;
	put("shims/python3", "#!/bin/sh\n", 10, 0755);
	assert_int_equal(find("shims/python3", &layout, &err), PSB_E_UNSUPPORTED);
	assert_non_null(strstr(err.message, "script"));
	assert_int_equal(find("nowhere/python3", &layout, &err), PSB_E_NOT_FOUND);
	assert_int_equal(python_layout_find("python3", &layout, &err), PSB_E_NOT_FOUND);
	assert_non_null(strstr(err.message, "absolute"));
	put("other/bin/tool", "\177ELF....", 8, 0755);
	assert_int_equal(find("other/bin/tool", &layout, &err), PSB_E_UNSUPPORTED);
	put("bare/bin/python3.12", "\177ELF....", 8, 0755);
	assert_int_equal(find("bare/bin/python3.12", &layout, &err), PSB_E_NOT_FOUND);
	assert_non_null(strstr(err.message, "standard library"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_system_python),
		cmocka_unit_test_setup_teardown(test_prefix_and_venv, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_interpreters_are_explained, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
