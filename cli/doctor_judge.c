/*
 * The judge. An attack program reports its steps on stdout (cli/attacks/prelude.py): "@begin INDEX
 * NAME CONTROL KIND", then one line of verdict, and "@end" after the last. A step counts as held
 * only when the program says so or when its end does; a program that stops for another reason is
 * untested, never held. A secret in any line turns its step into a leak, whatever the line says.
 *
 * Trust: the text may come from a broken cage. It is bounded, read once and never interpreted
 * beyond these words; what is kept of it is cut and made printable.
 */
#include "doctor_judge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "pysandbox.h"

const char *verdict_name(enum verdict verdict)
{
	static const char *const names[VERDICT_COUNT] = {"held", "absent", "open", "untested",
							 "leak"};

	return verdict < VERDICT_COUNT ? names[verdict] : "untested";
}

size_t findings_count(const struct findings *findings, enum verdict verdict)
{
	size_t count = 0;

	for (size_t i = 0; i < findings->count; i++)
		count += findings->items[i].verdict == verdict;
	return count;
}

enum verdict findings_worst(const struct findings *findings)
{
	enum verdict worst = findings->count ? VERDICT_HELD : VERDICT_UNTESTED;

	for (size_t i = 0; i < findings->count; i++)
		if (findings->items[i].verdict > worst)
			worst = findings->items[i].verdict;
	return worst;
}

int marks_make(struct marks *marks)
{
	unsigned char bytes[12];

	for (size_t i = 0; i < MARK_COUNT; i++) {
		int n = snprintf(marks->text[i], MARK_BYTES, "PSBMARK%c", (int)('a' + i));

		if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
			return -EIO;
		for (size_t k = 0; k < sizeof(bytes); k++)
			n += snprintf(marks->text[i] + n, MARK_BYTES - (size_t)n, "%02x", bytes[k]);
	}
	return 0;
}

const struct claim *claims_find(const struct claims *claims, const char *control)
{
	for (size_t i = 0; i < claims->count; i++)
		if (!strcmp(claims->items[i].control, control))
			return &claims->items[i];
	return NULL;
}

void run_end_free(struct run_end *end)
{
	free(end->text);
	free(end->json);
	*end = (struct run_end){0};
}

static void copy_printable(char *to, size_t room, const char *from, size_t len)
{
	size_t n = 0;

	for (; n < len && n + 1 < room; n++)
		to[n] = from[n] >= ' ' && from[n] <= '~' ? from[n] : '?';
	to[n] = '\0';
}

static bool has(const char *text, size_t len, const char *word)
{
	return len && memmem(text, len, word, strlen(word)) != NULL;
}

static bool has_mark(const struct marks *marks, const char *text, size_t len)
{
	for (size_t i = 0; i < MARK_COUNT; i++)
		if (has(text, len, marks->text[i]))
			return true;
	return false;
}

/* A control that is neither claimed nor disclaimed counts as claimed. */
static enum verdict got_through(const struct claims *claims, const char *control)
{
	const struct claim *claim = claims_find(claims, control);

	return claims->all || !claim || claim->kept ? VERDICT_LEAK : VERDICT_OPEN;
}

/* A verdict is never taken back for a better one. */
static void conclude(struct finding *finding, enum verdict verdict, const char *by, size_t len)
{
	if (verdict < finding->verdict)
		return;
	finding->verdict = verdict;
	copy_printable(finding->by, sizeof(finding->by), by, len);
}

static struct finding *add(struct judge *judge, const char *step, size_t step_len,
			   const char *control, size_t control_len)
{
	struct findings *findings = judge->findings;
	struct finding *finding;

	if (findings->count == FINDINGS_MAX) {
		finding = &findings->items[FINDINGS_MAX - 1];
		conclude(finding, VERDICT_UNTESTED, "too many findings", 17);
		return finding;
	}
	finding = &findings->items[findings->count++];
	memset(finding, 0, sizeof(*finding));
	copy_printable(finding->step, sizeof(finding->step), step, step_len);
	copy_printable(finding->control, sizeof(finding->control), control, control_len);
	return finding;
}

/* The parts of the text while it is read. */
struct reading {
	struct finding *open; /* begun, and not yet judged by a line of its own */
	struct finding *last; /* what a secret in a line belongs to */
	bool door;
	bool marked; /* a secret was found in some line */
};

struct word {
	const char *at;
	size_t len;
};

static struct word next_word(const char **at, const char *end)
{
	struct word word;

	while (*at < end && **at == ' ')
		(*at)++;
	word.at = *at;
	while (*at < end && **at != ' ')
		(*at)++;
	word.len = (size_t)(*at - word.at);
	return word;
}

static bool is(struct word word, const char *text)
{
	return word.len == strlen(text) && !memcmp(word.at, text, word.len);
}

static void begin_step(struct judge *judge, struct reading *reading, const char *at,
		       const char *end)
{
	struct word index = next_word(&at, end);
	struct word name = next_word(&at, end);
	struct word control = next_word(&at, end);
	struct word kind = next_word(&at, end);
	char digits[8];

	copy_printable(digits, sizeof(digits), index.at, index.len);
	if (strtoul(digits, NULL, 10) != judge->next)
		return;
	if (reading->open)
		conclude(reading->open, VERDICT_UNTESTED, "no verdict", 10);
	judge->next++;
	reading->open = reading->last = add(judge, name.at, name.len, control.at, control.len);
	reading->door = is(kind, "door");
}

static void end_step(struct judge *judge, struct reading *reading, struct word word, const char *at,
		     const char *end)
{
	static const struct {
		const char *word;
		enum verdict verdict;
	} words[] = {{"@held", VERDICT_HELD},
		     {"@quiet", VERDICT_HELD},
		     {"@absent", VERDICT_ABSENT},
		     {"@broken", VERDICT_UNTESTED}};
	enum verdict verdict = VERDICT_UNTESTED;

	if (!reading->open)
		return;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (is(word, words[i].word))
			verdict = words[i].verdict;
	if (is(word, "@reached"))
		verdict = got_through(judge->claims, reading->open->control);
	while (at < end && *at == ' ')
		at++;
	conclude(reading->open, verdict, at, (size_t)(end - at));
	reading->open = NULL;
}

static void read_line(struct judge *judge, struct reading *reading, const char *line,
		      const char *end)
{
	const char *at = line;
	struct word word = next_word(&at, end);

	if (is(word, "@begin"))
		begin_step(judge, reading, at, end);
	else if (is(word, "@end"))
		judge->finished = true;
	else if (word.len && word.at[0] == '@')
		end_step(judge, reading, word, at, end);
	if (!has_mark(judge->marks, line, (size_t)(end - line)))
		return;
	reading->marked = true;
	if (reading->last)
		conclude(reading->last, got_through(judge->claims, reading->last->control), line,
			 (size_t)(end - line));
	else
		judge_effect(judge, "secret", "host_memory", "a secret came out");
}

static void read_text(struct judge *judge, struct reading *reading, const struct run_end *end)
{
	const char *line = end->text;
	const char *stop = end->text + end->len;

	while (line < stop) {
		const char *newline = memchr(line, '\n', (size_t)(stop - line));
		const char *line_end = newline ? newline : stop;

		read_line(judge, reading, line, line_end);
		line = newline ? newline + 1 : stop;
	}
}

/* The program ended within a step: killed for it, or by accident? */
static void judge_open(const struct reading *reading, const struct run_end *end)
{
	char text[96];
	bool held = false;

	if (end->status == PSB_DENIED) {
		held = true;
		(void)snprintf(text, sizeof(text), "killed for the call %.40s", end->denied);
	} else if (end->status == PSB_CRASH && reading->door) {
		held = true;
		(void)snprintf(text, sizeof(text), "killed by signal %d", end->signal);
	} else {
		const char *name = psb_status_name(end->status);

		(void)snprintf(text, sizeof(text), "the attack ended with status %s",
			       name ? name : "?");
	}
	conclude(reading->open, held ? VERDICT_HELD : VERDICT_UNTESTED, text, strlen(text));
}

/* An attack that started another program in its place got through; the next step needs a new run. */
static bool replaced(const struct reading *reading)
{
	return reading->last &&
	       (reading->last->verdict == VERDICT_LEAK || reading->last->verdict == VERDICT_OPEN);
}

void judge_untested(struct judge *judge, const char *what, const char *text)
{
	conclude(add(judge, what, strlen(what), "", 0), VERDICT_UNTESTED, text, strlen(text));
	judge->finished = true;
}

void judge_run(struct judge *judge, const struct run_end *end)
{
	struct reading reading = {0};
	const char *name = psb_status_name(end->status);

	read_text(judge, &reading, end);
	if (reading.open)
		judge_open(&reading, end);
	else if (!judge->finished && !replaced(&reading))
		judge_untested(judge, "program", name ? name : "?");
	else if (!judge->findings->count)
		judge_untested(judge, "program", "it has no steps");
	if (!reading.marked && end->json && has_mark(judge->marks, end->json, end->json_len))
		judge_effect(judge, "outcome", "host_memory", "a secret is in the outcome");
}

void judge_effect(struct judge *judge, const char *what, const char *control, const char *text)
{
	struct finding *finding = add(judge, what, strlen(what), control, strlen(control));

	conclude(finding, got_through(judge->claims, control), text, strlen(text));
}
