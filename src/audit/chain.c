/*
 * Frames of audit records: read and written as text, without a JSON parser, so that finding the
 * end of a chain needs no memory and no more than one pass over a line.
 *
 * Trust boundary: a log file is as trustworthy as whoever may write it. Lines are read by the
 * exact form that the writer gives them; whatever differs by a byte is no record.
 */
#include "audit/chain.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define BEGINNING "{\"version\":1,\"seq\":"
#define SEAL_BEGIN ",\"hash\":\""
#define SEAL_CHARS (sizeof(SEAL_BEGIN) - 1 + AUDIT_HASH_CHARS + 2) /* ,"hash":"…"} */
#define MAX_SEQ_DIGITS 19

struct reader {
	const uint8_t *at;
	size_t left;
	bool failed;
};

static void skip_text(struct reader *reader, const char *text)
{
	size_t len = strlen(text);

	if (reader->failed || reader->left < len || memcmp(reader->at, text, len) != 0) {
		reader->failed = true;
		return;
	}
	reader->at += len;
	reader->left -= len;
}

static bool is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

static bool is_hex(uint8_t byte)
{
	return is_digit(byte) || (byte >= 'a' && byte <= 'f');
}

static uint64_t read_seq(struct reader *reader)
{
	uint64_t value = 0;
	size_t digits = 0;

	while (!reader->failed && digits < reader->left && digits < MAX_SEQ_DIGITS &&
	       is_digit(reader->at[digits]))
		value = value * 10 + (uint64_t)(reader->at[digits++] - '0');
	if (digits == 0 || reader->at[0] == '0')
		reader->failed = true;
	if (reader->failed)
		return 0;
	reader->at += digits;
	reader->left -= digits;
	return value;
}

static void read_hash(struct reader *reader, char out[AUDIT_HASH_CHARS + 1])
{
	size_t n = 0;

	while (!reader->failed && n < AUDIT_HASH_CHARS && n < reader->left && is_hex(reader->at[n]))
		n++;
	if (reader->failed || n < AUDIT_HASH_CHARS) {
		reader->failed = true;
		return;
	}
	memcpy(out, reader->at, n);
	out[n] = '\0';
	reader->at += n;
	reader->left -= n;
}

/* "2026-11-25T02:31:12.123456789Z"; the calendar is not checked. */
static void skip_time(struct reader *reader)
{
	static const uint8_t form[] = "0000-00-00T00:00:00.000000000Z";

	if (reader->failed || reader->left < AUDIT_TIME_CHARS) {
		reader->failed = true;
		return;
	}
	for (size_t i = 0; i < AUDIT_TIME_CHARS; i++) {
		if (form[i] == '0' ? !is_digit(reader->at[i]) : reader->at[i] != form[i])
			reader->failed = true;
	}
	reader->at += AUDIT_TIME_CHARS;
	reader->left -= AUDIT_TIME_CHARS;
}

static void read_event(struct reader *reader, char out[AUDIT_EVENT_CHARS + 1])
{
	size_t n = 0;

	while (!reader->failed && n < AUDIT_EVENT_CHARS && n < reader->left &&
	       ((reader->at[n] >= 'a' && reader->at[n] <= 'z') || reader->at[n] == '_'))
		n++;
	if (n == 0)
		reader->failed = true;
	if (reader->failed)
		return;
	memcpy(out, reader->at, n);
	out[n] = '\0';
	reader->at += n;
	reader->left -= n;
}

bool audit_line_read(const uint8_t *text, size_t len, struct audit_line *out)
{
	struct reader reader = {text, len, false};
	struct audit_line line = {.seq = 0};

	skip_text(&reader, BEGINNING);
	line.seq = read_seq(&reader);
	skip_text(&reader, ",\"time\":\"");
	skip_time(&reader);
	skip_text(&reader, "\",\"prev\":\"");
	read_hash(&reader, line.prev);
	skip_text(&reader, "\",\"event\":\"");
	read_event(&reader, line.event);
	skip_text(&reader, "\"");
	if (reader.failed || reader.left < SEAL_CHARS)
		return false;
	line.sealed_len = len - SEAL_CHARS;
	reader = (struct reader){text + line.sealed_len, SEAL_CHARS, false};
	skip_text(&reader, SEAL_BEGIN);
	read_hash(&reader, line.hash);
	skip_text(&reader, "\"}");
	if (reader.failed)
		return false;
	*out = line;
	return true;
}

bool audit_line_sealed(const struct audit_key *key, const uint8_t *text,
		       const struct audit_line *line)
{
	char hash[AUDIT_HASH_CHARS + 1];

	audit_seal(key, text, line->sealed_len, hash);
	return memcmp(hash, line->hash, AUDIT_HASH_CHARS) == 0;
}

bool audit_line_begun(const uint8_t *text, size_t len)
{
	size_t known = sizeof(BEGINNING) - 1;

	return memcmp(text, BEGINNING, len < known ? len : known) == 0;
}

uint64_t audit_line_seq(const uint8_t *text, size_t len)
{
	struct reader reader = {text, len, false};

	skip_text(&reader, BEGINNING);
	return read_seq(&reader);
}

static void format_time(char out[AUDIT_TIME_CHARS + 34])
{
	struct timespec now = {0};
	struct tm parts = {0};

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &parts);
	(void)snprintf(out, AUDIT_TIME_CHARS + 34, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ",
		       (parts.tm_year + 1900) % 10000, parts.tm_mon + 1, parts.tm_mday,
		       parts.tm_hour, parts.tm_min, parts.tm_sec, now.tv_nsec);
}

static int write_frame(const struct audit_head *head, struct buffer *out)
{
	char time_text[AUDIT_TIME_CHARS + 34];
	char frame[AUDIT_TIME_CHARS + AUDIT_HASH_CHARS + 128];
	int n;

	format_time(time_text);
	n = snprintf(frame, sizeof(frame), BEGINNING "%llu,\"time\":\"%s\",\"prev\":\"%s\",",
		     (unsigned long long)head->seq + 1, time_text,
		     head->seq ? head->hash : AUDIT_GENESIS);
	return buffer_append(out, frame, (size_t)n);
}

static int write_seal(const char hash[AUDIT_HASH_CHARS + 1], struct buffer *out)
{
	int error = buffer_append_text(out, SEAL_BEGIN);

	if (!error)
		error = buffer_append(out, hash, AUDIT_HASH_CHARS);
	return error ? error : buffer_append(out, "\"}\n", 3);
}

int audit_line_write(const struct audit_key *key, struct audit_head *head, const char *body,
		     size_t body_len, struct buffer *out)
{
	char hash[AUDIT_HASH_CHARS + 1];
	size_t start = out->len;
	int error = write_frame(head, out);

	if (!error)
		error = buffer_append(out, body, body_len);
	if (error)
		return error;
	audit_seal(key, out->data + start, out->len - start, hash);
	error = write_seal(hash, out);
	if (error)
		return error;
	memcpy(head->hash, hash, sizeof(hash));
	head->seq++;
	return 0;
}
