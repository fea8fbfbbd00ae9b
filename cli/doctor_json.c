/* The report as one JSON object; docs/doctor.schema.json is its shape. */
#include <stdio.h>

#include "doctor.h"

static void member(const char *name, const char *text, const char *after)
{
	printf("\"%s\":", name);
	print_json_text(text);
	printf("%s", after);
}

static void host_object(const struct host_items *host)
{
	printf("\"host\":[");
	for (size_t i = 0; i < host->count; i++) {
		const struct host_item *item = &host->items[i];

		printf("%s{", i ? "," : "");
		member("name", item->name, ",");
		member("state", host_state_name(item->state), ",");
		member("value", item->value, ",");
		member("remedy", item->remedy, "}");
	}
	printf("],");
}

static void counts_object(const struct report *report)
{
	printf("\"counts\":{");
	for (int verdict = 0; verdict < VERDICT_COUNT; verdict++)
		printf("%s\"%s\":%zu", verdict ? "," : "", verdict_name((enum verdict)verdict),
		       report_count(report, (enum verdict)verdict));
	printf("},");
}

static void attack_object(const struct cage_report *cage, size_t index)
{
	const struct findings *findings = &cage->attacks[index];

	printf("%s{", index ? "," : "");
	member("name", doctor_attacks[index].name, ",");
	member("title", doctor_attacks[index].title, ",");
	member("verdict", verdict_name(findings_worst(findings)), ",");
	printf("\"steps\":[");
	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *finding = &findings->items[i];

		printf("%s{", i ? "," : "");
		member("name", finding->step, ",");
		member("control", finding->control, ",");
		member("verdict", verdict_name(finding->verdict), ",");
		member("by", finding->by, "}");
	}
	printf("]}");
}

static void controls_object(const struct claims *claims)
{
	printf("\"controls\":{");
	for (size_t i = 0; i < claims->count; i++) {
		printf("%s", i ? "," : "");
		print_json_text(claims->items[i].control);
		printf(":");
		print_json_text(claims->items[i].how);
	}
	printf("},");
}

static void cage_object(const struct cage_report *cage)
{
	static const char *const states[] = {"tested", "not_offered", "failed"};

	printf("{");
	member("engine", cage->cage.engine, ",");
	member("rung", cage->cage.rung, ",");
	member("state", states[cage->state], ",");
	member("reason", cage->cage.reason, ",");
	printf("\"level\":%d,", cage->cage.level);
	controls_object(&cage->cage.claims);
	printf("\"attacks\":[");
	for (size_t i = 0; i < ATTACK_COUNT && cage->state == CAGE_TESTED; i++)
		attack_object(cage, i);
	printf("]}");
}

void report_json(const struct report *report)
{
	printf("{\"version\":1,\"exit_code\":%d,\"wall_ms\":%llu,", report_code(report),
	       (unsigned long long)report->wall_ms);
	counts_object(report);
	host_object(&report->host);
	printf("\"cages\":[");
	for (size_t i = 0; i < report->count; i++) {
		printf("%s", i ? "," : "");
		cage_object(&report->cages[i]);
	}
	printf("]}\n");
}
