/* Every row of the status table alone, then every pair: the earlier row must win. */
#include "unit.h"

#include <stdio.h>

#include "core/classify.h"

struct world {
	struct evidence evidence;
	struct host_facts facts;
	struct guest_report report;
};

enum row {
	CANCELLED,
	DENIED,
	MEMORY,
	STDOUT,
	STDERR,
	RESULT,
	WORKSPACE,
	WORKSPACE_SEEN,
	CPU,
	WALL,
	CRASH,
	REPORT_OK,
	REPORT_ERROR,
	REPORT_EXIT,
	EXITED,
	PROCESSES,
	ROW_COUNT
};

static const struct {
	int status;
	enum limit_name limit;
} expected[ROW_COUNT] = {
	[CANCELLED] = {PSB_CANCELLED, LIMIT_NONE},
	[DENIED] = {PSB_DENIED, LIMIT_NONE},
	[MEMORY] = {PSB_MEMORY_LIMIT, LIMIT_memory},
	[STDOUT] = {PSB_OUTPUT_LIMIT, LIMIT_stdout},
	[STDERR] = {PSB_OUTPUT_LIMIT, LIMIT_stderr},
	[RESULT] = {PSB_RESULT_LIMIT, LIMIT_result},
	[WORKSPACE] = {PSB_DISK_LIMIT, LIMIT_workspace},
	[WORKSPACE_SEEN] = {PSB_DISK_LIMIT, LIMIT_workspace},
	[CPU] = {PSB_CPU_LIMIT, LIMIT_cpu},
	[WALL] = {PSB_TIMEOUT, LIMIT_wall},
	[CRASH] = {PSB_CRASH, LIMIT_NONE},
	[REPORT_OK] = {PSB_OK, LIMIT_NONE},
	[REPORT_ERROR] = {PSB_ERROR, LIMIT_NONE},
	[REPORT_EXIT] = {PSB_EXIT, LIMIT_NONE},
	[EXITED] = {PSB_EXIT, LIMIT_NONE},
	[PROCESSES] = {PSB_PROCESS_LIMIT, LIMIT_processes},
};

static void set_report(struct world *world, int status)
{
	if (world->report.present)
		return;
	world->report.present = true;
	world->report.status = status;
	world->report.exit_code = status == PSB_EXIT ? 9 : 0;
}

static void apply(struct world *world, enum row row)
{
	switch (row) {
	case CANCELLED: world->facts.cancelled = true; break;
	case DENIED: world->evidence.denied = true; break;
	case MEMORY: world->evidence.oom_killed = true; break;
	case STDOUT: world->facts.stdout_over = world->facts.stdout_cut = true; break;
	case STDERR: world->facts.stderr_over = world->facts.stderr_cut = true; break;
	case RESULT: world->facts.result_over = true; break;
	case WORKSPACE: world->facts.workspace_over = true; break;
	case WORKSPACE_SEEN: world->evidence.workspace_over = true; break;
	case CPU: world->evidence.cpu_fired = true; break;
	case WALL: world->evidence.wall_fired = true; break;
	case CRASH:
		world->evidence.signalled = true;
		world->evidence.signal_number = 11;
		break;
	case REPORT_OK: set_report(world, PSB_OK); break;
	case REPORT_ERROR: set_report(world, PSB_ERROR); break;
	case REPORT_EXIT: set_report(world, PSB_EXIT); break;
	case EXITED:
		world->evidence.exited = true;
		world->evidence.exit_code = 3;
		break;
	case PROCESSES: world->evidence.process_limit_hit = true; break;
	case ROW_COUNT: break;
	}
}

static struct verdict judge(const struct world *world)
{
	struct verdict verdict;

	classify(&world->evidence, &world->facts, &world->report, &verdict);
	return verdict;
}

static void every_row_and_every_pair(void **state)
{
	(void)state;
	for (int a = 0; a < ROW_COUNT; a++) {
		for (int b = a; b < ROW_COUNT; b++) {
			struct world world = {.evidence.ended = true};
			struct verdict verdict;

			apply(&world, (enum row)a);
			apply(&world, (enum row)b);
			verdict = judge(&world);
			if (verdict.status != expected[a].status)
				print_message("rows %d and %d\n", a, b);
			assert_int_equal(verdict.status, expected[a].status);
			assert_int_equal(verdict.limit, expected[a].limit);
			if (expected[a].limit != LIMIT_NONE)
				assert_int_equal(verdict.limits_hit & (1u << expected[a].limit), 0);
			if (a != b && expected[b].limit != LIMIT_NONE &&
			    expected[b].limit != expected[a].limit)
				assert_int_not_equal(verdict.limits_hit & (1u << expected[b].limit),
						     0);
		}
	}
}

static void nothing_at_all_is_unknown(void **state)
{
	struct world world = {.evidence.ended = true};

	(void)state;
	assert_int_equal(judge(&world).status, PSB_UNKNOWN);
	world.evidence.instance_lost = true;
	world.evidence.process_limit_hit = true;
	assert_int_equal(judge(&world).status, PSB_UNKNOWN);
}

static void codes_and_signals_come_along(void **state)
{
	struct world world = {.evidence.ended = true};

	(void)state;
	apply(&world, EXITED);
	assert_int_equal(judge(&world).exit_code, 3);
	apply(&world, REPORT_EXIT);
	assert_int_equal(judge(&world).exit_code, 9);
	apply(&world, CRASH);
	assert_int_equal(judge(&world).signal_number, 11);
	assert_int_equal(judge(&world).exit_code, 0);
	world = (struct world){.evidence = {.ended = true, .exited = true}};
	assert_int_equal(judge(&world).status, PSB_EXIT);
	assert_int_equal(judge(&world).exit_code, 0);
}

static void soft_limits_only_show_in_the_list(void **state)
{
	struct world world = {.evidence = {.ended = true, .memory_limit_hit = true}};
	struct verdict verdict;

	(void)state;
	apply(&world, REPORT_ERROR);
	world.report.limits_hit = 1u << LIMIT_open_files;
	world.facts.stdout_cut = true;
	verdict = judge(&world);
	assert_int_equal(verdict.status, PSB_ERROR);
	assert_int_equal(verdict.limit, LIMIT_NONE);
	assert_int_equal(verdict.limits_hit,
			 1u << LIMIT_memory | 1u << LIMIT_open_files | 1u << LIMIT_stdout);
}

static void a_bad_result_is_an_error(void **state)
{
	struct world world = {.evidence.ended = true, .facts.result_invalid = true};

	(void)state;
	apply(&world, REPORT_OK);
	assert_int_equal(judge(&world).status, PSB_ERROR);
}

static void a_silent_engine_is_a_timeout(void **state)
{
	struct world world = {.facts.overdue = true};

	(void)state;
	assert_int_equal(judge(&world).status, PSB_TIMEOUT);
	assert_int_equal(judge(&world).limit, LIMIT_wall);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_and_every_pair),
		cmocka_unit_test(nothing_at_all_is_unknown),
		cmocka_unit_test(codes_and_signals_come_along),
		cmocka_unit_test(soft_limits_only_show_in_the_list),
		cmocka_unit_test(a_bad_result_is_an_error),
		cmocka_unit_test(a_silent_engine_is_a_timeout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
