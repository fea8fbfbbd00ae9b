/* The chain on its own: seals against the standard's vectors, frames, ends of files, and what
 * verification finds in a log that was tampered with. */
#include "audit_fixture.h"

#include "audit/tail.h"

#define KEY "0123456789abcdef0123456789abcdef"

static void hmac_matches_the_standard(void **state)
{
	static const char long_text[] = "This is a test using a larger than block-size key and a "
					"larger than block-size data. The key needs to be hashed "
					"before being used by the HMAC algorithm.";
	uint8_t long_key[131];
	struct audit_key key = {.keyed = false};
	char hex[65];

	(void)state;
	audit_key_set(&key, "Jefe", 4);
	audit_seal(&key, "what do ya want for nothing?", 28, hex);
	assert_string_equal(hex,
			    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(long_key, 0xaa, sizeof(long_key));
	audit_key_set(&key, long_key, sizeof(long_key));
	audit_seal(&key, long_text, sizeof(long_text) - 1, hex);
	assert_string_equal(hex,
			    "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
	audit_key_forget(&key);
	audit_seal(&key, "abc", 3, hex);
	assert_string_equal(hex,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static size_t write_lines(const char *key_text, size_t count, uint8_t *out, size_t size)
{
	struct audit_key key = {.keyed = false};
	struct audit_head head = {.seq = 0};
	char body[160];
	struct buffer text;
	size_t len;

	buffer_init(&text, size);
	if (key_text)
		audit_key_set(&key, key_text, strlen(key_text));
	(void)snprintf(body, sizeof(body), "\"event\":\"begin\",\"chain\":\"%s\",\"key_id\":\"%s\"",
		       key_text ? "hmac-sha256" : "sha256", key.id);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			(void)snprintf(body, sizeof(body), "\"event\":\"refused\",\"n\":%zu", i);
		assert_int_equal(audit_line_write(&key, &head, body, strlen(body), &text), 0);
	}
	len = text.len;
	memcpy(out, text.data, len);
	buffer_free(&text);
	return len;
}

static void frames_are_read_exactly(void **state)
{
	struct audit_key key = {.keyed = false};
	struct audit_line line;
	uint8_t text[4096];
	size_t len = write_lines(NULL, 1, text, sizeof(text)) - 1;

	(void)state;
	assert_true(audit_line_read(text, len, &line));
	assert_int_equal(line.seq, 1);
	assert_string_equal(line.event, "begin");
	assert_string_equal(line.prev, AUDIT_GENESIS);
	assert_true(audit_line_sealed(&key, text, &line));
	for (size_t cut = 0; cut < len; cut++) {
		assert_false(audit_line_read(text, cut, &line));
		assert_true(audit_line_begun(text, cut));
	}
	text[18] = '0'; /* no number begins with 0 */
	assert_false(audit_line_read(text, len, &line));
}

/* All 255 other values of every byte, with and without a key: nothing is excepted. */
static void every_single_byte_edit_is_found(void **state)
{
	static const char *const keys[] = {NULL, KEY};

	(void)state;
	for (size_t k = 0; k < COUNT(keys); k++) {
		uint8_t text[2048];
		size_t len = write_lines(keys[k], 3, text, sizeof(text));

		assert_int_equal(verify_memory(text, len, keys[k], NULL, NULL).faults, 0);
		for (size_t at = 0; at < len; at++) {
			uint8_t right = text[at];

			for (int value = 0; value < 256; value++) {
				text[at] = (uint8_t)value;
				if (value != right &&
				    verify_memory(text, len, keys[k], NULL, NULL).faults == 0)
					fail_msg("byte %zu as 0x%02x", at, value);
			}
			text[at] = right;
		}
	}
}

static size_t line_at(const uint8_t *text, size_t len, size_t index)
{
	size_t at = 0;

	for (; index > 0 && at < len; index--)
		at = (size_t)((const uint8_t *)memchr(text + at, '\n', len - at) - text) + 1;
	return at;
}

static void removed_lines_are_found(void **state)
{
	uint8_t text[8192];
	uint8_t changed[8192];
	struct seen_fault seen;
	size_t len = write_lines(NULL, 6, text, sizeof(text));

	(void)state;
	for (size_t first = 0; first < 6; first++) {
		for (size_t end = first + 1; end <= 6; end++) {
			size_t from = line_at(text, len, first);
			size_t to = line_at(text, len, end);
			size_t left = len - (to - from);
			struct psb_audit_report report;

			memcpy(changed, text, from);
			memcpy(changed + from, text + to, len - to);
			report = verify_memory(changed, left, NULL, NULL, &seen);
			/* Cutting off the end shows only against a head noted before. */
			assert_true((report.faults == 0) == (end == 6 && first > 0));
			if (first > 0 && end < 6) {
				assert_int_equal(seen.line, first + 1);
				assert_non_null(strstr(seen.message, "were removed"));
			}
		}
	}
}

static void a_noted_head_shows_truncation(void **state)
{
	uint8_t text[8192];
	size_t len = write_lines(NULL, 5, text, sizeof(text));
	struct psb_audit_report whole = verify_memory(text, len, NULL, NULL, NULL);
	size_t start = line_at(text, len, 4);
	struct psb_audit_report before = verify_memory(text, start, NULL, NULL, NULL);

	(void)state;
	assert_int_equal(whole.faults + before.faults, 0);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_not_equal(verify_memory(text, cut, NULL, whole.head, NULL).faults, 0);
	whole = verify_memory(text, len, NULL, before.head, NULL);
	assert_int_equal(whole.faults, 0);
	assert_int_equal(whole.after_head, 1);
}

static void moved_and_repeated_lines_are_found(void **state)
{
	uint8_t text[8192];
	uint8_t changed[8192];
	struct seen_fault seen;
	size_t len = write_lines(NULL, 6, text, sizeof(text));

	(void)state;
	for (size_t i = 1; i + 1 < 6; i++) {
		size_t a = line_at(text, len, i);
		size_t b = line_at(text, len, i + 1);
		size_t c = line_at(text, len, i + 2);

		memcpy(changed, text, len);
		memcpy(changed + a, text + b, c - b);
		memcpy(changed + a + (c - b), text + a, b - a);
		assert_true(verify_memory(changed, len, NULL, NULL, &seen).faults >= 2);
		assert_int_equal(seen.line, i + 1);
		memcpy(changed, text, b);
		memcpy(changed + b, text + a, len - a);
		assert_true(verify_memory(changed, len + b - a, NULL, NULL, &seen).faults >= 1);
		assert_int_equal(seen.line, i + 2);
		assert_non_null(strstr(seen.message, "moved or repeated"));
	}
}

/* What somebody without the key can do to a keyed chain, and with it to a plain one. */
static void a_rewritten_chain_needs_the_key(void **state)
{
	uint8_t text[8192];
	size_t len = write_lines(NULL, 4, text, sizeof(text));
	struct psb_audit_report plain = verify_memory(text, len, NULL, NULL, NULL);
	struct seen_fault seen;

	(void)state;
	assert_int_equal(plain.faults, 0);
	assert_int_equal(plain.keyed, 0);
	assert_int_not_equal(verify_memory(text, len, KEY, NULL, &seen).faults, 0);
	assert_non_null(strstr(seen.message, "has no key"));
	len = write_lines("ffffffffffffffffffffffffffffffff", 4, text, sizeof(text));
	assert_true(verify_memory(text, len, KEY, NULL, &seen).faults >= 4);
	assert_non_null(strstr(seen.message, "has the id"));
	len = write_lines(KEY, 4, text, sizeof(text));
	assert_int_equal(verify_memory(text, len, KEY, NULL, NULL).keyed, 1);
	plain = verify_memory(text, len, NULL, NULL, &seen);
	assert_int_equal(plain.faults, 1);
	assert_int_equal(plain.keyed, -1);
	assert_non_null(strstr(seen.message, "sealed with a key"));
}

static void one_change_gives_one_fault(void **state)
{
	uint8_t text[8192];
	struct seen_fault seen;
	size_t len = write_lines(NULL, 6, text, sizeof(text));
	size_t at = line_at(text, len, 3);

	(void)state;
	text[at + 40] ^= 1; /* in the time of record 4 */
	assert_int_equal(verify_memory(text, len, NULL, NULL, &seen).faults, 1);
	assert_int_equal(seen.line, 4);
}

static void hostile_text_is_bounded(void **state)
{
	size_t size = 3u * AUDIT_MAX_LINE_BYTES;
	uint8_t *text = malloc(size);
	struct seen_fault seen;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', size);
	text[size - 1] = '\n';
	assert_true(verify_memory(text, size, NULL, NULL, &seen).faults >= 1);
	assert_non_null(strstr(seen.message, "longer than"));
	memset(text, '\n', size);
	assert_true(verify_memory(text, size, NULL, NULL, &seen).faults >= size);
	assert_int_not_equal(verify_memory(text, 0, NULL, NULL, &seen).faults, 0);
	free(text);
}

static void ends_are_told_apart(void **state)
{
	struct audit_key key = {.keyed = false};
	struct audit_key other = {.keyed = false};
	uint8_t text[8192];
	size_t len = write_lines(NULL, 3, text, sizeof(text));
	size_t last = line_at(text, len, 2);
	struct tail tail;

	(void)state;
	tail_find(&key, text, len, true, &tail);
	assert_int_equal(tail.state, TAIL_WHOLE);
	assert_int_equal(tail.head.seq, 3);
	tail_find(&key, text, len - 1, true, &tail);
	assert_int_equal(tail.state, TAIL_NO_EOL);
	assert_int_equal(tail.head.seq, 3);
	for (size_t cut = last + 1; cut < len - 1; cut++) {
		tail_find(&key, text, cut, true, &tail);
		assert_int_equal(tail.state, TAIL_TORN);
		assert_int_equal(tail.torn_at, last);
		assert_int_equal(tail.head.seq, 2);
	}
	tail_find(&key, text + last + 5, len - last - 5, false, &tail);
	assert_int_equal(tail.state, TAIL_UNKNOWN);
	tail_find(&key, text, 0, true, &tail);
	assert_int_equal(tail.state, TAIL_WHOLE);
	assert_int_equal(tail.head.seq, 0);
	audit_key_set(&other, KEY, sizeof(KEY) - 1);
	tail_find(&other, text, len, true, &tail);
	assert_int_equal(tail.state, TAIL_FOREIGN);
	tail_find(&key, (const uint8_t *)"hello\n", 6, true, &tail);
	assert_int_equal(tail.state, TAIL_FOREIGN);
	tail_find(&key, (const uint8_t *)"hello", 5, true, &tail);
	assert_int_equal(tail.state, TAIL_FOREIGN);
	text[last + 30] ^= 1; /* a changed last record is not built upon */
	tail_find(&key, text, len, true, &tail);
	assert_int_equal(tail.state, TAIL_FOREIGN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hmac_matches_the_standard),
		cmocka_unit_test(frames_are_read_exactly),
		cmocka_unit_test(every_single_byte_edit_is_found),
		cmocka_unit_test(removed_lines_are_found),
		cmocka_unit_test(a_noted_head_shows_truncation),
		cmocka_unit_test(moved_and_repeated_lines_are_found),
		cmocka_unit_test(a_rewritten_chain_needs_the_key),
		cmocka_unit_test(one_change_gives_one_fault),
		cmocka_unit_test(hostile_text_is_bounded),
		cmocka_unit_test(ends_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
