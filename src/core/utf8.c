/*
 * UTF-8 as Unicode's table 3-7 has it: no surrogates, no overlong forms, nothing above U+10FFFF.
 *
 * The bytes come from the guest. The sanitizer never allocates, holds at most three bytes between
 * two pieces, and what it emits is valid whatever it was fed. Ill-formed input is replaced per
 * maximal subpart, as browsers and Python's "replace" handler do.
 */
#include "core/utf8.h"

#include <string.h>

static const uint8_t replacement[3] = {0xef, 0xbf, 0xbd};

struct lead {
	int len;
	uint8_t low; /* range of the second byte */
	uint8_t high;
};

static struct lead lead_of(uint8_t byte)
{
	if (byte >= 0xc2 && byte <= 0xdf)
		return (struct lead){2, 0x80, 0xbf};
	if (byte >= 0xe0 && byte <= 0xef)
		return (struct lead){3, byte == 0xe0 ? 0xa0 : 0x80, byte == 0xed ? 0x9f : 0xbf};
	if (byte >= 0xf0 && byte <= 0xf4)
		return (struct lead){4, byte == 0xf0 ? 0x90 : 0x80, byte == 0xf4 ? 0x8f : 0xbf};
	return (struct lead){0, 0, 0};
}

int utf8_char(const uint8_t *data, size_t len)
{
	struct lead lead;

	if (data[0] < 0x80)
		return 1;
	lead = lead_of(data[0]);
	if (lead.len == 0)
		return 0;
	if (len < 2)
		return -1;
	if (data[1] < lead.low || data[1] > lead.high)
		return 0;
	for (size_t i = 2; i < (size_t)lead.len; i++) {
		if (i >= len)
			return -1;
		if ((data[i] & 0xc0) != 0x80)
			return 0;
	}
	return lead.len;
}

/* Bytes of the ill-formed part at data[0] that one U+FFFD stands for; at least 1. */
static size_t ill_formed_len(const uint8_t *data, size_t len)
{
	struct lead lead = lead_of(data[0]);
	size_t i = 2;

	if (lead.len == 0 || len < 2 || data[1] < lead.low || data[1] > lead.high)
		return 1;
	while (i < len && i < (size_t)lead.len && (data[i] & 0xc0) == 0x80)
		i++;
	return i;
}

static size_t ascii_prefix(const uint8_t *data, size_t len)
{
	size_t i = 0;
	uint64_t word;

	for (; i + sizeof(word) <= len; i += sizeof(word)) {
		memcpy(&word, data + i, sizeof(word));
		if (word & UINT64_C(0x8080808080808080))
			break;
	}
	while (i < len && data[i] < 0x80)
		i++;
	return i;
}

size_t utf8_valid_prefix(const uint8_t *data, size_t len)
{
	size_t i = 0;

	while (i < len) {
		int n;

		i += ascii_prefix(data + i, len - i);
		if (i == len)
			break;
		n = utf8_char(data + i, len - i);
		if (n <= 0)
			break;
		i += (size_t)n;
	}
	return i;
}

bool utf8_valid(const uint8_t *data, size_t len)
{
	return utf8_valid_prefix(data, len) == len;
}

size_t utf8_cut(const uint8_t *data, size_t len, size_t at)
{
	if (at >= len)
		return len;
	while (at > 0 && (data[at] & 0xc0) == 0x80)
		at--;
	return at;
}

size_t utf8_put(uint32_t code_point, uint8_t out[4])
{
	if (code_point < 0x80) {
		out[0] = (uint8_t)code_point;
		return 1;
	}
	if (code_point < 0x800) {
		out[0] = (uint8_t)(0xc0 | (code_point >> 6));
		out[1] = (uint8_t)(0x80 | (code_point & 0x3f));
		return 2;
	}
	if (code_point < 0x10000) {
		out[0] = (uint8_t)(0xe0 | (code_point >> 12));
		out[1] = (uint8_t)(0x80 | ((code_point >> 6) & 0x3f));
		out[2] = (uint8_t)(0x80 | (code_point & 0x3f));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | (code_point >> 18));
	out[1] = (uint8_t)(0x80 | ((code_point >> 12) & 0x3f));
	out[2] = (uint8_t)(0x80 | ((code_point >> 6) & 0x3f));
	out[3] = (uint8_t)(0x80 | (code_point & 0x3f));
	return 4;
}

/* Completes the held character with bytes of data; returns how many were taken. */
static size_t finish_held(struct utf8_stream *stream, const uint8_t *data, size_t len,
			  utf8_emit_fn emit, void *context)
{
	size_t taken = 0;

	while (stream->held_len > 0 && stream->held_len < sizeof(stream->held) && taken < len) {
		int n;

		stream->held[stream->held_len++] = data[taken++];
		n = utf8_char(stream->held, stream->held_len);
		if (n < 0)
			continue;
		if (n > 0) {
			emit(context, stream->held, stream->held_len);
		} else {
			/* What was held was a proper prefix, hence one ill-formed part; the new
			 * byte begins afresh. */
			emit(context, replacement, sizeof(replacement));
			taken--;
		}
		stream->held_len = 0;
	}
	return taken;
}

void utf8_stream_feed(struct utf8_stream *stream, const uint8_t *data, size_t len,
		      utf8_emit_fn emit, void *context)
{
	size_t i = finish_held(stream, data, len, emit, context);

	while (i < len) {
		size_t good = utf8_valid_prefix(data + i, len - i);

		if (good > 0)
			emit(context, data + i, good);
		i += good;
		if (i == len)
			break;
		if (utf8_char(data + i, len - i) < 0) {
			stream->held_len = len - i;
			memcpy(stream->held, data + i, stream->held_len);
			break;
		}
		emit(context, replacement, sizeof(replacement));
		i += ill_formed_len(data + i, len - i);
	}
}

void utf8_stream_finish(struct utf8_stream *stream, utf8_emit_fn emit, void *context)
{
	if (stream->held_len > 0)
		emit(context, replacement, sizeof(replacement));
	stream->held_len = 0;
}
