/*
 * The JSON checker, and the reader and the writer on what it accepts: strings that are read and
 * written again must be accepted again, and the number of members must agree.
 */
#include <stdlib.h>
#include <string.h>

#include "core/json_check.h"
#include "core/json_read.h"
#include "core/json_write.h"
#include "core/utf8.h"
#include "fuzz.h"

static void copy(struct json_writer *writer, struct json_value value, int depth);

static void copy_text(struct json_writer *writer, struct json_value value)
{
	struct buffer text;

	buffer_init(&text, value.len);
	if (json_string(value, &text) || !utf8_valid((const uint8_t *)buffer_text(&text), text.len))
		abort();
	json_put_string(writer, buffer_text(&text), text.len);
	buffer_free(&text);
}

static void copy_container(struct json_writer *writer, struct json_value value, int depth)
{
	struct json_iter iter = json_iterate(value);
	int is_object = json_type(value) == JSON_OBJECT;
	struct json_value key;
	struct json_value item;

	json_open(writer, is_object ? '{' : '[');
	while (is_object ? json_next_member(&iter, &key, &item) : json_next_item(&iter, &item)) {
		if (is_object) {
			copy_text(writer, key);
			json_colon(writer);
		}
		copy(writer, item, depth + 1);
	}
	json_close(writer, is_object ? '}' : ']');
}

static void copy(struct json_writer *writer, struct json_value value, int depth)
{
	if (depth > (int)JSON_MAX_DEPTH)
		abort();
	switch (json_type(value)) {
	case JSON_OBJECT:
	case JSON_ARRAY: copy_container(writer, value, depth); break;
	case JSON_STRING: copy_text(writer, value); break;
	case JSON_NULL:
	case JSON_BOOL:
	case JSON_NUMBER: json_put_raw(writer, (const char *)value.at, value.len); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_fault fault = {0, NULL};
	struct json_writer writer;
	struct buffer out;
	int code = json_check(data, size, JSON_ANY, &fault);

	if (code != 0 && (!fault.reason || fault.offset > size))
		abort();
	if (code != 0)
		return 0;
	buffer_init(&out, 6 * size + 64);
	json_writer_init(&writer, &out);
	copy(&writer, json_top(data, size), 0);
	if (writer.error || json_check(out.data, out.len, JSON_ANY, NULL) != 0)
		abort();
	buffer_free(&out);
	return 0;
}
