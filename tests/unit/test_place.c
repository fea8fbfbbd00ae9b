/* Where processes are woken: seen from outside, by what the kernel says of them. */
#include "unit.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/default_imports.h"
#include "core/place.h"
#include "core/task.h"
#include "fixture.h"
#include "host_probe/procfs.h"
#include "ipc/request.h"

static cpu_set_t own;
static pid_t child;
static int pidfd;

static int setup(void **state)
{
	(void)state;
	if (sched_getaffinity(0, sizeof(own), &own) < 0)
		return -1;
	child = fork();
	if (child == 0) {
		(void)pause();
		_exit(0);
	}
	pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	return child < 0 || pidfd < 0;
}

static void reap(void)
{
	if (child > 0) {
		(void)kill(child, SIGKILL);
		(void)waitpid(child, NULL, 0);
	}
	child = 0;
}

static int teardown(void **state)
{
	(void)state;
	reap();
	return close(pidfd) | sched_setaffinity(0, sizeof(own), &own);
}

static struct place learnt(void)
{
	struct place place;

	place_learn(&place);
	if (!place.useful)
		skip();
	return place;
}

static cpu_set_t of(pid_t pid)
{
	cpu_set_t set;

	assert_int_equal(sched_getaffinity(pid, sizeof(set), &set), 0);
	return set;
}

static void assert_same(pid_t pid, const cpu_set_t *wanted)
{
	const cpu_set_t set = of(pid);

	assert_true(CPU_EQUAL(&set, wanted));
}

static void test_a_process_is_held_and_let_go(void **state)
{
	struct place place = learnt();
	struct placed placed = {.pidfd = pidfd, .processor = -1};
	cpu_set_t held;

	(void)state;
	assert_true(place_here(&place, &placed));
	held = of(child);
	assert_int_equal(CPU_COUNT(&held), 1);
	assert_true(CPU_ISSET((size_t)placed.processor, &held));
	assert_true(placed.held);
	place_anywhere(&place, &placed);
	assert_same(child, &own);
	assert_false(placed.held);
}

static void *sleep_long(void *unused)
{
	(void)pause();
	return unused;
}

static pid_t find_thread(pid_t process)
{
	const struct dirent *entry;
	char path[40];
	pid_t found = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)process);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' && strtol(entry->d_name, NULL, 10) != process)
			found = (pid_t)strtol(entry->d_name, NULL, 10);
	(void)closedir(dir);
	return found;
}

/* A second child, with a thread, whose number it gives. */
static pid_t start_with_thread(pid_t *process)
{
	char byte;
	int tell[2];

	assert_int_equal(pipe(tell), 0);
	*process = fork();
	if (*process == 0) {
		pthread_t other;

		(void)pthread_create(&other, NULL, sleep_long, NULL);
		(void)!write(tell[1], "x", 1);
		(void)pause();
		_exit(0);
	}
	assert_int_equal(read(tell[0], &byte, 1), 1);
	(void)close(tell[0]);
	(void)close(tell[1]);
	return find_thread(*process);
}

static void test_threads_are_let_go_too(void **state)
{
	struct place place = learnt();
	struct placed placed = {.processor = -1};
	cpu_set_t one;
	pid_t process;
	pid_t thread = start_with_thread(&process);

	(void)state;
	placed.pidfd = (int)syscall(SYS_pidfd_open, process, 0);
	assert_true(place_here(&place, &placed));
	one = of(process);
	assert_int_equal(sched_setaffinity(thread, sizeof(one), &one), 0);
	place_threads_anywhere(&place, &placed);
	assert_same(thread, &own);
	assert_same(process, &own);
	(void)kill(process, SIGKILL);
	(void)waitpid(process, NULL, 0);
	(void)close(placed.pidfd);
}

static void test_elsewhere_is_not_here(void **state)
{
	struct place place = learnt();
	struct placed placed = {.pidfd = pidfd, .processor = -1};
	int processor;
	cpu_set_t set;

	(void)state;
	assert_true(place_here(&place, &placed));
	processor = placed.processor;
	set = of(0);
	CPU_ZERO(&set);
	CPU_SET((size_t)processor, &set); /* or we might be moved before the look */
	assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
	assert_true(place_is_here(&placed));
	place_elsewhere(&place, &placed);
	set = of(child);
	assert_false(CPU_ISSET((size_t)processor, &set));
	assert_int_equal(CPU_COUNT(&set), CPU_COUNT(&own) - 1);
	assert_false(place_is_here(&placed));
}

static void test_without_a_choice_nothing_is_done(void **state)
{
	struct placed placed = {.pidfd = pidfd, .processor = -1};
	struct place place;
	cpu_set_t one;

	(void)state;
	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	place_learn(&place);
	assert_false(place.useful);
	assert_false(place_here(&place, &placed));
	assert_int_equal(place_next(&place), -1);
	assert_same(child, &own);
}

/* Where the kernel cannot be asked for it. */
static void test_procfs_knows_the_number(void **state)
{
	(void)state;
	assert_true(procfs_is_ours());
	assert_int_equal(procfs_of_pidfd(pidfd), child);
	assert_int_equal(procfs_of_pidfd(STDIN_FILENO), 0);
	assert_int_equal(procfs_of_pidfd(-1), 0);
	reap();
	assert_int_equal(procfs_of_pidfd(pidfd), 0);
}

/* Its number may be another's by then. */
static void test_the_dead_are_not_touched(void **state)
{
	struct place place = learnt();
	struct placed placed = {.pidfd = pidfd, .processor = -1};

	(void)state;
	reap();
	assert_false(place_here(&place, &placed));
	assert_false(placed.held);
	assert_true(place.useful); /* that one is dead says nothing of others */
}

static void test_an_unknown_process_is_not_placed(void **state)
{
	struct place place = learnt();
	struct placed placed = {.pidfd = -1, .processor = -1};

	(void)state;
	assert_false(place_here(&place, &placed));
	assert_true(place.useful);
}

static void test_staying_is_undone(void **state)
{
	struct place_stay stay;
	cpu_set_t now;

	(void)state;
	assert_true(place_stay(&stay));
	now = of(0);
	assert_int_equal(CPU_COUNT(&now), 1);
	place_leave(&stay);
	assert_same(0, &own);
}

static void test_what_another_thread_wants_stands(void **state)
{
	struct place_stay stay;
	cpu_set_t other;

	(void)state;
	(void)learnt();
	assert_true(place_stay(&stay));
	CPU_XOR(&other, &own, &stay.now);
	assert_int_equal(sched_setaffinity(0, sizeof(other), &other), 0);
	place_leave(&stay);
	assert_same(0, &other);
}

static void test_it_stops_where_guests_wait(void **state)
{
	struct place place = learnt();
	unsigned int tries = 0;

	(void)state;
	place.in_use = true;
	assert_true(place_next(&place) >= 0);
	place_judge(&place, 300, 250);
	assert_true(place_pays(&place));
	for (int i = 0; i < 3; i++)
		place_judge(&place, 4000, 250);
	assert_int_equal(place_next(&place), -1);
	for (int i = 0; i < 64; i++)
		tries += place_pays(&place);
	assert_int_equal(tries, 2);
	place_judge(&place, 300, 250);
	assert_true(place_pays(&place));
}

/* The list that templates may expect is the one that requests bring. */
static void test_the_default_list_is_what_requests_bring(void **state)
{
	struct psb_request request;
	psb_sandbox *sandbox;
	struct task *task;

	(void)state;
	fake_reset();
	assert_int_equal(open_fake(only_a, &sandbox, NULL), 0);
	assert_string_equal(buffer_text(&sandbox->imports_text), DEFAULT_IMPORTS);
	psb_request_init(&request);
	request.source = "1";
	request.source_len = 1;
	assert_int_equal(task_new(sandbox, &request, &task, NULL), 0);
	assert_string_equal(buffer_text(&task->job.options),
			    REQUEST_PLAIN_OPTIONS DEFAULT_IMPORTS "}");
	task_free(task);
	psb_close(sandbox);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_process_is_held_and_let_go),
		T(threads_are_let_go_too),
		T(elsewhere_is_not_here),
		T(without_a_choice_nothing_is_done),
		T(procfs_knows_the_number),
		T(the_dead_are_not_touched),
		T(an_unknown_process_is_not_placed),
		T(staying_is_undone),
		T(what_another_thread_wants_stands),
		T(it_stops_where_guests_wait),
		T(the_default_list_is_what_requests_bring),
	};

	return cmocka_run_group_tests_name("place", tests, NULL, NULL);
}
