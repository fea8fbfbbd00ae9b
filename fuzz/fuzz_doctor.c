/*
 * The judge of `doctor` on what an attack may print. Whatever the text: every verdict is one of
 * the five, kept text is printable, an attack ends or goes on behind its last step, and a secret
 * in the text is never judged as held.
 */
#include <stdlib.h>
#include <string.h>

#include "doctor_judge.h"
#include "fuzz.h"
#include "pysandbox.h"

#define SECRET "PSBMARKa000000000000000000000000"

static void check_text(const char *text, size_t room)
{
	size_t len = strnlen(text, room);

	if (len == room)
		abort();
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			abort();
}

static void check(const struct judge *judge, size_t before, const struct run_end *end)
{
	const struct findings *findings = judge->findings;

	if (!judge->finished && judge->next == before)
		abort();
	if (!findings->count || findings->count > FINDINGS_MAX)
		abort();
	for (size_t i = 0; i < findings->count; i++) {
		check_text(findings->items[i].step, sizeof(findings->items[i].step));
		check_text(findings->items[i].control, sizeof(findings->items[i].control));
		check_text(findings->items[i].by, sizeof(findings->items[i].by));
		if ((int)findings->items[i].verdict < 0 ||
		    findings->items[i].verdict >= VERDICT_COUNT)
			abort();
	}
	if (end->len && memmem(end->text, end->len, SECRET, strlen(SECRET)) &&
	    findings_worst(findings) != VERDICT_LEAK)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct claims claims = {.count = 1, .items = {{"network", true, "seccomp"}}};
	struct findings *findings = calloc(1, sizeof(*findings));
	struct marks marks;
	struct judge judge = {.claims = &claims, .marks = &marks, .findings = findings};
	struct run_end end = {.signal = 11, .denied = "ptrace"};

	for (size_t i = 0; i < MARK_COUNT; i++)
		memcpy(marks.text[i], SECRET, sizeof(SECRET));
	if (findings && size) {
		end.status = data[0] % PSB_STATUS_COUNT;
		end.len = size - 1;
		end.text = malloc(end.len ? end.len : 1);
	}
	if (end.text) {
		memcpy(end.text, data + 1, end.len);
		judge_run(&judge, &end);
		check(&judge, 0, &end);
	}
	run_end_free(&end);
	free(findings);
	return 0;
}
