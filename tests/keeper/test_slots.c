/* A slot is used again only when everything in it is dead, the init that has not spoken included: it
 * runs on the slot's stack in the zygote's memory. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* needs the four above */
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "core/cleanup.h"
#include "keeper/keeper.h"

#define GENERATION 7u

static struct keeper keeper;
static int host_fd;

/* Waits for the death that a signal of the keeper's has caused, and tells the keeper of it. */
static void reap(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_true(slot_reaped(&keeper, pid, CLD_KILLED, SIGKILL, 0, 0));
}

static int set_up(void **state)
{
	int pair[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	memset(&keeper, 0, sizeof(keeper));
	memset(keeper.scout.fds, -1, sizeof(keeper.scout.fds));
	keeper.rung = RUNG_B;
	keeper.config.slots = 1;
	keeper.placed = true;
	keeper.host_fd = pair[0];
	host_fd = pair[1];
	keeper.slots[0] = (struct slot){.state = SLOT_SPAWNING,
					.generation = GENERATION,
					.workspace_fd = -1,
					.init_due = true};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close_fd(&keeper.host_fd);
	close_fd(&host_fd);
	return 0;
}

static void test_a_late_init_holds_the_slot(void **state)
{
	struct slot *slot = &keeper.slots[0];
	pid_t guest = child();
	pid_t init = child();

	(void)state;
	slot->guest_pid = guest;
	slot_release(&keeper, 0);
	reap(guest);
	assert_int_not_equal(slot->state, SLOT_FREE);
	slot_init_seen(&keeper, 0, GENERATION, init);
	assert_int_not_equal(slot->state, SLOT_FREE);
	reap(init);
	assert_int_equal(slot->state, SLOT_FREE);
}

static void test_a_late_init_holds_the_scout(void **state)
{
	struct slot *slot = &keeper.slots[0];
	pid_t guest = child();
	pid_t init = child();

	(void)state;
	slot->scout = true;
	slot->guest_pid = guest;
	slot_kill(slot);
	reap(guest);
	assert_true(slot->scout);
	slot_init_seen(&keeper, 0, GENERATION, init);
	assert_true(slot->scout);
	reap(init);
	assert_false(slot->scout);
	assert_int_equal(slot->state, SLOT_FREE);
}

static void test_an_init_that_died_first_frees_the_slot(void **state)
{
	struct slot *slot = &keeper.slots[0];
	pid_t guest = child();
	pid_t init = child();

	(void)state;
	slot->guest_pid = guest;
	slot_release(&keeper, 0);
	reap(guest);
	assert_int_equal(kill(init, SIGKILL), 0);
	assert_int_equal(waitpid(init, NULL, 0), init);
	slot_init_seen(&keeper, 0, GENERATION, init);
	assert_int_equal(slot->state, SLOT_FREE);
}

static void test_an_init_of_another_time_is_ended(void **state)
{
	pid_t init = child();

	(void)state;
	slot_init_seen(&keeper, 0, GENERATION - 1, init);
	assert_int_equal(waitpid(init, NULL, 0), init);
	assert_true(keeper.slots[0].init_due);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_late_init_holds_the_slot),
		T(a_late_init_holds_the_scout),
		T(an_init_that_died_first_frees_the_slot),
		T(an_init_of_another_time_is_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
