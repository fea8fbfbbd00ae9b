/*
 * Verification, the part that knows lines. Text is cut into lines of bounded length; a line is a
 * record, the rest of a killed writer that was closed off (it ends in AUDIT_TORN_MARK), or a fault.
 * verify_record.c judges records. After a fault the chain is taken up again at the next record, so
 * that one change gives one message and later ones are still found.
 *
 * Trust boundary: the file is hostile. Memory is bounded by one line; nothing in the text chooses
 * a size, and JSON members are read only after json_check() has passed the line.
 */
#include "audit/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "core/json_check.h"

#define MARK_CHARS (sizeof(AUDIT_TORN_MARK) - 1)

void verify_init(struct verifier *verifier)
{
	*verifier = (struct verifier){.sealed = true};
	buffer_init(&verifier->text, AUDIT_MAX_LINE_BYTES);
}

void verify_free(struct verifier *verifier)
{
	buffer_free(&verifier->text);
	audit_key_forget(&verifier->given);
}

void verify_fault(struct verifier *verifier, uint64_t line, const char *format, ...)
{
	struct psb_error message = {.message = ""};
	char text[400];
	va_list args;

	verifier->report.faults++;
	if (!verifier->on_fault)
		return;
	va_start(args, format);
	if (vsnprintf(text, sizeof(text), format, args) < 0)
		text[0] = '\0';
	va_end(args);
	(void)psb_fail(&message, PSB_E_INVALID, 0, "%s", text);
	verifier->on_fault(verifier->context, verifier->file, line, message.message);
}

void verify_begin_file(struct verifier *verifier, const char *name)
{
	verifier->file = name;
	verifier->line = 1;
	verifier->expect_begin = true;
	verifier->too_long = false;
	buffer_free(&verifier->text);
}

static bool is_marked(const uint8_t *text, size_t len)
{
	return len >= MARK_CHARS &&
	       memcmp(text + len - MARK_CHARS, AUDIT_TORN_MARK, MARK_CHARS) == 0 &&
	       audit_line_begun(text, len - MARK_CHARS);
}

static void take_torn(struct verifier *verifier, const uint8_t *text, size_t len)
{
	if (verifier->torn_bytes == 0) {
		sha256_init(&verifier->torn_hash);
		verifier->torn_line = verifier->line;
	}
	sha256_update(&verifier->torn_hash, text, len);
	sha256_update(&verifier->torn_hash, "\n", 1);
	verifier->torn_bytes += len + 1;
}

static void bad_line(struct verifier *verifier)
{
	verifier->adopt = true;
	verifier->bad_lines++;
}

static int take_line(struct verifier *verifier)
{
	const uint8_t *text = (const uint8_t *)buffer_text(&verifier->text);
	size_t len = verifier->text.len;
	struct json_fault fault = {.reason = ""};
	struct audit_line line;
	int error = 0;

	if (verifier->too_long) {
		verify_fault(verifier, verifier->line, "longer than %u bytes: no record is",
			     AUDIT_MAX_LINE_BYTES - 1);
		bad_line(verifier);
	} else if (is_marked(text, len)) {
		take_torn(verifier, text, len);
	} else if (!audit_line_read(text, len, &line)) {
		verify_fault(verifier, verifier->line,
			     "is not a record: changed, or written by something else");
		bad_line(verifier);
	} else {
		error = json_check(text, len, JSON_OBJECT_ONLY, &fault);
		if (error == PSB_E_INVALID) {
			verify_fault(verifier, verifier->line, "byte %zu: %s: changed",
				     fault.offset, fault.reason);
			bad_line(verifier);
			error = 0;
		} else if (!error) {
			verify_record(verifier, text, len, &line);
		}
	}
	return error;
}

static void next_line(struct verifier *verifier)
{
	verifier->text.len = 0;
	verifier->too_long = false;
	verifier->line++;
}

static int keep(struct verifier *verifier, const uint8_t *data, size_t len)
{
	int error;

	if (len >= buffer_room(&verifier->text))
		verifier->too_long = true;
	if (verifier->too_long)
		return 0;
	error = buffer_append(&verifier->text, data, len);
	return error;
}

int verify_feed(struct verifier *verifier, const uint8_t *data, size_t len)
{
	while (len > 0) {
		const uint8_t *newline = memchr(data, '\n', len);
		size_t part = newline ? (size_t)(newline - data) : len;
		int error = keep(verifier, data, part);

		if (!error && newline)
			error = take_line(verifier);
		if (error)
			return error;
		if (newline)
			next_line(verifier);
		data += part + (newline != NULL);
		len -= part + (newline != NULL);
	}
	return 0;
}

/* What is left behind the last newline. */
static void take_rest(struct verifier *verifier)
{
	const uint8_t *text = (const uint8_t *)buffer_text(&verifier->text);
	size_t len = verifier->text.len;
	struct audit_line line;

	if (len == 0 && !verifier->too_long)
		return;
	if (!verifier->too_long && audit_line_read(text, len, &line) &&
	    json_check(text, len, JSON_OBJECT_ONLY, NULL) == 0) {
		verify_record(verifier, text, len, &line);
		verify_fault(verifier, verifier->line,
			     "lacks its newline: its writer was killed, or the file was cut; the "
			     "next writer adds it");
		return;
	}
	verify_fault(verifier, verifier->line,
		     "is torn: its writer was killed, the disk was full, or the file was cut; the "
		     "next writer closes it off");
	bad_line(verifier);
}

void verify_end_file(struct verifier *verifier)
{
	take_rest(verifier);
	if (verifier->torn_bytes > 0)
		verify_fault(verifier, verifier->torn_line,
			     "is torn and marked, but no record closes it off");
	verifier->torn_bytes = 0;
	if (verifier->expect_begin)
		verify_fault(verifier, verifier->line, "the file holds no `begin` record");
	verifier->expect_begin = false;
	buffer_free(&verifier->text);
}

void verify_finish(struct verifier *verifier)
{
	struct psb_audit_report *report = &verifier->report;
	uint64_t gone = verifier->not_started + verifier->ended_runs;

	if (verifier->wanted && !verifier->found)
		verify_fault(verifier, verifier->line,
			     "the head %.16s... is not in the chain: records were cut off from its "
			     "end, or all of it was rewritten",
			     verifier->wanted);
	report->open = report->accepted > gone ? report->accepted - gone : 0;
	report->last_seq = verifier->head.seq;
	memcpy(report->head, verifier->any ? verifier->head.hash : AUDIT_GENESIS,
	       sizeof(report->head));
	report->keyed = verifier->sealed ? verifier->keyed : -1;
	audit_key_forget(&verifier->given);
}
