/*
 * The judge of `doctor`: a leak must show, whatever an attack says about itself, and what did not
 * run as it should must never count as held.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor_judge.h"
#include "pysandbox.h"

struct court {
	struct marks marks;
	struct claims claims;
	struct findings findings;
	struct judge judge;
};

static struct court *court_open(void)
{
	struct court *court = calloc(1, sizeof(*court));

	assert_non_null(court);
	assert_int_equal(marks_make(&court->marks), 0);
	court->claims.count = 2;
	court->claims.items[0] = (struct claim){"network", true, "seccomp"};
	court->claims.items[1] = (struct claim){"filesystem", false, ""};
	court->judge = (struct judge){
		.claims = &court->claims, .marks = &court->marks, .findings = &court->findings};
	return court;
}

static void hear(struct court *court, int status, const char *text, const char *json)
{
	struct run_end end = {.status = status, .signal = 11};

	end.text = strdup(text);
	end.len = strlen(text);
	end.json = json ? strdup(json) : NULL;
	end.json_len = json ? strlen(json) : 0;
	memcpy(end.denied, "ptrace", 7);
	judge_run(&court->judge, &end);
	run_end_free(&end);
}

/* One step of one run: its verdict. */
static enum verdict verdict_on(int status, const char *text)
{
	struct court *court = court_open();
	enum verdict verdict;

	hear(court, status, text, NULL);
	verdict = findings_worst(&court->findings);
	free(court);
	return verdict;
}

static size_t count_on(int status, const char *text, enum verdict verdict)
{
	struct court *court = court_open();
	size_t count;

	hear(court, status, text, NULL);
	count = findings_count(&court->findings, verdict);
	free(court);
	return count;
}

static void each_word_has_its_verdict(void **state)
{
	(void)state;
	assert_int_equal(verdict_on(PSB_OK, "@begin 0 a network step\n@held EPERM\n@end\n"),
			 VERDICT_HELD);
	assert_int_equal(verdict_on(PSB_OK, "@begin 0 a network step\n@quiet x\n@end\n"),
			 VERDICT_HELD);
	assert_int_equal(verdict_on(PSB_OK, "@begin 0 a network step\n@absent x\n@end\n"),
			 VERDICT_ABSENT);
	assert_int_equal(verdict_on(PSB_OK, "@begin 0 a network step\n@broken x\n@end\n"),
			 VERDICT_UNTESTED);
	assert_int_equal(verdict_on(PSB_OK, "@begin 0 a network step\n@shrug x\n@end\n"),
			 VERDICT_UNTESTED);
	assert_int_equal(verdict_on(PSB_OK, "@begin 0 a network step\n@reached x\n@end\n"),
			 VERDICT_LEAK);
}

static void open_only_where_the_control_is_disclaimed(void **state)
{
	(void)state;
	assert_int_equal(verdict_on(PSB_OK, "@begin 0 a filesystem step\n@reached x\n@end\n"),
			 VERDICT_OPEN);
	assert_int_equal(verdict_on(PSB_OK, "@begin 0 a unheard_of step\n@reached x\n@end\n"),
			 VERDICT_LEAK);
}

static void without_a_cage_nothing_is_disclaimed(void **state)
{
	struct court *court = court_open();

	(void)state;
	court->claims = (struct claims){.all = true};
	hear(court, PSB_OK, "@begin 0 a filesystem step\n@reached x\n@end\n", NULL);
	assert_int_equal(findings_worst(&court->findings), VERDICT_LEAK);
	free(court);
}

static void silence_is_not_held(void **state)
{
	static const int statuses[] = {PSB_OK,    PSB_ERROR,   PSB_EXIT,
				       PSB_CRASH, PSB_TIMEOUT, PSB_DENIED};

	(void)state;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		assert_int_equal(verdict_on(statuses[i], ""), VERDICT_UNTESTED);
		assert_int_equal(verdict_on(statuses[i], "Traceback\n"), VERDICT_UNTESTED);
	}
	/* An attack of no steps has shown nothing either. */
	assert_int_equal(verdict_on(PSB_OK, "@end\n"), VERDICT_UNTESTED);
	assert_int_equal(count_on(PSB_OK, "@end\n", VERDICT_UNTESTED), 1);
}

static void a_step_is_judged_by_the_end_it_caused(void **state)
{
	const char *step = "@begin 0 a network step\n";
	const char *door = "@begin 0 a network door\n";

	(void)state;
	assert_int_equal(verdict_on(PSB_DENIED, step), VERDICT_HELD);
	assert_int_equal(verdict_on(PSB_CRASH, door), VERDICT_HELD);
	assert_int_equal(verdict_on(PSB_CRASH, step), VERDICT_UNTESTED);
	assert_int_equal(verdict_on(PSB_TIMEOUT, door), VERDICT_UNTESTED);
	assert_int_equal(verdict_on(PSB_UNAVAILABLE, door), VERDICT_UNTESTED);
	assert_int_equal(verdict_on(PSB_OK, door), VERDICT_UNTESTED);
}

static void the_next_run_goes_on_behind_the_killed_step(void **state)
{
	struct court *court = court_open();

	(void)state;
	hear(court, PSB_DENIED, "@begin 0 a network step\n@held EPERM\n@begin 1 b network step\n",
	     NULL);
	assert_false(court->judge.finished);
	assert_int_equal(court->judge.next, 2);
	assert_string_equal(court->findings.items[1].by, "killed for the call ptrace");
	hear(court, PSB_OK, "@begin 2 c network step\n@held EPERM\n@end\n", NULL);
	assert_true(court->judge.finished);
	assert_int_equal(court->findings.count, 3);
	assert_int_equal(findings_worst(&court->findings), VERDICT_HELD);
	free(court);
}

static void no_progress_ends_it(void **state)
{
	struct court *court = court_open();

	(void)state;
	hear(court, PSB_ERROR, "", NULL);
	assert_true(court->judge.finished);
	free(court);
}

static void a_program_in_its_place_is_a_leak_and_the_rest_is_tried(void **state)
{
	struct court *court = court_open();

	(void)state;
	hear(court, PSB_OK, "@begin 0 a network step\n@reached a program ran\n", NULL);
	assert_false(court->judge.finished);
	assert_int_equal(court->judge.next, 1);
	assert_int_equal(findings_worst(&court->findings), VERDICT_LEAK);
	assert_int_equal(court->findings.count, 1);
	free(court);
}

static void a_secret_makes_a_leak_of_anything(void **state)
{
	static const char *const words[] = {"held", "quiet", "absent", "broken", "anything"};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct court *court = court_open();

		(void)snprintf(text, sizeof(text), "@begin 0 a network step\n@%s %s\n@end\n",
			       words[i], court->marks.text[i]);
		hear(court, PSB_OK, text, NULL);
		assert_int_equal(findings_worst(&court->findings), VERDICT_LEAK);
		free(court);
	}
}

static void a_secret_between_the_lines(void **state)
{
	struct court *court = court_open();
	char text[256];

	(void)state;
	(void)snprintf(text, sizeof(text), "@begin 0 a network step\nxx%sxx\n@held EPERM\n@end\n",
		       court->marks.text[MARK_VICTIM]);
	hear(court, PSB_OK, text, NULL);
	assert_int_equal(findings_worst(&court->findings), VERDICT_LEAK);
	free(court);
	court = court_open();
	(void)snprintf(text, sizeof(text), "%s\n@begin 0 a network step\n@held EPERM\n@end\n",
		       court->marks.text[MARK_VICTIM]);
	hear(court, PSB_OK, text, NULL);
	assert_int_equal(findings_worst(&court->findings), VERDICT_LEAK);
	free(court);
}

static void a_secret_in_the_outcome_alone(void **state)
{
	struct court *court = court_open();
	char json[128];

	(void)state;
	(void)snprintf(json, sizeof(json), "{\"result\":\"%s\"}",
		       court->marks.text[MARK_NEIGHBOUR]);
	hear(court, PSB_OK, "@begin 0 a network step\n@held EPERM\n@end\n", json);
	assert_int_equal(findings_worst(&court->findings), VERDICT_LEAK);
	free(court);
}

static void effects_count_whatever_was_said(void **state)
{
	struct court *court = court_open();

	(void)state;
	hear(court, PSB_OK, "@begin 0 a network step\n@held EPERM\n@end\n", NULL);
	judge_effect(&court->judge, "bait", "filesystem", "changed");
	assert_int_equal(findings_worst(&court->findings), VERDICT_OPEN);
	judge_effect(&court->judge, "listener", "network", "TCP");
	assert_int_equal(findings_worst(&court->findings), VERDICT_LEAK);
	assert_int_equal(findings_count(&court->findings, VERDICT_LEAK), 1);
	free(court);
}

static void a_step_cannot_be_skipped_or_told_twice(void **state)
{
	(void)state;
	assert_int_equal(verdict_on(PSB_OK, "@begin 0 a network step\n"
					    "@begin 1 b network step\n@held EPERM\n@end\n"),
			 VERDICT_UNTESTED);
	assert_int_equal(verdict_on(PSB_OK, "@begin 7 a network step\n@held EPERM\n@end\n"),
			 VERDICT_UNTESTED);
	assert_int_equal(verdict_on(PSB_OK, "@begin 0 a network step\n@reached x\n"
					    "@held EPERM\n@end\n"),
			 VERDICT_LEAK);
}

static void too_many_findings_are_not_lost(void **state)
{
	struct court *court = court_open();

	(void)state;
	for (size_t i = 0; i <= FINDINGS_MAX; i++)
		judge_effect(&court->judge, "bait", "filesystem", "changed");
	assert_int_equal(court->findings.count, FINDINGS_MAX);
	judge_effect(&court->judge, "listener", "network", "TCP");
	assert_int_equal(findings_worst(&court->findings), VERDICT_LEAK);
	free(court);
}

static void what_is_kept_is_printable_and_short(void **state)
{
	struct court *court = court_open();
	char text[700] = "@begin 0 a\033[2J network step\n@held ";

	(void)state;
	memset(text + strlen(text), 'x', 500);
	hear(court, PSB_OK, text, NULL);
	assert_string_equal(court->findings.items[0].step, "a?[2J");
	assert_int_equal(strlen(court->findings.items[0].by),
			 sizeof(court->findings.items[0].by) - 1);
	free(court);
}

static void marks_are_secret_and_differ(void **state)
{
	struct marks one;
	struct marks other;

	(void)state;
	assert_int_equal(marks_make(&one), 0);
	assert_int_equal(marks_make(&other), 0);
	for (size_t i = 0; i < MARK_COUNT; i++) {
		assert_int_equal(strlen(one.text[i]), MARK_BYTES - 1);
		assert_string_not_equal(one.text[i], other.text[i]);
		assert_string_not_equal(one.text[i], one.text[(i + 1) % MARK_COUNT]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_word_has_its_verdict),
		cmocka_unit_test(open_only_where_the_control_is_disclaimed),
		cmocka_unit_test(without_a_cage_nothing_is_disclaimed),
		cmocka_unit_test(silence_is_not_held),
		cmocka_unit_test(a_step_is_judged_by_the_end_it_caused),
		cmocka_unit_test(the_next_run_goes_on_behind_the_killed_step),
		cmocka_unit_test(no_progress_ends_it),
		cmocka_unit_test(a_program_in_its_place_is_a_leak_and_the_rest_is_tried),
		cmocka_unit_test(a_secret_makes_a_leak_of_anything),
		cmocka_unit_test(a_secret_between_the_lines),
		cmocka_unit_test(a_secret_in_the_outcome_alone),
		cmocka_unit_test(effects_count_whatever_was_said),
		cmocka_unit_test(a_step_cannot_be_skipped_or_told_twice),
		cmocka_unit_test(too_many_findings_are_not_lost),
		cmocka_unit_test(what_is_kept_is_printable_and_short),
		cmocka_unit_test(marks_are_secret_and_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
