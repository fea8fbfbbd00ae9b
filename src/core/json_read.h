/*
 * A reader over text that json_check() has passed: values are spans of that text, nothing is
 * allocated. Meant for the small objects of the library (end frame, policy), not for bulk data.
 */
#ifndef PSB_CORE_JSON_READ_H
#define PSB_CORE_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_value {
	const uint8_t *at; /* its first byte */
	size_t len;        /* of the value itself, no space around */
};

struct json_iter {
	const uint8_t *at;
	const uint8_t *end;
};

struct json_value json_top(const uint8_t *text, size_t len);
enum json_type json_type(struct json_value value);
const char *json_type_name(enum json_type type);

struct json_iter json_iterate(struct json_value container);
bool json_next_item(struct json_iter *iter, struct json_value *value);
bool json_next_member(struct json_iter *iter, struct json_value *key, struct json_value *value);

/* The member `name` of an object; false if there is none. `name` has no need of escapes. */
bool json_member(struct json_value object, const char *name, struct json_value *out);

bool json_is_true(struct json_value value);
bool json_equals(struct json_value string, const char *text);
/* Only whole numbers that fit; false otherwise. */
bool json_int(struct json_value value, int64_t *out);
/* Appends the unescaped string. 0, PSB_E_TOO_LARGE, PSB_E_MEMORY. */
int json_string(struct json_value value, struct buffer *out);
/* As a NUL-terminated string of at most max bytes, cut at a character; a NUL inside becomes
 * "?". NULL when out of memory. The caller frees it. */
char *json_string_dup(struct json_value value, size_t max);

#endif
