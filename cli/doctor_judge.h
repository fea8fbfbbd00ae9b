/*
 * What an attack came to, judged from what the host sees. Pure: text and facts in, findings out,
 * so that the judge can be put to the test without a cage (tests/unit/test_doctor_judge.c).
 */
#ifndef PSB_CLI_DOCTOR_JUDGE_H
#define PSB_CLI_DOCTOR_JUDGE_H

#include <stdbool.h>
#include <stddef.h>

/* By gravity: an attack is as bad as the worst of its steps. */
enum verdict {
	VERDICT_HELD,     /* refused, or nothing came of it */
	VERDICT_ABSENT,   /* the interpreter has no such door */
	VERDICT_OPEN,     /* got through where the outcome says that no control is there */
	VERDICT_UNTESTED, /* the attack did not run as it should: nothing is known */
	VERDICT_LEAK,     /* got through although a control is claimed */
	VERDICT_COUNT
};

const char *verdict_name(enum verdict verdict);

struct finding {
	char step[40];
	char control[24];
	enum verdict verdict;
	char by[168]; /* printable ASCII: what held it, or what came out */
};

#define FINDINGS_MAX 128u

struct findings {
	size_t count;
	struct finding items[FINDINGS_MAX];
};

enum verdict findings_worst(const struct findings *findings);
size_t findings_count(const struct findings *findings, enum verdict verdict);

/* The secrets; none of them is ever told to an attack, so one that comes back was taken. */
enum mark {
	MARK_CANARY,
	MARK_PRIVATE,
	MARK_NAME,
	MARK_VICTIM,
	MARK_ENVIRONMENT,
	MARK_DESCRIPTOR,
	MARK_PLANTED,
	MARK_NEIGHBOUR,
	MARK_COUNT
};

#define MARK_BYTES 33u /* with the NUL */

struct marks {
	char text[MARK_COUNT][MARK_BYTES];
};

int marks_make(struct marks *marks); /* 0 or -errno */

/* Which controls the outcome claims, as read from the outcome itself. */
struct claim {
	char control[24];
	bool kept; /* by the kernel, a hypervisor or the runtime */
	char how[96];
};

#define CLAIMS_MAX 24u

struct claims {
	bool all; /* everything counts as claimed: there is no cage, and that must show */
	size_t count;
	struct claim items[CLAIMS_MAX];
};

const struct claim *claims_find(const struct claims *claims, const char *control);

/* One execution's end. */
struct run_end {
	int status; /* enum psb_status */
	int signal;
	char *text; /* owned: the guest's stdout */
	size_t len;
	char *json; /* owned: the whole outcome, or NULL */
	size_t json_len;
	char denied[48]; /* the forbidden call it was killed for */
};

void run_end_free(struct run_end *end);

struct judge {
	const struct claims *claims;
	const struct marks *marks;
	struct findings *findings;
	size_t next;   /* the step to go on with */
	bool finished; /* no step is left */
};

/* Judges one execution of an attack. A step that ended the program is judged by that end, and the
 * next execution goes on behind it. */
void judge_run(struct judge *judge, const struct run_end *end);

/* Something happened outside: a leak, or open where `control` is not claimed. */
void judge_effect(struct judge *judge, const char *what, const char *control, const char *text);

/* Something could not be seen to the end: nothing is known. */
void judge_untested(struct judge *judge, const char *what, const char *text);

#endif
