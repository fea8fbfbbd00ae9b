/* UTF-8: validation and the streaming sanitizer for guest output. */
#ifndef PSB_CORE_UTF8_H
#define PSB_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the well-formed character at data[0] (1..4); 0 if it is ill-formed; -1 if the bytes
 * there are a proper prefix of one and more are needed. Surrogates and overlong forms are
 * ill-formed. len must be > 0. */
int utf8_char(const uint8_t *data, size_t len);

/* How many bytes of data are whole, well-formed characters from its start on. */
size_t utf8_valid_prefix(const uint8_t *data, size_t len);
bool utf8_valid(const uint8_t *data, size_t len);

/* The largest cut <= at that does not split a character of the valid text `data`. */
size_t utf8_cut(const uint8_t *data, size_t len, size_t at);

/* Writes one code point (no surrogate) into out; returns 1..4. */
size_t utf8_put(uint32_t code_point, uint8_t out[4]);

/* Sanitizes a stream that arrives in pieces: whole characters pass, every maximal ill-formed part
 * becomes one U+FFFD, a character split between pieces is held until its rest arrives. */
struct utf8_stream {
	uint8_t held[4];
	size_t held_len;
};

/* Receives valid UTF-8 in whole characters, in order. */
typedef void (*utf8_emit_fn)(void *context, const uint8_t *data, size_t len);

void utf8_stream_feed(struct utf8_stream *stream, const uint8_t *data, size_t len,
		      utf8_emit_fn emit, void *context);
void utf8_stream_finish(struct utf8_stream *stream, utf8_emit_fn emit, void *context);

#endif
