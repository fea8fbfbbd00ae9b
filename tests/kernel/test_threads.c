/*
 * Threads, futexes, sleeping, signals: who runs, who waits and what each call answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "world.h"

#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
#define FUTEX_CMP_REQUEUE 4
#define FUTEX_WAIT_BITSET 9
#define MS UINT64_C(1000000)
#define HANDLER 0x1000u
#define RESTORER 0x2000u

static int set_up(void **state)
{
	*state = world_open();
	return 0;
}

static int tear_down(void **state)
{
	world_close(*state);
	return 0;
}

static uint32_t *word(struct world *world, uint64_t offset)
{
	return (void *)(world->user + offset);
}

static void put_time(struct world *world, uint64_t offset, uint64_t ns)
{
	const struct lx_timespec time = {(int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC)};

	memcpy(world->user + offset, &time, sizeof(time));
}

static uint32_t running(const struct world *world)
{
	return world->kernel.current->tid;
}

static void test_a_thread_starts_like_linux_says(void **state)
{
	struct world *world = *state;
	uint32_t tid = world_thread(world);
	const struct thread *thread = thread_find(&world->kernel, tid);

	assert_int_equal(tid, 101);
	assert_non_null(thread);
	assert_int_equal(*word(world, 0), tid); /* CLONE_PARENT_SETTID */
	assert_int_equal(thread->fs_base, 0x1234);
	assert_int_equal(thread->regs.rax, 0);
	assert_int_equal(thread->regs.rsp, world_user(world, WORLD_USER_BYTES - 64));
	assert_int_equal(running(world), 100);
}

static void test_processes_are_refused(void **state)
{
	struct world *world = *state;

	assert_int_equal(CALL(world, __NR_fork, 0), -EAGAIN);
	assert_int_equal(CALL(world, __NR_vfork, 0), -EAGAIN);
	assert_int_equal(CALL(world, __NR_clone, 17, 0), -EAGAIN);
	assert_int_equal(CALL(world, __NR_clone, 0x10000000, 0), -EPERM); /* a user namespace */
	assert_int_equal(CALL(world, __NR_execve, 0), -EPERM);
	assert_int_equal(world->kernel.thread_count, 1);
	assert_int_equal(world->kernel.limits_hit, 0); /* not a limit: never possible */
}

static void test_threads_have_a_limit(void **state)
{
	struct world *world = *state;

	for (int i = 0; i < 7; i++)
		assert_true((int32_t)world_thread(world) > 0);
	assert_int_equal((int32_t)world_thread(world), -EAGAIN);
	assert_int_equal(world->kernel.limits_hit, COMM_LIMIT_PROCESSES);
}

static void test_futex_wakes_the_first(void **state)
{
	struct world *world = *state;
	uint32_t second = world_thread(world);
	uint32_t third = world_thread(world);

	/* 100 waits, then whoever runs; the last one wakes. */
	CALL(world, __NR_futex, world_user(world, 64), FUTEX_WAIT, 0, 0);
	assert_int_not_equal(running(world), 100);
	CALL(world, __NR_futex, world_user(world, 64), FUTEX_WAIT, 0, 0);
	assert_true(running(world) == second || running(world) == third);
	assert_int_equal(CALL(world, __NR_futex, world_user(world, 64), FUTEX_WAKE, 1), 1);
	assert_true(thread_find(&world->kernel, 100)->runnable);
	assert_int_equal(CALL(world, __NR_sched_yield, 0), 0);
	assert_int_equal(running(world), 100);
	assert_int_equal(world->kernel.current->regs.rax, 0);
	assert_int_equal(CALL(world, __NR_futex, world_user(world, 64), FUTEX_WAKE, 9), 1);
	assert_int_equal(CALL(world, __NR_futex, world_user(world, 64), FUTEX_WAKE, 9), 0);
}

static void test_futex_refuses(void **state)
{
	struct world *world = *state;

	*word(world, 64) = 5;
	assert_int_equal(CALL(world, __NR_futex, world_user(world, 64), FUTEX_WAIT, 4, 0), -EAGAIN);
	assert_int_equal(CALL(world, __NR_futex, world_user(world, 65), FUTEX_WAIT, 0, 0), -EINVAL);
	assert_int_equal(CALL(world, __NR_futex, 64, FUTEX_WAIT, 0, 0), -EFAULT);
	assert_int_equal(CALL(world, __NR_futex, world_user(world, 64), FUTEX_CMP_REQUEUE, 1, 1,
			      world_user(world, 68), 4),
			 -EAGAIN);
	assert_int_equal(CALL(world, __NR_futex, world_user(world, 64), 99, 0, 0), -ENOSYS);
}

static void test_futex_times_out(void **state)
{
	struct world *world = *state;

	put_time(world, 128, 20 * MS);
	assert_int_equal(CALL(world, __NR_futex, world_user(world, 64), FUTEX_WAIT, 0,
			      world_user(world, 128)),
			 -ETIMEDOUT);
	assert_int_equal(world->waited_ns, 20 * MS);
	/* What a finished wait left behind does not end the next one (a fault that was there). */
	assert_int_equal(CALL(world, __NR_futex, world_user(world, 64), FUTEX_WAIT, 0,
			      world_user(world, 128)),
			 -ETIMEDOUT);
	assert_int_equal(world->waited_ns, 40 * MS);
	/* Absolute, and already past. */
	put_time(world, 128, 1);
	assert_int_equal(CALL(world, __NR_futex, world_user(world, 64), FUTEX_WAIT_BITSET, 0,
			      world_user(world, 128), 0, UINT32_MAX),
			 -ETIMEDOUT);
	assert_int_equal(world->waited_ns, 40 * MS);
}

static void test_a_wait_without_hope_is_the_hosts(void **state)
{
	struct world *world = *state;

	assert_int_equal(CALL(world, __NR_futex, world_user(world, 64), FUTEX_WAIT, 0, 0),
			 INT64_MIN);
	assert_int_equal(world->end, WORLD_STUCK);
}

static void test_exit_wakes_the_joiner(void **state)
{
	struct world *world = *state;
	uint32_t tid = world_thread(world);
	struct thread *second = thread_find(&world->kernel, tid);

	assert_int_equal(second->clear_tid, world_user(world, 0));
	CALL(world, __NR_futex, world_user(world, 0), FUTEX_WAIT, tid, 0);
	assert_int_equal(running(world), tid);
	CALL(world, __NR_exit, 0);
	assert_int_equal(running(world), 100);
	assert_int_equal(*word(world, 0), 0);
	assert_int_equal(world->kernel.thread_count, 1);
	assert_int_equal(CALL(world, __NR_exit, 3), INT64_MIN);
	assert_int_equal(world->end, WORLD_EXIT);
	assert_int_equal(world->exit_value, 3);
}

static void test_kicks_go_round(void **state)
{
	struct world *world = *state;
	uint32_t tid = world_thread(world);

	assert_int_equal(world->timers_set, 1);
	assert_int_equal(world_kick(world)->tid, tid);
	assert_int_equal(world_kick(world)->tid, 100);
	assert_int_equal(world_kick(world)->tid, tid);
	CALL(world, __NR_exit, 0);
	assert_int_equal(world_kick(world)->tid, 100);
	assert_int_equal(world->timers_set, 2); /* nobody else: no more kicks */
}

static void test_sleep_takes_its_time(void **state)
{
	struct world *world = *state;

	put_time(world, 128, 30 * MS);
	assert_int_equal(CALL(world, __NR_nanosleep, world_user(world, 128), 0), 0);
	assert_int_equal(world->waited_ns, 30 * MS);
	assert_int_equal(CALL(world, __NR_clock_nanosleep, 1, 1, world_user(world, 128), 0), 0);
	assert_int_equal(world->waited_ns, 30 * MS);
	*word(world, 136) = 2000000000;
	assert_int_equal(CALL(world, __NR_nanosleep, world_user(world, 128), 0), -EINVAL);
	assert_true(clock_cpu_ns(&world->kernel) < MS);
}

/* What the vDSO reads. */
static void test_the_clock_is_published(void **state)
{
	struct world *world = *state;
	struct kernel *kernel = &world->kernel;
	struct published_clock published = {.sequence = 7};

	kernel->published = &published;
	clock_rebase(kernel);
	assert_int_equal(published.sequence, 7); /* nothing new was told */
	kernel->generation = 1;
	world->run.clock = (struct guest_clock){5, 3, 11, 13};
	world->clock_ns += MS;
	clock_rebase(kernel);
	assert_int_equal(published.sequence, 8);
	assert_int_equal(published.base_ticks, world->clock_ns);
	assert_int_equal(published.multiplier, 3);
	assert_int_equal(published.steady_base_ns, 11);
	assert_int_equal(published.wall_base_ns, 13);
	assert_int_equal(clock_ns(kernel, CLOCK_STEADY), 11);
	kernel->published = NULL;
	world->run.clock.base_tsc = 6;
	clock_rebase(kernel);
	assert_int_equal(published.sequence, 8);
}

static void act(struct world *world, uint32_t number, uint64_t handler, uint64_t flags)
{
	struct signal_action action = {handler, flags | LX_SA_RESTORER, RESTORER, 0};

	memcpy(world->user + 512, &action, sizeof(action));
	assert_int_equal(CALL(world, __NR_rt_sigaction, number, world_user(world, 512), 0, 8), 0);
	world->kernel.current->regs.rsp = world_user(world, WORLD_USER_BYTES / 2);
	world->kernel.current->regs.rip = 0x5000;
	world->kernel.current->regs.rflags = 0x202;
}

/* The handler's frame, and back from it. */
static void test_a_handler_runs_and_returns(void **state)
{
	struct world *world = *state;
	struct guest_registers *regs = &world->kernel.current->regs;
	uint64_t rsp;

	act(world, 10, HANDLER, LX_SA_SIGINFO);
	rsp = regs->rsp;
	regs->rbx = 77;
	CALL(world, __NR_kill, 100, 10);
	assert_int_equal(regs->rip, HANDLER);
	assert_int_equal(regs->rdi, 10);
	assert_true(regs->rsp < rsp - 128 && regs->rsp % 16 == 8);
	assert_int_equal(*(uint64_t *)pointer_of(regs->rsp), RESTORER);
	assert_int_equal(*(uint32_t *)pointer_of(regs->rsi), 10);
	assert_int_equal(world->kernel.current->signals.mask, signal_bit(10));
	regs->rbx = 1;
	regs->rsp += 8;                                         /* ret */
	assert_int_equal(CALL(world, __NR_rt_sigreturn, 0), 0); /* kill's own result */
	assert_int_equal(regs->rip, 0x5000);
	assert_int_equal(regs->rsp, rsp);
	assert_int_equal(regs->rbx, 77);
	assert_int_equal(world->kernel.current->signals.mask, 0);
}

static void test_a_signal_interrupts_or_restarts(void **state)
{
	struct world *world = *state;
	uint32_t tid = world_thread(world);
	struct thread *first = thread_find(&world->kernel, 100);

	act(world, 10, HANDLER, 0);
	assert_int_equal(CALL(world, __NR_pipe, world_user(world, 0)), 0);
	CALL(world, __NR_read, 3, world_user(world, 64), 10);
	assert_int_equal(running(world), tid);
	CALL(world, __NR_tgkill, 100, 100, 10);
	CALL(world, __NR_sched_yield, 0);
	assert_int_equal(running(world), 100);
	assert_int_equal(first->regs.rip, HANDLER);
	first->regs.rsp += 8;
	assert_int_equal(CALL(world, __NR_rt_sigreturn, 0), -EINTR);
	act(world, 10, HANDLER, LX_SA_RESTART);
	CALL(world, __NR_read, 3, world_user(world, 64), 10);
	CALL(world, __NR_tgkill, 100, 100, 10);
	CALL(world, __NR_sched_yield, 0);
	assert_int_equal(first->regs.rip, HANDLER);
	first->regs.rsp += 8;
	assert_int_equal(CALL(world, __NR_rt_sigreturn, 0), __NR_read); /* done again */
	assert_int_equal(first->regs.rip, 0x5000 - 2);
}

static void test_an_alarm_ends_a_sleep(void **state)
{
	struct world *world = *state;
	const int64_t timer[4] = {0, 0, 0, 20000};

	act(world, LX_SIGALRM, HANDLER, 0);
	memcpy(world->user, timer, sizeof(timer));
	assert_int_equal(CALL(world, __NR_setitimer, 0, world_user(world, 0), 0), 0);
	put_time(world, 128, NS_PER_SEC);
	CALL(world, __NR_nanosleep, world_user(world, 128), world_user(world, 160));
	assert_int_equal(world->kernel.current->regs.rip, HANDLER);
	assert_int_equal(world->waited_ns, 20 * MS);
	world->kernel.current->regs.rsp += 8;
	assert_int_equal(CALL(world, __NR_rt_sigreturn, 0), -EINTR);
	assert_int_equal(*(int64_t *)(void *)(world->user + 168), 980000000);
}

static void test_blocked_signals_wait(void **state)
{
	struct world *world = *state;
	uint64_t mask = signal_bit(10) | signal_bit(LX_SIGKILL);

	act(world, 10, HANDLER, 0);
	memcpy(world->user, &mask, sizeof(mask));
	assert_int_equal(CALL(world, __NR_rt_sigprocmask, 0, world_user(world, 0), 0, 8), 0);
	assert_int_equal(world->kernel.current->signals.mask, signal_bit(10));
	assert_int_equal(CALL(world, __NR_kill, 100, 10), 0);
	assert_int_equal(world->kernel.current->regs.rip, 0x5000);
	assert_int_equal(CALL(world, __NR_rt_sigtimedwait, world_user(world, 0), 0, 0, 8), 10);
	put_time(world, 128, 10 * MS);
	assert_int_equal(CALL(world, __NR_rt_sigtimedwait, world_user(world, 0), 0,
			      world_user(world, 128), 8),
			 -EAGAIN);
	assert_int_equal(CALL(world, __NR_kill, 100, 10), 0);
	assert_int_equal(CALL(world, __NR_rt_sigprocmask, 1, world_user(world, 0), 0, 8), 0);
	assert_int_equal(world->kernel.current->regs.rip, HANDLER);
}

static void test_signals_without_handler(void **state)
{
	struct world *world = *state;

	assert_int_equal(CALL(world, __NR_kill, 100, LX_SIGCHLD), 0);
	assert_int_equal(CALL(world, __NR_kill, 100, 0), 0);
	assert_int_equal(CALL(world, __NR_kill, 1, 15), -ESRCH);
	assert_int_equal(CALL(world, __NR_kill, UINT64_MAX, 9), -EPERM);
	assert_int_equal(CALL(world, __NR_kill, 100, 65), -EINVAL);
	assert_int_equal(CALL(world, __NR_kill, 100, 15), INT64_MIN);
	assert_int_equal(world->exit_kind, EXIT_SIGNAL);
	assert_int_equal(world->exit_value, 15);
}

/* No room for the frame: Linux kills with SIGSEGV, and so do we. */
static void test_no_stack_for_a_handler(void **state)
{
	struct world *world = *state;

	act(world, 10, HANDLER, 0);
	world->kernel.current->regs.rsp = 4096;
	assert_int_equal(CALL(world, __NR_kill, 100, 10), INT64_MIN);
	assert_int_equal(world->exit_value, LX_SIGSEGV);
}

static void test_a_bad_frame_ends_the_run(void **state)
{
	struct world *world = *state;

	world->kernel.current->regs.rsp = world_user(world, 0);
	assert_int_equal(CALL(world, __NR_rt_sigreturn, 0), INT64_MIN);
	assert_int_equal(world->exit_kind, EXIT_SIGNAL);
	assert_int_equal(world->exit_value, LX_SIGSEGV);
}

static void test_the_robust_list_is_released(void **state)
{
	struct world *world = *state;
	uint64_t *head = (void *)(world->user + 1024); /* next, offset, pending */
	uint64_t *entry = (void *)(world->user + 2048);
	uint32_t tid = world_thread(world);

	world_kick(world);
	assert_int_equal(running(world), tid);
	head[0] = address_of(entry);
	head[1] = 8; /* the lock is behind the link */
	head[2] = 0;
	entry[0] = address_of(entry); /* a list without end */
	entry[1] = tid;
	assert_int_equal(CALL(world, __NR_set_robust_list, address_of(head), 24), 0);
	CALL(world, __NR_exit, 0);
	assert_int_equal(entry[1], 0x40000000); /* FUTEX_OWNER_DIED */
}

static void test_unknown_calls_are_counted(void **state)
{
	struct world *world = *state;

	assert_int_equal(CALL(world, 999, 0), -ENOSYS);
	assert_int_equal(CALL(world, UINT64_MAX - 5, 0), -ENOSYS);
	assert_int_equal(CALL(world, __NR_io_uring_setup, 0), -ENOSYS);
	assert_int_equal(world->comm.unknown_calls, 3);
	assert_int_equal(world->comm.last_unknown_call, __NR_io_uring_setup);
}

/* RFC 8439, 2.3.2: the key 00..1f, counter 1, nonce 000000090000004a00000000. */
static void test_chacha_vector(void **state)
{
	static const uint8_t expected[8] = {0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15};
	static const uint8_t tail[16] = {1, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0};
	struct kernel_random random;
	uint8_t entropy[48];
	uint8_t out[8];

	(void)state;
	for (int i = 0; i < 32; i++)
		entropy[i] = (uint8_t)i;
	memcpy(entropy + 32, tail, sizeof(tail));
	random_seed(&random, entropy);
	random_fill(&random, out, sizeof(out));
	assert_memory_equal(out, expected, sizeof(out));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_thread_starts_like_linux_says),
		TEST(test_processes_are_refused),
		TEST(test_threads_have_a_limit),
		TEST(test_futex_wakes_the_first),
		TEST(test_futex_refuses),
		TEST(test_futex_times_out),
		TEST(test_a_wait_without_hope_is_the_hosts),
		TEST(test_exit_wakes_the_joiner),
		TEST(test_kicks_go_round),
		TEST(test_sleep_takes_its_time),
		TEST(test_the_clock_is_published),
		TEST(test_a_handler_runs_and_returns),
		TEST(test_a_signal_interrupts_or_restarts),
		TEST(test_an_alarm_ends_a_sleep),
		TEST(test_blocked_signals_wait),
		TEST(test_signals_without_handler),
		TEST(test_no_stack_for_a_handler),
		TEST(test_a_bad_frame_ends_the_run),
		TEST(test_the_robust_list_is_released),
		TEST(test_unknown_calls_are_counted),
		cmocka_unit_test(test_chacha_vector),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
