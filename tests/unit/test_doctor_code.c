/* doctor's exit code: one leak anywhere counts, and what was not tested never passes as held. */
#include "unit.h"

#include <stdlib.h>

#include "doctor.h"

/* Two cages with one finding for each attack, all held. */
static struct report report_of(enum cage_state first, enum cage_state second)
{
	struct report report = {.count = 2, .cages = calloc(2, sizeof(struct cage_report))};

	assert_non_null(report.cages);
	report.cages[0].state = first;
	report.cages[1].state = second;
	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < ATTACK_COUNT; k++)
			report.cages[i].attacks[k].count = 1;
	return report;
}

/* The code when the last attack of the second cage came to `verdict`. */
static int code_of(enum cage_state first, enum cage_state second, enum verdict verdict)
{
	struct report report = report_of(first, second);
	int code;

	report.cages[1].attacks[ATTACK_COUNT - 1].items[0].verdict = verdict;
	code = report_code(&report);
	free(report.cages);
	return code;
}

static void all_held(void **state)
{
	(void)state;
	assert_int_equal(code_of(CAGE_TESTED, CAGE_TESTED, VERDICT_HELD), 0);
	assert_int_equal(code_of(CAGE_NOT_OFFERED, CAGE_TESTED, VERDICT_ABSENT), 0);
	assert_int_equal(code_of(CAGE_TESTED, CAGE_TESTED, VERDICT_OPEN), 0);
}

static void one_leak_is_enough(void **state)
{
	(void)state;
	assert_int_equal(code_of(CAGE_TESTED, CAGE_TESTED, VERDICT_LEAK), 1);
	assert_int_equal(code_of(CAGE_FAILED, CAGE_TESTED, VERDICT_LEAK), 1);
}

static void not_tested_is_not_held(void **state)
{
	(void)state;
	assert_int_equal(code_of(CAGE_TESTED, CAGE_TESTED, VERDICT_UNTESTED), 126);
	assert_int_equal(code_of(CAGE_FAILED, CAGE_TESTED, VERDICT_HELD), 126);
	assert_int_equal(code_of(CAGE_FAILED, CAGE_NOT_OFFERED, VERDICT_HELD), 125);
	assert_int_equal(code_of(CAGE_NOT_OFFERED, CAGE_NOT_OFFERED, VERDICT_HELD), 125);
}

static void nothing_at_all(void **state)
{
	const struct report report = {.count = 0};

	(void)state;
	assert_int_equal(report_code(&report), 125);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_held),
		cmocka_unit_test(one_leak_is_enough),
		cmocka_unit_test(not_tested_is_not_held),
		cmocka_unit_test(nothing_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
