/*
 * The lexical parts of JSON that the checker and the reader share. All functions are bounded by
 * the length they are given and take hostile text.
 */
#ifndef PSB_CORE_JSON_TEXT_H
#define PSB_CORE_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool json_is_space(uint8_t byte)
{
	return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

/* Decodes one escape at text[0] == '\\' (a surrogate pair is one). False if it is malformed. */
bool json_unescape(const uint8_t *text, size_t len, size_t *used, uint32_t *code_point);

/* A walk over the characters of a checked string, from behind its opening quote. */
struct json_chars {
	const uint8_t *at;
	size_t left;
};

bool json_next_char(struct json_chars *chars, uint32_t *code_point); /* false at the quote */

/* One number by the grammar; offsets are into the text that was scanned. */
struct json_number {
	const uint8_t *digits; /* integer part, without sign */
	size_t digit_count;
	const uint8_t *fraction;
	size_t fraction_count; /* 0: none */
	int32_t exponent;      /* saturated at +-1,000,000 */
	bool negative;
	bool is_integer; /* neither fraction nor exponent */
};

size_t json_scan_number(const uint8_t *text, size_t len, struct json_number *out); /* 0: none */
bool json_number_portable(const struct json_number *number);

#endif
