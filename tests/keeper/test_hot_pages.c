/* What a process touches between two looks is found from outside, and nothing else is. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* needs the four above */
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keeper/hot_pages.h"

#define PAGES 64u
#define PAGE 4096u

static uint8_t *pages;

static int set_up(void **state)
{
	(void)state;
	pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	if (pages == MAP_FAILED)
		return -1;
	memset(pages, 1, PAGES * PAGE);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return munmap(pages, PAGES * PAGE);
}

/* A child that touches pages 3, 4, 5 and 20 when told to, and says so. */
static pid_t start_child(int go[2], int done[2])
{
	static const size_t touched[] = {3, 4, 5, 20};
	pid_t pid;
	char byte;

	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(done), 0);
	pid = fork();
	if (pid != 0)
		return pid;
	if (read(go[0], &byte, 1) != 1)
		_exit(1);
	for (size_t i = 0; i < sizeof(touched) / sizeof(touched[0]); i++)
		((volatile uint8_t *)pages)[touched[i] * PAGE] = 2;
	if (write(done[1], "d", 1) != 1)
		_exit(1);
	for (;;)
		(void)pause();
}

static void end_child(pid_t pid, const int go[2], const int done[2])
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (int i = 0; i < 2; i++) {
		(void)close(go[i]);
		(void)close(done[i]);
	}
}

static bool covers(const struct hot_set *set, size_t page, uint32_t advice)
{
	uint64_t address = (uintptr_t)pages + page * PAGE;

	for (uint32_t i = 0; i < set->count; i++)
		if (set->spans[i].advice == advice && address >= set->spans[i].address &&
		    address < set->spans[i].address + (uint64_t)set->spans[i].pages * PAGE)
			return true;
	return false;
}

static void test_touched_pages_are_found(void **state)
{
	struct hot_set *set = calloc(1, sizeof(*set));
	struct page_look *before = NULL;
	int go[2];
	int done[2];
	char byte;
	pid_t pid = start_child(go, done);

	(void)state;
	assert_non_null(set);
	assert_int_equal(page_look_take(pid, &before), 0);
	assert_int_equal(write(go[1], "g", 1), 1);
	assert_int_equal(read(done[0], &byte, 1), 1);
	assert_int_equal(page_look_compare(before, pid, set), 0);
	for (size_t i = 0; i < PAGES; i++)
		assert_int_equal(covers(set, i, MADV_POPULATE_WRITE),
				 (i >= 3 && i <= 5) || i == 20);
	page_look_free(before);
	end_child(pid, go, done);
	free(set);
}

static void test_nothing_touched_is_nothing_found(void **state)
{
	struct hot_set *set = calloc(1, sizeof(*set));
	struct page_look *before = NULL;
	int go[2];
	int done[2];
	pid_t pid = start_child(go, done);

	(void)state;
	assert_non_null(set);
	assert_int_equal(page_look_take(pid, &before), 0);
	assert_int_equal(page_look_compare(before, pid, set), 0);
	for (size_t i = 0; i < PAGES; i++)
		assert_false(covers(set, i, MADV_POPULATE_WRITE));
	page_look_free(before);
	end_child(pid, go, done);
	free(set);
}

static void test_a_dead_process_has_no_pages(void **state)
{
	struct page_look *look = NULL;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(page_look_take(pid, &look), -ENOENT);
	assert_null(look);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_touched_pages_are_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_touched_is_nothing_found, set_up,
						tear_down),
		cmocka_unit_test(test_a_dead_process_has_no_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
