/* Buffer, UTF-8, SHA-256, errors, option structs. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/buffer.h"
#include "core/error.h"
#include "core/options.h"
#include "core/sha256.h"
#include "core/utf8.h"

static void buffer_keeps_its_maximum(void **state)
{
	struct buffer buf;

	(void)state;
	buffer_init(&buf, 10);
	assert_string_equal(buffer_text(&buf), "");
	assert_int_equal(buffer_append(&buf, "12345678", 8), 0);
	assert_int_equal(buffer_append(&buf, "abc", 3), PSB_E_TOO_LARGE);
	assert_int_equal(buf.len, 8);
	assert_int_equal(buffer_append(&buf, "ab", 2), 0);
	assert_string_equal(buffer_text(&buf), "12345678ab");
	assert_int_equal(buffer_room(&buf), 0);
	assert_int_equal(buffer_reserve(&buf, SIZE_MAX), PSB_E_TOO_LARGE);
	buffer_free(&buf);
	assert_int_equal(buf.max, 10);
	assert_int_equal(buffer_append(&buf, NULL, 0), 0);
}

static void buffer_hands_over(void **state)
{
	struct buffer buf;
	char *text;

	(void)state;
	buffer_init(&buf, 100);
	text = buffer_take_text(&buf);
	assert_string_equal(text, "");
	free(text);
	assert_int_equal(buffer_append_text(&buf, "hello"), 0);
	text = buffer_take_text(&buf);
	assert_string_equal(text, "hello");
	assert_int_equal(buf.len, 0);
	free(text);
}

/* Each ill-formed input and its replacement, after Unicode's practice of maximal subparts. */
static const struct {
	const char *in;
	const char *out;
} sanitized[] = {
	{"plain", "plain"},
	{"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
	{"\xe2\x82\xac\xf0\x9f\x98\x80", "\xe2\x82\xac\xf0\x9f\x98\x80"},
	{"a\xff"
	 "b",
	 "a\xef\xbf\xbd"
	 "b"},
	{"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
	{"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
	{"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
	{"\xe2\x82z", "\xef\xbf\xbdz"},
	{"\xf0\x9f\x98", "\xef\xbf\xbd"},
	{"\xe2\x82", "\xef\xbf\xbd"},
	{"\xf0\x9f\xe2\x82\xac", "\xef\xbf\xbd\xe2\x82\xac"},
	{"\xe0\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
};

static void collect_text(void *context, const uint8_t *data, size_t len)
{
	assert_true(utf8_valid(data, len));
	assert_int_equal(buffer_append(context, data, len), 0);
}

static void sanitizer_gives_the_same_in_any_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(sanitized); i++) {
		size_t len = strlen(sanitized[i].in);

		for (size_t piece = 1; piece <= len; piece++) {
			struct utf8_stream stream = {.held_len = 0};
			struct buffer out;

			buffer_init(&out, 100);
			for (size_t at = 0; at < len; at += piece)
				utf8_stream_feed(&stream, (const uint8_t *)sanitized[i].in + at,
						 at + piece < len ? piece : len - at, collect_text,
						 &out);
			utf8_stream_finish(&stream, collect_text, &out);
			assert_string_equal(buffer_text(&out), sanitized[i].out);
			buffer_free(&out);
		}
	}
}

static void every_code_point_round_trips(void **state)
{
	(void)state;
	for (uint32_t cp = 0; cp <= 0x110000; cp += cp < 0x900 ? 1 : 37) {
		uint8_t bytes[4] = {0};
		size_t len = utf8_put(cp, bytes);
		int n = utf8_char(bytes, len);

		if ((cp >= 0xd800 && cp <= 0xdfff) || cp > 0x10ffff)
			assert_int_equal(n, 0);
		else
			assert_int_equal(n, len);
		if (n > 1)
			assert_int_equal(utf8_char(bytes, len - 1), -1);
	}
}

static void cut_never_splits(void **state)
{
	const uint8_t text[] = "a\xe2\x82\xac"
			       "b";

	(void)state;
	assert_int_equal(utf8_cut(text, 5, 0), 0);
	assert_int_equal(utf8_cut(text, 5, 1), 1);
	assert_int_equal(utf8_cut(text, 5, 2), 1);
	assert_int_equal(utf8_cut(text, 5, 3), 1);
	assert_int_equal(utf8_cut(text, 5, 4), 4);
	assert_int_equal(utf8_cut(text, 5, 9), 5);
}

static void sha256_matches_the_standard(void **state)
{
	static const struct {
		const char *text;
		const char *hex;
	} vectors[] = {
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
		{"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
		 "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
		 "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
	};
	struct sha256 hash;
	uint8_t digest[32];
	char hex[65];

	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		sha256_hex(vectors[i].text, strlen(vectors[i].text), hex);
		assert_string_equal(hex, vectors[i].hex);
	}
	sha256_init(&hash);
	for (int i = 0; i < 1000000; i++)
		sha256_update(&hash, "a", 1);
	sha256_final(&hash, digest);
	assert_int_equal(digest[0], 0xcd);
	assert_int_equal(digest[1], 0xc7);
	assert_int_equal(digest[31], 0xd0);
}

/* All at once the processor's instructions do it, byte by byte the portable code: both ways, at
 * every alignment of beginning and end, give the same. */
static void sha256_of_much_is_sha256_of_little(void **state)
{
	const size_t most = (1u << 17) + 200;
	uint8_t *data = test_malloc(most);

	(void)state;
	for (size_t i = 0; i < most; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	for (size_t len = (1u << 17) - 3; len < most; len += 29) {
		struct sha256 hash;
		uint8_t once[32];
		uint8_t slowly[32];
		size_t head = len % 131;

		sha256_init(&hash);
		sha256_update(&hash, data, head);
		sha256_update(&hash, data + head, len - head);
		sha256_final(&hash, once);
		sha256_init(&hash);
		for (size_t i = 0; i < len; i++)
			sha256_update(&hash, data + i, 1);
		sha256_final(&hash, slowly);
		assert_memory_equal(once, slowly, sizeof(once));
	}
	test_free(data);
}

static void errors_are_one_clean_line(void **state)
{
	struct psb_error err;
	char longest[600];

	(void)state;
	assert_int_equal(psb_fail(NULL, PSB_E_POLICY, 0, "x"), PSB_E_POLICY);
	assert_int_equal(psb_fail(&err, PSB_E_SYSTEM, ENOENT, "a\nb\x1b%s", "c"), PSB_E_SYSTEM);
	assert_string_equal(err.message, "a?b?c: No such file or directory");
	assert_int_equal(err.sys_errno, ENOENT);
	memset(longest, 'x', sizeof(longest));
	memcpy(longest + 502, "\xc3\xbc", 3);
	(void)psb_fail(&err, PSB_E_SYSTEM, 0, "%s", longest);
	assert_int_equal(strlen(err.message), 502);
	assert_string_equal(psb_error_name(PSB_E_FORKED), "PSB_E_FORKED");
	assert_string_equal(psb_error_text(PSB_E_BUSY), "there is no room, or not in time");
	assert_string_equal(psb_error_name(-999), "PSB_E_UNKNOWN");
	assert_string_equal(psb_version(), "0.1.0");
}

static void exit_codes_are_the_contract(void **state)
{
	static const int codes[PSB_STATUS_COUNT] = {0,  1,  64, 124, 124, 137, 66, 66,
						    66, 66, 65, 70,  130, 126, 125};

	(void)state;
	for (int i = 0; i < PSB_STATUS_COUNT; i++) {
		assert_int_equal(psb_status_exit_code(i, 0), codes[i]);
		assert_non_null(psb_status_name(i));
	}
	assert_int_equal(psb_status_exit_code(PSB_EXIT, 3), 3);
	assert_int_equal(psb_status_exit_code(PSB_EXIT, 63), 63);
	assert_int_equal(psb_status_exit_code(PSB_EXIT, 64), 64);
	assert_int_equal(psb_status_exit_code(PSB_EXIT, 255), 64);
	assert_int_equal(psb_status_exit_code(PSB_ERROR, 9), 1);
	assert_null(psb_status_name(PSB_STATUS_COUNT));
	assert_null(psb_status_name(-1));
}

struct sized {
	size_t size;
	int a;
	int b;
};

static void option_structs_may_be_older_or_newer(void **state)
{
	struct sized out = {sizeof(out), 7, 8};
	struct {
		struct sized known;
		char tail[16];
	} newer = {{sizeof(newer), 1, 2}, {0}};
	struct sized older = {offsetof(struct sized, b), 5, 99};

	(void)state;
	assert_int_equal(options_copy("s", &older, older.size, &out, sizeof(out), NULL), 0);
	assert_int_equal(out.a, 5);
	assert_int_equal(out.b, 8);
	assert_int_equal(options_copy("s", &newer, sizeof(newer), &out, sizeof(out), NULL), 0);
	assert_int_equal(out.b, 2);
	assert_int_equal(out.size, sizeof(out));
	newer.tail[3] = 1;
	assert_int_equal(options_copy("s", &newer, sizeof(newer), &out, sizeof(out), NULL),
			 PSB_E_INVALID);
	assert_int_equal(options_copy("s", &older, 0, &out, sizeof(out), NULL), PSB_E_INVALID);
	assert_int_equal(options_copy("s", &older, 5000, &out, sizeof(out), NULL), PSB_E_INVALID);
	assert_int_equal(options_check_text("t", "fine \xc3\xbc", 10, NULL), 0);
	assert_int_equal(options_check_text("t", "a\tb", 10, NULL), PSB_E_INVALID);
	assert_int_equal(options_check_text("t", "a\x7f", 10, NULL), PSB_E_INVALID);
	assert_int_equal(options_check_text("t", "\xff", 10, NULL), PSB_E_INVALID);
	assert_int_equal(options_check_text("t", "12345678901", 10, NULL), PSB_E_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffer_keeps_its_maximum),
		cmocka_unit_test(buffer_hands_over),
		cmocka_unit_test(sanitizer_gives_the_same_in_any_pieces),
		cmocka_unit_test(every_code_point_round_trips),
		cmocka_unit_test(cut_never_splits),
		cmocka_unit_test(sha256_matches_the_standard),
		cmocka_unit_test(sha256_of_much_is_sha256_of_little),
		cmocka_unit_test(errors_are_one_clean_line),
		cmocka_unit_test(exit_codes_are_the_contract),
		cmocka_unit_test(option_structs_may_be_older_or_newer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
