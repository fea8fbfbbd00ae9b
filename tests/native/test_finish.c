/* The host ends a finished run by itself only when that is the whole story: no limit was met, the
 * guest was still there, and all that is needed was handed over. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* needs the four above */
#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../keeper/child.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "native.h"

#define CPU_BASE_US 1000u
#define MEMORY_BASE 4096u

static struct engine_template tmpl;
static struct engine_instance instance;
static pid_t guest;
static pid_t init;

static int pidfd_of(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	assert_true(fd >= 0);
	return fd;
}

static int counter(const char *text)
{
	int fd = memfd_create("counter", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static const char *refusals = "max 2\n";

static void give_counters(const char *cpu, const char *peak, bool unified)
{
	const struct keeper_message message = {.type = KEEPER_READY,
					       .bases = {.cpu_us = CPU_BASE_US,
							 .memory_bytes = MEMORY_BASE,
							 .refused = 2,
							 .unified = unified}};
	int fds[READY_FDS] = {pidfd_of(guest), pidfd_of(init), counter(cpu), counter(peak),
			      counter(refusals)};

	close_fd(&instance.guest.pidfd);
	close_fd(&instance.init_pidfd);
	native_take_means(&instance, &message, fds);
	for (size_t i = 0; i < READY_FDS; i++)
		assert_int_equal(fds[i], -1);
}

static int set_up(void **state)
{
	(void)state;
	memset(tmpl.counters, -1, sizeof(tmpl.counters));
	guest = child();
	init = child();
	instance = (struct engine_instance){
		.tmpl = &tmpl,
		.guest.pidfd = -1,
		.init_pidfd = -1,
		.start_us = clock_us(),
		.limits = {.wall_ms = 60000, .cpu_ms = 10, .memory_bytes = 1u << 20}};
	return 0;
}

static int tear_down(void **state)
{
	const pid_t pids[] = {guest, init};

	(void)state;
	for (size_t i = 0; i < 2; i++)
		if (pids[i] > 0 && kill(pids[i], SIGKILL) == 0)
			(void)waitpid(pids[i], NULL, 0);
	close_fd(&instance.guest.pidfd);
	close_fd(&instance.init_pidfd);
	close_fd(&tmpl.counters[0].cpu_fd);
	close_fd(&tmpl.counters[0].peak_fd);
	close_fd(&tmpl.counters[0].refusals_fd);
	return 0;
}

static void assert_killed(pid_t *pid)
{
	int status = 0;

	assert_int_equal(waitpid(*pid, &status, 0), *pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	*pid = 0;
}

static void assert_left_alone(void)
{
	assert_int_equal(waitpid(guest, NULL, WNOHANG), 0);
	assert_int_equal(waitpid(init, NULL, WNOHANG), 0);
	assert_false(instance.evidence.ended);
}

static void test_both_are_killed_and_counted(void **state)
{
	(void)state;
	give_counters("3500000\n", "12288\n", false);
	assert_true(native_finish_here(&instance));
	assert_killed(&guest);
	assert_killed(&init);
	assert_true(instance.evidence.ended);
	assert_false(instance.evidence.signalled);
	assert_int_equal(instance.evidence.cpu_us, 2500);
	assert_int_equal(instance.evidence.memory_peak_bytes, 8192);
}

static void test_v2_has_keyed_text(void **state)
{
	(void)state;
	give_counters("usage_usec 1700\nuser_usec 9\n", "4096\n", true);
	assert_true(native_finish_here(&instance));
	assert_killed(&guest);
	assert_int_equal(instance.evidence.cpu_us, 700);
	assert_int_equal(instance.evidence.memory_peak_bytes, 0);
}

static void test_a_met_limit_is_the_keepers(void **state)
{
	(void)state;
	give_counters("11000000\n", "0\n", false); /* its 10 ms of CPU, and the base */
	assert_false(native_finish_here(&instance));
	assert_left_alone();
	give_counters("1000000\n", "1052672\n", false); /* its 1 MiB of memory, and the base */
	assert_false(native_finish_here(&instance));
	assert_left_alone();
	refusals = "max 3\n"; /* one more than before it was ready */
	give_counters("1000000\n", "0\n", false);
	assert_false(native_finish_here(&instance));
	assert_left_alone();
	refusals = "max 2\n";
	give_counters("1000000\n", "0\n", false);
	instance.start_us = clock_us() - instance.limits.wall_ms * 1000;
	assert_false(native_finish_here(&instance));
	assert_left_alone();
}

static void test_a_guest_that_is_gone_is_the_keepers(void **state)
{
	(void)state;
	give_counters("1000000\n", "0\n", false);
	assert_int_equal(kill(guest, SIGKILL), 0);
	assert_killed(&guest);
	assert_false(native_finish_here(&instance));
	assert_int_equal(waitpid(init, NULL, WNOHANG), 0);
}

static void test_without_means_the_keeper_is_asked(void **state)
{
	const struct keeper_message message = {.type = KEEPER_READY};
	int none[READY_FDS] = {-1, -1, -1, -1, -1};

	(void)state;
	native_take_means(&instance, &message, none);
	assert_false(native_finish_here(&instance));
	assert_left_alone();
}

/* Of a slot's second instance come the pidfds alone. */
static void test_counters_last_for_the_slot(void **state)
{
	const struct keeper_message message = {.type = KEEPER_READY, .bases = {.refused = 2}};
	int fds[READY_FDS] = {-1, -1, -1, -1, -1};
	int cpu_fd;

	(void)state;
	give_counters("2000000\n", "0\n", false);
	cpu_fd = tmpl.counters[0].cpu_fd;
	close_fd(&instance.guest.pidfd);
	close_fd(&instance.init_pidfd);
	fds[0] = pidfd_of(guest);
	fds[1] = pidfd_of(init);
	native_take_means(&instance, &message, fds);
	assert_int_equal(tmpl.counters[0].cpu_fd, cpu_fd);
	assert_true(native_finish_here(&instance));
	assert_int_equal(instance.evidence.cpu_us, 2000);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(both_are_killed_and_counted),       T(v2_has_keyed_text),
		T(a_met_limit_is_the_keepers),        T(a_guest_that_is_gone_is_the_keepers),
		T(without_means_the_keeper_is_asked), T(counters_last_for_the_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
