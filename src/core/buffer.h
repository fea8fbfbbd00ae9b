/*
 * A growable byte buffer with a hard maximum, set for each use. A NUL always follows the contents, so that
 * text in it can be handed out as a C string. One owner, one thread.
 */
#ifndef PSB_CORE_BUFFER_H
#define PSB_CORE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#define BUFFER_KEPT_BYTES (64u << 10)

struct buffer {
	uint8_t *data; /* NULL while empty */
	size_t len;
	size_t capacity;
	size_t max;
};

void buffer_init(struct buffer *buf, size_t max);
void buffer_free(struct buffer *buf); /* back to the state after init */
/* Empties it for another use: nothing of the contents stays, of the memory at most BUFFER_KEPT_BYTES. */
void buffer_clear(struct buffer *buf);
/* A maximum for the next use, of an empty one. */
void buffer_limit(struct buffer *buf, size_t max);

/* All or nothing: 0, PSB_E_TOO_LARGE (over the maximum) or PSB_E_MEMORY. */
int buffer_append(struct buffer *buf, const void *data, size_t len);
int buffer_append_text(struct buffer *buf, const char *text);
int buffer_reserve(struct buffer *buf, size_t more);

static inline size_t buffer_room(const struct buffer *buf)
{
	return buf->max - buf->len;
}

/* The contents as a C string; never NULL. Valid until the next append. */
const char *buffer_text(const struct buffer *buf);

/* Hands the contents over to the caller (free()); the buffer is empty afterwards. NULL when it
 * never held anything and memory is out. */
char *buffer_take_text(struct buffer *buf);

#endif
