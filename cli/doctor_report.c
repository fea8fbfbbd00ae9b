/*
 * The report: a table for people, one JSON object for programs (docs/doctor.md). Text that a guest
 * may have had a hand in was made printable by the judge.
 */
#include <stdio.h>
#include <string.h>

#include "demo.h"
#include "doctor.h"

static const char *colour_of(int gravity)
{
	static const char *const codes[] = {"\033[32m", "\033[33m", "\033[31m"};

	return demo_colour(codes[gravity]);
}

/* The plain width is kept: colour codes take no room on the screen. */
static void print_coloured(const char *text, int width, int gravity)
{
	printf("%s%s%s%*s", colour_of(gravity), text, demo_colour("\033[0m"),
	       width > (int)strlen(text) ? width - (int)strlen(text) : 0, "");
}

static int gravity_of(enum verdict verdict)
{
	if (verdict == VERDICT_LEAK)
		return 2;
	return verdict == VERDICT_OPEN || verdict == VERDICT_UNTESTED ? 1 : 0;
}

static void print_host(const struct host_items *host)
{
	printf("%-15s %-8s %s\n", "HOST", "STATE", "WHAT");
	for (size_t i = 0; i < host->count; i++) {
		const struct host_item *item = &host->items[i];

		printf("%-15s ", item->name);
		print_coloured(host_state_name(item->state), 9, (int)item->state);
		printf("%s\n", item->value);
		if (item->remedy[0])
			printf("%-25sremedy: %s\n", "", item->remedy);
	}
}

/* One word of what refused each step, with how often: "EPERM 12, killed 40". */
#define REASONS_MAX 8

struct reasons {
	size_t count;
	struct {
		char word[16];
		unsigned int times;
	} items[REASONS_MAX];
};

static void count_reason(struct reasons *reasons, const char *by)
{
	bool code = by[0] == 'E' && strspn(by, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") > 2;
	const char *word = code ? by : "nothing there";
	size_t len = code ? strcspn(by, " ") : strlen(word);
	size_t i = 0;

	if (!strncmp(by, "killed", 6)) {
		word = "killed";
		len = strlen(word);
	}
	while (i < reasons->count && (strlen(reasons->items[i].word) != len ||
				      memcmp(reasons->items[i].word, word, len) != 0))
		i++;
	if (i == REASONS_MAX || len >= sizeof(reasons->items[i].word))
		return;
	if (i == reasons->count) {
		reasons->count++;
		(void)snprintf(reasons->items[i].word, sizeof(reasons->items[i].word), "%.*s",
			       (int)len, word);
		reasons->items[i].times = 0;
	}
	reasons->items[i].times++;
}

static void print_reasons(const struct cage_report *cage, size_t index)
{
	const struct findings *findings = &cage->attacks[index];
	const struct claim *claim = claims_find(&cage->cage.claims, doctor_attacks[index].control);
	struct reasons reasons = {.count = 0};

	for (size_t i = 0; i < findings->count; i++)
		if (findings->items[i].verdict == VERDICT_HELD)
			count_reason(&reasons, findings->items[i].by);
	printf("%s", claim && claim->how[0] ? claim->how : "-");
	for (size_t i = 0; i < reasons.count; i++)
		printf("%s%s %u%s", i ? ", " : " (", reasons.items[i].word, reasons.items[i].times,
		       i + 1 == reasons.count ? ")" : "");
	printf("\n");
}

static void print_exceptions(const struct findings *findings)
{
	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *finding = &findings->items[i];

		if (finding->verdict != VERDICT_LEAK && finding->verdict != VERDICT_UNTESTED)
			continue;
		printf("%-16s", "");
		print_coloured(verdict_name(finding->verdict), 9, gravity_of(finding->verdict));
		printf("%s (%s): %s\n", finding->step, finding->control, finding->by);
	}
}

static void print_attack(const struct cage_report *cage, size_t index)
{
	const struct findings *findings = &cage->attacks[index];
	enum verdict worst = findings_worst(findings);
	char steps[24];

	(void)snprintf(steps, sizeof(steps), "%zu/%zu",
		       findings_count(findings, VERDICT_HELD) +
			       findings_count(findings, VERDICT_ABSENT),
		       findings->count);
	printf("%-10s %-5s%-33s", cage->cage.engine, cage->cage.rung[0] ? cage->cage.rung : "-",
	       doctor_attacks[index].title);
	print_coloured(verdict_name(worst), 9, gravity_of(worst));
	printf("%-7s ", steps);
	print_reasons(cage, index);
	print_exceptions(findings);
}

static void print_cages(const struct report *report)
{
	printf("\n%-10s %-5s%-33s%-9s%-7s %s\n", "ENGINE", "RUNG", "ATTACK", "VERDICT", "STEPS",
	       "HELD BY");
	for (size_t i = 0; i < report->count; i++) {
		const struct cage_report *cage = &report->cages[i];

		if (cage->state != CAGE_TESTED) {
			printf("%-10s %-5s", cage->cage.engine,
			       cage->cage.rung[0] ? cage->cage.rung : "-");
			print_coloured(cage->state == CAGE_FAILED ? "failed" : "not offered", 12,
				       cage->state == CAGE_FAILED ? 2 : 1);
			printf("%s\n", cage->cage.reason);
			continue;
		}
		for (size_t k = 0; k < ATTACK_COUNT; k++)
			print_attack(cage, k);
	}
}

void report_table(const struct report *report)
{
	size_t open = report_count(report, VERDICT_OPEN);
	size_t leaks = report_count(report, VERDICT_LEAK);
	size_t untested = report_count(report, VERDICT_UNTESTED);

	print_host(&report->host);
	print_cages(report);
	printf("\n%zu attempts held, ", report_count(report, VERDICT_HELD));
	print_coloured(leaks ? "GOT OUT: " : "got out: ", 0, leaks ? 2 : 0);
	printf("%zu", leaks);
	if (open)
		printf(", open where the rung promises nothing: %zu", open);
	if (untested)
		printf(", untested: %zu", untested);
	if (report_count(report, VERDICT_ABSENT))
		printf(", no such door: %zu", report_count(report, VERDICT_ABSENT));
	printf(" (%.1f s)\n", (double)report->wall_ms / 1000);
	if (!report_cages(report, CAGE_TESTED))
		printf("No cage could be tested.\n");
}
