/* What a whole report comes to: the counts and the exit code (docs/doctor.md). */
#include "doctor.h"

size_t report_count(const struct report *report, enum verdict verdict)
{
	size_t count = 0;

	for (size_t i = 0; i < report->count; i++)
		for (size_t k = 0; k < ATTACK_COUNT && report->cages[i].state == CAGE_TESTED; k++)
			count += findings_count(&report->cages[i].attacks[k], verdict);
	return count;
}

size_t report_cages(const struct report *report, enum cage_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < report->count; i++)
		count += report->cages[i].state == state;
	return count;
}

int report_code(const struct report *report)
{
	if (report_count(report, VERDICT_LEAK))
		return CLI_FAILED;
	if (!report_cages(report, CAGE_TESTED))
		return psb_status_exit_code(PSB_UNAVAILABLE, 0);
	if (report_count(report, VERDICT_UNTESTED) || report_cages(report, CAGE_FAILED))
		return EXIT_UNTESTED;
	return CLI_OK;
}
