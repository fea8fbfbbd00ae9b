/*
 * A JSON writer onto a buffer. Commas are its own business; the first failure sticks and is read
 * at the end. Strings must be valid UTF-8 (sanitize first).
 */
#ifndef PSB_CORE_JSON_WRITE_H
#define PSB_CORE_JSON_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"

struct json_writer {
	struct buffer *out; /* borrowed */
	bool comma;         /* the next value needs one before it */
	int error;          /* 0 or the first PSB_E_* */
};

void json_writer_init(struct json_writer *writer, struct buffer *out);
void json_open(struct json_writer *writer, char bracket);    /* '{' or '[' */
void json_close(struct json_writer *writer, char bracket);   /* '}' or ']' */
void json_key(struct json_writer *writer, const char *name); /* plain ASCII, no escapes */
/* Turns the string just put into a key: json_put_string(), json_colon(), then the value. */
void json_colon(struct json_writer *writer);
void json_put_string(struct json_writer *writer, const char *text, size_t len);
/* "a,b" as an array of texts; empty parts are left out, NULL gives [] */
void json_put_list(struct json_writer *writer, const char *list);
void json_put_text(struct json_writer *writer, const char *text); /* NULL gives null */
void json_put_int(struct json_writer *writer, int64_t value);
void json_put_uint(struct json_writer *writer, uint64_t value);
void json_put_milli(struct json_writer *writer, uint64_t thousandths); /* 1234 -> 1.234 */
void json_put_bool(struct json_writer *writer, bool value);
void json_put_raw(struct json_writer *writer, const char *json, size_t len); /* checked JSON */

#endif
