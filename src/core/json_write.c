/*
 * The JSON writer: escapes only what RFC 8259 demands (quote, backslash, control characters) plus
 * DEL and the line separators U+2028/9, which some readers of JSON lines split at. Everything goes
 * through the bounded buffer, so a hostile string can at most make it fail.
 */
#include "core/json_write.h"

#include <stdio.h>
#include <string.h>

void json_writer_init(struct json_writer *writer, struct buffer *out)
{
	*writer = (struct json_writer){.out = out};
}

static void put(struct json_writer *writer, const void *data, size_t len)
{
	if (!writer->error)
		writer->error = buffer_append(writer->out, data, len);
}

static void begin_value(struct json_writer *writer)
{
	if (writer->comma)
		put(writer, ",", 1);
	writer->comma = true;
}

void json_open(struct json_writer *writer, char bracket)
{
	begin_value(writer);
	put(writer, &bracket, 1);
	writer->comma = false;
}

void json_close(struct json_writer *writer, char bracket)
{
	put(writer, &bracket, 1);
	writer->comma = true;
}

void json_key(struct json_writer *writer, const char *name)
{
	begin_value(writer);
	put(writer, "\"", 1);
	put(writer, name, strlen(name));
	put(writer, "\":", 2);
	writer->comma = false;
}

void json_colon(struct json_writer *writer)
{
	put(writer, ":", 1);
	writer->comma = false;
}

/* Bytes at text[0] that need an escape (1, or 3 for U+2028/9); 0 if none do. */
static size_t needs_escape(const uint8_t *text, size_t len)
{
	if (text[0] < 0x20 || text[0] == '"' || text[0] == '\\' || text[0] == 0x7f)
		return 1;
	if (text[0] == 0xe2 && len >= 3 && text[1] == 0x80 && (text[2] & 0xfe) == 0xa8)
		return 3;
	return 0;
}

static void put_escape(struct json_writer *writer, const uint8_t *text, size_t used)
{
	char escape[8];

	switch (text[0]) {
	case '"': put(writer, "\\\"", 2); return;
	case '\\': put(writer, "\\\\", 2); return;
	case '\n': put(writer, "\\n", 2); return;
	case '\t': put(writer, "\\t", 2); return;
	case '\r': put(writer, "\\r", 2); return;
	default:
		(void)snprintf(escape, sizeof(escape), "\\u%04x",
			       used == 3 ? 0x2000u | (text[2] & 0x3fu) : (unsigned int)text[0]);
		put(writer, escape, 6);
	}
}

void json_put_string(struct json_writer *writer, const char *text, size_t len)
{
	const uint8_t *bytes = (const uint8_t *)text;
	size_t start = 0;
	size_t at = 0;

	begin_value(writer);
	put(writer, "\"", 1);
	while (at < len) {
		size_t used = needs_escape(bytes + at, len - at);

		if (used == 0) {
			at++;
			continue;
		}
		put(writer, bytes + start, at - start);
		put_escape(writer, bytes + at, used);
		at += used;
		start = at;
	}
	if (len > start)
		put(writer, bytes + start, len - start);
	put(writer, "\"", 1);
}

void json_put_text(struct json_writer *writer, const char *text)
{
	if (text)
		json_put_string(writer, text, strlen(text));
	else
		json_put_raw(writer, "null", 4);
}

void json_put_int(struct json_writer *writer, int64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%lld", (long long)value);
	json_put_raw(writer, text, strlen(text));
}

void json_put_uint(struct json_writer *writer, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	json_put_raw(writer, text, strlen(text));
}

void json_put_milli(struct json_writer *writer, uint64_t thousandths)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%llu.%03u", (unsigned long long)(thousandths / 1000),
		       (unsigned int)(thousandths % 1000));
	json_put_raw(writer, text, strlen(text));
}

void json_put_bool(struct json_writer *writer, bool value)
{
	json_put_raw(writer, value ? "true" : "false", value ? 4 : 5);
}

void json_put_raw(struct json_writer *writer, const char *json, size_t len)
{
	begin_value(writer);
	put(writer, json, len);
}

void json_put_list(struct json_writer *writer, const char *list)
{
	json_open(writer, '[');
	while (list && *list) {
		size_t len = strcspn(list, ",");

		if (len > 0)
			json_put_string(writer, list, len);
		list += len + (list[len] == ',');
	}
	json_close(writer, ']');
}
