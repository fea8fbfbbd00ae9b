/*
 * Finds the record that the next one continues, from the end of the file backwards. Every writer
 * does this whenever another has written since, so several processes share one chain.
 *
 * A writer killed within its write() leaves a line without an end. The next writer closes it off:
 * it appends AUDIT_TORN_MARK, a newline and a `torn` record that seals the fragment. Killed in
 * there, it leaves another unfinished line behind a marked one; hence marked lines are passed over
 * on the way back. Nothing else may stand behind the last record: a finished line that is none was
 * changed by somebody, or belongs to another key or another file, and is not built upon.
 */
#include "audit/tail.h"

#include <string.h>

#define MARK_CHARS (sizeof(AUDIT_TORN_MARK) - 1)

static bool is_record(const struct audit_key *key, const uint8_t *text, size_t len,
		      struct audit_head *head)
{
	struct audit_line line;

	if (!audit_line_read(text, len, &line) || !audit_line_sealed(key, text, &line))
		return false;
	head->seq = line.seq;
	memcpy(head->hash, line.hash, sizeof(head->hash));
	return true;
}

/* An unfinished record that a later writer closed off. */
static bool is_marked(const uint8_t *text, size_t len)
{
	return len >= MARK_CHARS &&
	       memcmp(text + len - MARK_CHARS, AUDIT_TORN_MARK, MARK_CHARS) == 0 &&
	       audit_line_begun(text, len - MARK_CHARS);
}

/* The start of the line that ends before `end`. */
static size_t line_start(const uint8_t *window, size_t end)
{
	const uint8_t *newline = end > 0 ? memrchr(window, '\n', end) : NULL;

	return newline ? (size_t)(newline - window) + 1 : 0;
}

/* Back over marked lines to a record; `end` is behind a newline, or 0. */
static void find_record(const struct audit_key *key, const uint8_t *window, size_t end, bool whole,
			struct tail *out)
{
	while (end > 0) {
		size_t start = line_start(window, end - 1);
		size_t len = end - 1 - start;

		if (is_record(key, window + start, len, &out->head))
			return;
		if (start == 0 && !whole) {
			out->state = TAIL_UNKNOWN;
			return;
		}
		if (!is_marked(window + start, len)) {
			out->state = TAIL_FOREIGN;
			return;
		}
		out->state = TAIL_TORN;
		out->torn_at = start;
		end = start;
	}
	if (!whole)
		out->state = TAIL_UNKNOWN;
}

void tail_find(const struct audit_key *key, const uint8_t *window, size_t len, bool whole,
	       struct tail *out)
{
	size_t start = line_start(window, len);

	*out = (struct tail){.state = TAIL_WHOLE, .torn_at = len};
	if (start < len) {
		if (start == 0 && !whole) {
			out->state = TAIL_UNKNOWN;
			return;
		}
		if (is_record(key, window + start, len - start, &out->head)) {
			out->state = TAIL_NO_EOL;
			return;
		}
		if (!audit_line_begun(window + start, len - start)) {
			out->state = TAIL_FOREIGN;
			return;
		}
		out->state = TAIL_TORN;
		out->torn_at = start;
	}
	if (len > 0)
		find_record(key, window, start, whole, out);
}
