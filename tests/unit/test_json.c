/* The JSON checker, reader and writer. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/json_check.h"
#include "core/json_read.h"
#include "core/json_write.h"
#include "pysandbox.h"

static int check(const char *text, unsigned int flags, struct json_fault *fault)
{
	return json_check((const uint8_t *)text, strlen(text), flags, fault);
}

static void accepts_json(void **state)
{
	static const char *const good[] = {
		"null",
		" true ",
		"false",
		"0",
		"-0",
		"1.5",
		"-12e+3",
		"1E9",
		"\"\"",
		"\"\\u00e9\\n\\/\\ud83d\\ude00\"",
		"\"gr\xc3\xbc\xc3\x9f\"",
		"[]",
		"{}",
		"[1,[2,{}],\"x\"]",
		"{\"a\":1,\"b\":{\"a\":2}}",
		"\n{\t\"a\" : [ ] }\r\n",
		"[{\"a\":1},{\"a\":1}]",
		"{\"\":0}",
		"1e999",
		"123456789012345678901234567890",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_int_equal(check(good[i], JSON_ANY, NULL), 0);
}

static void refuses_the_rest_with_an_offset(void **state)
{
	static const struct {
		const char *text;
		size_t offset;
	} bad[] = {
		{"", 0},
		{" ", 1},
		{"nul", 0},
		{"NaN", 0},
		{"-Infinity", 0},
		{"01", 0},
		{"1.", 0},
		{".5", 0},
		{"+1", 0},
		{"1e", 0},
		{"0x10", 1},
		{"[1,]", 3},
		{"[1 2]", 3},
		{"[", 1},
		{"]", 0},
		{"{\"a\"}", 4},
		{"{\"a\":}", 5},
		{"{a:1}", 1},
		{"{\"a\":1,}", 7},
		{"{\"a\":1,\"a\":2}", 7},
		{"{\"a\":1,\"\\u0061\":2}", 7},
		{"\"abc", 0},
		{"\"\t\"", 1},
		{"\"\\x\"", 1},
		{"\"\\ud800\"", 1},
		{"\"\\udc00\"", 1},
		{"\"\\ud800\\u0041\"", 1},
		{"\"\\u12g4\"", 1},
		{"\"\xff\"", 1},
		{"\"\xed\xa0\x80\"", 1},
		{"1 2", 2},
		{"{} x", 3},
		{"[1}", 2},
		{"'a'", 0},
		{"/**/1", 0},
		{"\xef\xbb\xbf{}", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct json_fault fault = {999, NULL};

		assert_int_equal(check(bad[i].text, JSON_ANY, &fault), PSB_E_INVALID);
		assert_int_equal(fault.offset, bad[i].offset);
		assert_non_null(fault.reason);
	}
}

static void embedded_nul_is_no_end(void **state)
{
	(void)state;
	assert_int_equal(json_check((const uint8_t *)"1\0", 2, 0, NULL), PSB_E_INVALID);
	assert_int_equal(json_check((const uint8_t *)"\"\0\"", 3, 0, NULL), PSB_E_INVALID);
}

static int check_depth(size_t depth, unsigned int flags)
{
	char text[1024];

	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	return json_check((const uint8_t *)text, 2 * depth, flags, NULL);
}

static void depth_is_bounded(void **state)
{
	(void)state;
	assert_int_equal(check_depth(200, JSON_ANY), 0);
	assert_int_equal(check_depth(201, JSON_ANY), PSB_E_INVALID);
	assert_int_equal(check_depth(199, JSON_NESTED), 0);
	assert_int_equal(check_depth(200, JSON_NESTED), PSB_E_INVALID);
}

static void portable_numbers_fit_every_reader(void **state)
{
	static const char *const good[] = {"9223372036854775807",
					   "-9223372036854775808",
					   "1.7976931348623157e308",
					   "0.0e999",
					   "1e-999",
					   "123456789012345678901234567890.0",
					   "1e308"};
	static const char *const bad[] = {"9223372036854775808",
					  "-9223372036854775809",
					  "1.8e308",
					  "1e309",
					  "1e999999999999",
					  "18e307",
					  "99999999999999999999"};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_int_equal(check(good[i], JSON_PORTABLE, NULL), 0);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(check(bad[i], JSON_PORTABLE, NULL), PSB_E_INVALID);
	assert_int_equal(check("[]", JSON_OBJECT_ONLY, NULL), PSB_E_INVALID);
	assert_int_equal(check(" {}", JSON_OBJECT_ONLY, NULL), 0);
}

/* An object with n distinct keys; the last repeats the first when `twice`. */
static char *many_keys(size_t n, int twice)
{
	size_t size = n * 16 + 64;
	char *text = malloc(size);
	size_t at = 0;

	text[at++] = '{';
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, size - at, "\"k%zu\":%zu,", i, i);
	at += (size_t)snprintf(text + at, size - at, "\"%s\":0}", twice ? "k0" : "last");
	return text;
}

static void many_keys_are_linear_and_exact(void **state)
{
	clock_t start = clock();

	(void)state;
	for (int twice = 0; twice < 2; twice++) {
		char *text = many_keys(100000, twice);

		assert_int_equal(check(text, JSON_ANY, NULL), twice ? PSB_E_INVALID : 0);
		free(text);
	}
	for (size_t n = 1; n < 40; n++) {
		char *text = many_keys(n, 1);

		assert_int_equal(check(text, JSON_ANY, NULL), PSB_E_INVALID);
		free(text);
	}
	/* Quadratic work would take minutes. */
	assert_true((clock() - start) / CLOCKS_PER_SEC < 5);
}

static void reads_members_and_items(void **state)
{
	const char *text = " {\"a\": [1, \"x,]}\", {\"b\":[]}], \"n\":-42, \"t\":true, \"z\":null,"
			   "\"s\":\"\\u00e9\\\"\"} ";
	struct json_value top = json_top((const uint8_t *)text, strlen(text));
	struct json_value value;
	struct json_iter iter;
	int64_t number = 0;
	char *copy;

	(void)state;
	assert_int_equal(json_type(top), JSON_OBJECT);
	assert_true(json_member(top, "n", &value));
	assert_true(json_int(value, &number));
	assert_int_equal(number, -42);
	assert_true(json_member(top, "t", &value) && json_is_true(value));
	assert_true(json_member(top, "z", &value) && json_type(value) == JSON_NULL);
	assert_false(json_member(top, "b", &value));
	assert_true(json_member(top, "s", &value));
	copy = json_string_dup(value, 100);
	assert_string_equal(copy, "\xc3\xa9\"");
	free(copy);
	copy = json_string_dup(value, 1);
	assert_string_equal(copy, "");
	free(copy);
	assert_true(json_member(top, "a", &value));
	iter = json_iterate(value);
	assert_true(json_next_item(&iter, &value) && value.len == 1);
	assert_true(json_next_item(&iter, &value) && json_equals(value, "x,]}"));
	assert_true(json_next_item(&iter, &value) && json_type(value) == JSON_OBJECT);
	assert_false(json_next_item(&iter, &value));
}

static void integers_are_exact(void **state)
{
	static const char *const none[] = {"1.0", "1e3", "9223372036854775808", "\"1\"", "true"};
	int64_t number = 5;

	(void)state;
	for (size_t i = 0; i < COUNT(none); i++) {
		struct json_value value = json_top((const uint8_t *)none[i], strlen(none[i]));

		assert_false(json_int(value, &number));
	}
	assert_int_equal(number, 5);
	assert_true(json_int(json_top((const uint8_t *)"-9223372036854775808", 20), &number));
	assert_true(number == INT64_MIN);
}

static void writes_what_the_checker_accepts(void **state)
{
	struct json_writer writer;
	struct buffer out;
	char all[256];

	(void)state;
	for (int i = 0; i < 128; i++)
		all[i] = (char)i;
	memcpy(all + 128, "\xc3\xbc\xe2\x80\xa8\xe2\x80\xa9", 8);
	buffer_init(&out, 10000);
	json_writer_init(&writer, &out);
	json_open(&writer, '{');
	json_key(&writer, "s");
	json_put_string(&writer, all, 128 + 8);
	json_key(&writer, "a");
	json_open(&writer, '[');
	json_put_int(&writer, INT64_MIN);
	json_put_uint(&writer, UINT64_MAX);
	json_put_milli(&writer, 1005);
	json_put_bool(&writer, true);
	json_put_text(&writer, NULL);
	json_close(&writer, ']');
	json_put_string(&writer, "k", 1);
	json_colon(&writer);
	json_put_raw(&writer, "{}", 2);
	json_close(&writer, '}');
	assert_int_equal(writer.error, 0);
	assert_int_equal(check(buffer_text(&out), JSON_OBJECT_ONLY, NULL), 0);
	assert_non_null(strstr(buffer_text(&out),
			       "[-9223372036854775808,18446744073709551615,1.005,true,null],"
			       "\"k\":{}}"));
	assert_non_null(strstr(buffer_text(&out), "\\u2028\\u2029"));
	assert_null(strchr(buffer_text(&out), '\n'));
	buffer_free(&out);
}

static void a_full_buffer_sticks_as_an_error(void **state)
{
	struct json_writer writer;
	struct buffer out;

	(void)state;
	buffer_init(&out, 8);
	json_writer_init(&writer, &out);
	json_put_text(&writer, "far too long for it");
	json_put_int(&writer, 1);
	assert_int_equal(writer.error, PSB_E_TOO_LARGE);
	buffer_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_json),
		cmocka_unit_test(refuses_the_rest_with_an_offset),
		cmocka_unit_test(embedded_nul_is_no_end),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(portable_numbers_fit_every_reader),
		cmocka_unit_test(many_keys_are_linear_and_exact),
		cmocka_unit_test(reads_members_and_items),
		cmocka_unit_test(integers_are_exact),
		cmocka_unit_test(writes_what_the_checker_accepts),
		cmocka_unit_test(a_full_buffer_sticks_as_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
