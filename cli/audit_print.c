/*
 * What `audit verify` says. Faults come as they are found, at most MOST_FAULTS of them; the names of
 * files are the caller's, the messages the library's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "audit.h"

#define MOST_FAULTS 100

void print_fault(void *context, const char *file, uint64_t line, const char *message)
{
	struct audit_args *args = context;

	if (args->printed++ >= MOST_FAULTS)
		return;
	if (!args->json) {
		printf("%s:%" PRIu64 ": %s\n", file, line, message);
		return;
	}
	printf("%s{\"file\":", args->printed > 1 ? "," : "");
	print_json_text(file);
	printf(",\"line\":%" PRIu64 ",\"message\":", line);
	print_json_text(message);
	putchar('}');
}

static void print_json(const struct psb_audit_report *report)
{
	printf("],\"fault_count\":%" PRIu64 ",\"records\":%" PRIu64 ",\"accepted\":%" PRIu64
	       ",\"ended\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"torn\":%" PRIu64
	       ",\"lost\":%" PRIu64 ",\"open\":%" PRIu64,
	       report->faults, report->records, report->accepted, report->ended, report->refused,
	       report->torn, report->lost, report->open);
	printf(",\"first_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64 ",\"after_head\":%" PRIu64
	       ",\"keyed\":%s,\"continues\":%s,\"previous\":\"%s\",\"head\":\"%s\"}\n",
	       report->first_seq, report->last_seq, report->after_head,
	       report->keyed > 0 ? "true" : "false", report->continues ? "true" : "false",
	       report->previous, report->head);
}

static void print_notes(const struct audit_args *args, const struct psb_audit_report *report)
{
	if (report->torn)
		printf("note: %" PRIu64 " torn lines of killed writers, closed off by the next\n",
		       report->torn);
	if (report->lost)
		printf("note: %" PRIu64 " records could not be written, say their writers\n",
		       report->lost);
	if (report->open)
		printf("note: %" PRIu64 " runs have no end here: still running, or their host was "
		       "killed\n",
		       report->open);
	if (report->continues)
		printf("note: continues a file that was not given, whose head is %s\n",
		       report->previous);
	if (args->check.head && report->faults == 0)
		printf("note: %" PRIu64 " records follow the head that was given\n",
		       report->after_head);
}

static void print_blind_spots(const struct audit_args *args, const struct psb_audit_report *report)
{
	if (report->keyed == 0)
		printf("This chain has no key: whoever may write the file can change any record "
		       "and compute all\nhashes after it anew. Only a head noted where they cannot "
		       "reach shows that (--head).\n");
	else if (report->keyed > 0)
		printf("Whoever has the key can rewrite the chain; a head noted elsewhere shows "
		       "that (--head).\n");
	if (!args->check.head)
		printf("No head was given: records cut off from the end do not show.\n");
}

void print_report(const struct audit_args *args, const struct psb_audit_report *report)
{
	if (args->json) {
		print_json(report);
		return;
	}
	if (args->printed > MOST_FAULTS)
		printf("... and %" PRIu64 " more\n", args->printed - MOST_FAULTS);
	printf("%s: %" PRIu64 " records, numbers %" PRIu64 " to %" PRIu64 ": %" PRIu64
	       " accepted, %" PRIu64 " ended, %" PRIu64 " refused\n",
	       report->faults ? "NOT WHOLE" : "whole", report->records, report->first_seq,
	       report->last_seq, report->accepted, report->ended, report->refused);
	print_notes(args, report);
	printf("head: %s\n", report->head);
	print_blind_spots(args, report);
}
