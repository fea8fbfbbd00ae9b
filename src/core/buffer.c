/*
 * The bounded buffer. Every byte count that comes from outside ends up here, so the maximum is
 * checked before anything is allocated and no arithmetic can wrap: len <= max always, and the
 * allocation is at most max + 1, or what an earlier use has left.
 */
#include "core/buffer.h"

#include <stdlib.h>
#include <string.h>

#include "pysandbox.h"

#define FIRST_CAPACITY 256u

void buffer_init(struct buffer *buf, size_t max)
{
	*buf = (struct buffer){.data = NULL};
	buffer_limit(buf, max);
}

void buffer_limit(struct buffer *buf, size_t max)
{
	buf->max = max < SIZE_MAX / 4 ? max : SIZE_MAX / 4;
}

void buffer_free(struct buffer *buf)
{
	free(buf->data);
	buffer_init(buf, buf->max);
}

void buffer_clear(struct buffer *buf)
{
	if (buf->capacity > BUFFER_KEPT_BYTES) {
		buffer_free(buf);
	} else if (buf->data) {
		memset(buf->data, 0, buf->len);
		buf->len = 0;
	}
}

int buffer_reserve(struct buffer *buf, size_t more)
{
	size_t wanted = buf->capacity ? buf->capacity : FIRST_CAPACITY;
	uint8_t *grown;

	if (more > buffer_room(buf))
		return PSB_E_TOO_LARGE;
	if (buf->data && buf->len + more <= buf->capacity)
		return 0;
	if (buf->len == 0 && more > wanted)
		wanted = more; /* all that is to come, as a rule */
	while (wanted < buf->len + more)
		wanted *= 2;
	if (wanted > buf->max)
		wanted = buf->max;
	grown = realloc(buf->data, wanted + 1);
	if (!grown)
		return PSB_E_MEMORY;
	buf->data = grown;
	buf->capacity = wanted;
	buf->data[buf->len] = '\0';
	return 0;
}

int buffer_append(struct buffer *buf, const void *data, size_t len)
{
	int error;

	if (len == 0)
		return 0;
	error = buffer_reserve(buf, len);
	if (error)
		return error;
	memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
	return 0;
}

int buffer_append_text(struct buffer *buf, const char *text)
{
	return buffer_append(buf, text, strlen(text));
}

const char *buffer_text(const struct buffer *buf)
{
	return buf->data ? (const char *)buf->data : "";
}

char *buffer_take_text(struct buffer *buf)
{
	char *text = buf->data ? (char *)buf->data : calloc(1, 1);

	buffer_init(buf, buf->max);
	return text;
}
