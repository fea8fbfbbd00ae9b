/*
 * The JSON reader. Its precondition is that json_check() accepted the text; it still never runs
 * past a span's end, so that a slip of the caller is a wrong answer and not a wild read.
 */
#include "core/json_read.h"

#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"
#include "core/utf8.h"
#include "pysandbox.h"

static const uint8_t *skip_space(const uint8_t *at, const uint8_t *end)
{
	while (at < end && json_is_space(*at))
		at++;
	return at;
}

static const uint8_t *skip_string(const uint8_t *at, const uint8_t *end)
{
	for (at++; at < end && *at != '"'; at++) {
		if (*at == '\\' && at + 1 < end)
			at++;
	}
	return at < end ? at + 1 : end;
}

static const uint8_t *skip_container(const uint8_t *at, const uint8_t *end)
{
	size_t depth = 0;

	while (at < end) {
		if (*at == '"') {
			at = skip_string(at, end);
			continue;
		}
		if (*at == '{' || *at == '[')
			depth++;
		if ((*at == '}' || *at == ']') && --depth == 0)
			return at + 1;
		at++;
	}
	return end;
}

static const uint8_t *skip_value(const uint8_t *at, const uint8_t *end)
{
	if (at >= end)
		return end;
	if (*at == '"')
		return skip_string(at, end);
	if (*at == '{' || *at == '[')
		return skip_container(at, end);
	while (at < end && !json_is_space(*at) && *at != ',' && *at != ']' && *at != '}')
		at++;
	return at;
}

struct json_value json_top(const uint8_t *text, size_t len)
{
	const uint8_t *end = text + len;
	const uint8_t *at = skip_space(text, end);

	return (struct json_value){at, (size_t)(skip_value(at, end) - at)};
}

enum json_type json_type(struct json_value value)
{
	switch (value.len > 0 ? value.at[0] : 'n') {
	case '{': return JSON_OBJECT;
	case '[': return JSON_ARRAY;
	case '"': return JSON_STRING;
	case 't':
	case 'f': return JSON_BOOL;
	case 'n': return JSON_NULL;
	default: return JSON_NUMBER;
	}
}

const char *json_type_name(enum json_type type)
{
	static const char *const names[] = {"null",     "a boolean", "a number",
					    "a string", "an array",  "an object"};

	return names[type];
}

struct json_iter json_iterate(struct json_value container)
{
	if (container.len < 2)
		return (struct json_iter){container.at, container.at};
	return (struct json_iter){container.at + 1, container.at + container.len - 1};
}

bool json_next_item(struct json_iter *iter, struct json_value *value)
{
	const uint8_t *at = skip_space(iter->at, iter->end);
	const uint8_t *after;

	if (at < iter->end && *at == ',')
		at = skip_space(at + 1, iter->end);
	if (at >= iter->end)
		return false;
	after = skip_value(at, iter->end);
	*value = (struct json_value){at, (size_t)(after - at)};
	iter->at = after;
	return value->len > 0;
}

bool json_next_member(struct json_iter *iter, struct json_value *key, struct json_value *value)
{
	const uint8_t *at;

	if (!json_next_item(iter, key))
		return false;
	at = skip_space(iter->at, iter->end);
	if (at >= iter->end || *at != ':')
		return false;
	iter->at = at + 1;
	return json_next_item(iter, value);
}

bool json_equals(struct json_value string, const char *text)
{
	size_t len = strlen(text);
	struct json_chars chars;

	if (json_type(string) != JSON_STRING)
		return false;
	chars = (struct json_chars){string.at + 1, string.len - 1};
	for (size_t i = 0; i < len; i++) {
		uint32_t code_point;

		if (!json_next_char(&chars, &code_point) || code_point != (uint8_t)text[i])
			return false;
	}
	return chars.left > 0 && chars.at[0] == '"';
}

bool json_member(struct json_value object, const char *name, struct json_value *out)
{
	struct json_iter iter = json_iterate(object);
	struct json_value key;
	struct json_value value;

	if (json_type(object) != JSON_OBJECT)
		return false;
	while (json_next_member(&iter, &key, &value)) {
		if (json_equals(key, name)) {
			*out = value;
			return true;
		}
	}
	return false;
}

bool json_is_true(struct json_value value)
{
	return value.len == 4 && memcmp(value.at, "true", 4) == 0;
}

bool json_int(struct json_value value, int64_t *out)
{
	struct json_number number;
	uint64_t sum = 0;

	if (json_type(value) != JSON_NUMBER ||
	    json_scan_number(value.at, value.len, &number) != value.len || !number.is_integer ||
	    !json_number_portable(&number))
		return false;
	for (size_t i = 0; i < number.digit_count; i++)
		sum = sum * 10 + (uint64_t)(number.digits[i] - '0');
	*out = number.negative ? (int64_t)(0 - sum) : (int64_t)sum;
	return true;
}

int json_string(struct json_value value, struct buffer *out)
{
	struct json_chars chars = {value.at + 1, value.len ? value.len - 1 : 0};
	uint32_t code_point;

	if (json_type(value) != JSON_STRING)
		return PSB_E_INVALID;
	while (json_next_char(&chars, &code_point)) {
		uint8_t bytes[4];
		int error = buffer_append(out, bytes, utf8_put(code_point, bytes));

		if (error)
			return error;
	}
	return 0;
}

char *json_string_dup(struct json_value value, size_t max)
{
	struct buffer text;

	buffer_init(&text, value.len);
	if (json_string(value, &text) == PSB_E_MEMORY) {
		buffer_free(&text);
		return NULL;
	}
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '\0')
			text.data[i] = '?';
	}
	if (text.len > max) {
		text.len = utf8_cut(text.data, text.len, max);
		text.data[text.len] = '\0';
	}
	return buffer_take_text(&text);
}
