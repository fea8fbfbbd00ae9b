/*
 * All attacks on one cage. Each is a program that is run until none of its steps is left: a step
 * that got the program killed is not tried again. After every run the bait and the victim are
 * looked at, and renewed if anything happened to them, so that one broken wall does not hide the
 * state of the next.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "doctor.h"

#define ATTACK_WALL_MS 20000u
#define RUNS_MAX 200u /* no attack has as many steps */
#define EXIT_CANCELLED 130

/* Everything in it is a name of our own making: there is nothing to escape. */
static char *inputs_for(const struct doctor *doctor, size_t from, const char *plant)
{
	const struct bait *bait = &doctor->bait;
	char *text;
	int n = asprintf(
		&text,
		"{\"W\":{\"from\":%zu,\"dir\":\"%s\",\"canary\":\"%s/canary\",\"private\":"
		"\"%s/private\",\"mount\":\"%s/mount\",\"token\":\"%s\",\"tcp\":%d,\"tcp6\":%d,"
		"\"udp\":%d,\"victim\":%d,\"address\":%llu,\"length\":%u,\"plant\":\"%s\"}}",
		from, bait->open, bait->open, bait->open, bait->top, bait->token,
		bait->ports[BAIT_TCP], bait->ports[BAIT_TCP6], bait->ports[BAIT_UDP],
		(int)doctor->victim.pid, (unsigned long long)(uintptr_t)doctor->victim.secret,
		MARK_BYTES - 1, plant);

	return n < 0 ? NULL : text;
}

static char *whole_program(const char *source, bool steps)
{
	char *text;
	int n = asprintf(&text, "%s\n%s\n%s", attack_prelude, source, steps ? attack_epilogue : "");

	return n < 0 ? NULL : text;
}

static int out_of_memory(void)
{
	complain("doctor: out of memory");
	return CLI_FAILED;
}

static int run_once(struct doctor *doctor, struct cage *cage, const char *source, size_t from,
		    const char *plant, struct run_end *end)
{
	auto_free char *inputs = inputs_for(doctor, from, plant);
	char directory[96];

	if (!inputs || !source)
		return out_of_memory();
	(void)snprintf(directory, sizeof(directory), "%s/work", doctor->bait.top);
	return cage_execute(cage, source, inputs, directory, end);
}

/* Judges what happened outside and makes good for the next run. */
static int look_outside(struct doctor *doctor, struct judge *judge)
{
	bool bait = bait_check(&doctor->bait, judge);
	bool victim = victim_check(&doctor->victim, judge);
	int rc = 0;

	if (bait) {
		bait_remove(&doctor->bait);
		rc = bait_place(&doctor->bait, &doctor->marks);
	}
	if (victim && !rc) {
		victim_end(&doctor->victim);
		rc = victim_start(&doctor->victim, doctor->marks.text[MARK_VICTIM]);
	}
	if (rc)
		complain("doctor: cannot renew the bait: %s", strerror(-rc));
	return rc ? CLI_FAILED : 0;
}

static int plant(struct doctor *doctor, struct cage *cage, const char *program)
{
	auto_free char *source = whole_program(program, false);
	struct run_end end = {0};
	int rc = run_once(doctor, cage, source, 0, doctor->marks.text[MARK_PLANTED], &end);

	if (!rc && end.status != PSB_OK)
		complain("doctor: the secret of another execution could not be planted: %.600s",
			 end.json ? end.json : "");
	rc = rc ? rc : (end.status == PSB_OK ? 0 : CLI_FAILED);
	run_end_free(&end);
	return rc;
}

static int run_steps(struct doctor *doctor, struct cage *cage, const char *source,
		     struct judge *judge)
{
	int rc = 0;

	for (size_t i = 0; i < RUNS_MAX && !rc && !judge->finished; i++) {
		struct run_end end = {0};

		rc = run_once(doctor, cage, source, judge->next, "", &end);
		if (!rc) {
			judge_run(judge, &end);
			rc = look_outside(doctor, judge);
		}
		run_end_free(&end);
	}
	return rc;
}

static int one_attack(struct doctor *doctor, struct cage *cage, const struct attack *attack,
		      struct findings *findings)
{
	auto_free char *source = whole_program(attack->source, true);
	int rc = 0;

	findings->count = 0;
	for (size_t i = 0; i < attack->times && !rc; i++) {
		struct judge judge = {
			.claims = &cage->claims, .marks = &doctor->marks, .findings = findings};

		if (attack->before)
			rc = plant(doctor, cage, attack->before);
		if (!rc)
			rc = run_steps(doctor, cage, source, &judge);
	}
	return rc;
}

static int all_attacks(struct doctor *doctor, struct cage_report *report)
{
	int rc = 0;

	for (size_t i = 0; i < ATTACK_COUNT && !rc; i++)
		rc = one_attack(doctor, &report->cage, &doctor_attacks[i], &report->attacks[i]);
	return rc;
}

static int with_neighbour(struct doctor *doctor, struct cage_report *report)
{
	struct judge judge = {.claims = &report->cage.claims,
			      .marks = &doctor->marks,
			      .findings = &report->attacks[ATTACK_SIGNALS]};
	auto_free char *inputs = inputs_for(doctor, 0, doctor->marks.text[MARK_NEIGHBOUR]);
	char *source = whole_program(attack_neighbour, false);
	struct neighbour neighbour = {.running = false};
	int rc;

	if (!inputs || !source) {
		free(source);
		return out_of_memory();
	}
	if (neighbour_start(&neighbour, &report->cage, source, inputs)) {
		(void)snprintf(report->cage.reason, sizeof(report->cage.reason), "%s",
			       neighbour.cage.reason);
		report->state = CAGE_FAILED;
		return 0;
	}
	rc = all_attacks(doctor, report);
	neighbour_end(&neighbour, rc ? NULL : &judge);
	return rc;
}

int doctor_attack(struct doctor *doctor, struct cage_report *report, bool best)
{
	int rc;

	report->cage.uncaged = doctor->uncaged;
	report->cage.pool_size = 2;
	report->cage.wall_ms = ATTACK_WALL_MS;
	rc = cage_open(&report->cage);
	if (rc) {
		report->state = best || rc == CAGE_SICK ? CAGE_FAILED : CAGE_NOT_OFFERED;
		return cancel_seen() ? EXIT_CANCELLED : 0;
	}
	report->state = CAGE_TESTED;
	rc = doctor->uncaged ? all_attacks(doctor, report) : with_neighbour(doctor, report);
	cage_close(&report->cage);
	return rc;
}
