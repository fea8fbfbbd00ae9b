/*
 * The frame decoder: the only code of the host process that reads guest bytes.
 *
 * Trust boundary: every byte is hostile. Three states: HEADER collects the 24 bytes of a frame
 * header (and hunts for the token, one byte of slip at a time), RESULT and END take a body whose
 * length was checked. Nothing is allocated by a length that the guest states: buffers grow with
 * the bytes that really came, up to their caps. Once the end frame is whole or the result is over
 * its cap, later bytes change nothing.
 */
#include "ipc/frame.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"

enum state { STATE_HEADER, STATE_RESULT, STATE_END, STATE_DONE };

struct frame_decoder {
	enum state state;
	bool result_over;
	uint8_t token[REQUEST_TOKEN_BYTES];
	uint8_t header[FRAME_HEADER_BYTES];
	size_t header_len;
	uint32_t body_left;
	struct buffer result;
	struct buffer end;
	struct buffer stray;
};

struct frame_decoder *frame_decoder_new(const uint8_t token[REQUEST_TOKEN_BYTES],
					uint64_t result_cap)
{
	struct frame_decoder *decoder = calloc(1, sizeof(*decoder));

	if (!decoder)
		return NULL;
	frame_decoder_renew(decoder, token, result_cap);
	return decoder;
}

void frame_decoder_renew(struct frame_decoder *decoder, const uint8_t token[REQUEST_TOKEN_BYTES],
			 uint64_t result_cap)
{
	memcpy(decoder->token, token, REQUEST_TOKEN_BYTES);
	buffer_limit(&decoder->result, result_cap);
	buffer_limit(&decoder->end, FRAME_MAX_END_BYTES);
	buffer_limit(&decoder->stray, FRAME_MAX_STRAY_BYTES);
}

void frame_decoder_clear(struct frame_decoder *decoder)
{
	buffer_clear(&decoder->result);
	buffer_clear(&decoder->end);
	buffer_clear(&decoder->stray);
	*decoder = (struct frame_decoder){
		.result = decoder->result, .end = decoder->end, .stray = decoder->stray};
}

void frame_decoder_free(struct frame_decoder *decoder)
{
	if (!decoder)
		return;
	buffer_free(&decoder->result);
	buffer_free(&decoder->end);
	buffer_free(&decoder->stray);
	free(decoder);
}

static int keep_stray(struct frame_decoder *decoder, const uint8_t *data, size_t len)
{
	size_t room = buffer_room(&decoder->stray);

	return buffer_append(&decoder->stray, data, len < room ? len : room);
}

static bool header_may_be_frame(const struct frame_decoder *decoder)
{
	size_t n = decoder->header_len;

	if (n > REQUEST_TOKEN_BYTES)
		n = REQUEST_TOKEN_BYTES;
	return memcmp(decoder->header, decoder->token, n) == 0;
}

/* Drops bytes from the front of the header, as stray, until the rest may begin a frame. */
static int header_slip(struct frame_decoder *decoder)
{
	do {
		int error = keep_stray(decoder, decoder->header, 1);

		if (error)
			return error;
		decoder->header_len--;
		memmove(decoder->header, decoder->header + 1, decoder->header_len);
	} while (!header_may_be_frame(decoder));
	return 0;
}

static uint32_t get_u32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	       (uint32_t)at[3] << 24;
}

/* A whole header is there: enter its body, or slip when it is none of ours. */
static int header_done(struct frame_decoder *decoder)
{
	uint32_t type = get_u32(decoder->header + REQUEST_TOKEN_BYTES);
	uint32_t len = get_u32(decoder->header + REQUEST_TOKEN_BYTES + 4);

	if (type == FRAME_RESULT) {
		if (len > buffer_room(&decoder->result))
			decoder->result_over = true;
		decoder->state = len > 0 ? STATE_RESULT : STATE_HEADER;
	} else if (type == FRAME_END && len > 0 && len <= FRAME_MAX_END_BYTES) {
		decoder->state = STATE_END;
	} else {
		return header_slip(decoder);
	}
	decoder->body_left = len;
	decoder->header_len = 0;
	return 0;
}

/* Takes bytes in state HEADER; *taken says how many. */
static int feed_header(struct frame_decoder *decoder, const uint8_t *data, size_t len,
		       size_t *taken)
{
	if (decoder->header_len == 0 && data[0] != decoder->token[0]) {
		const uint8_t *next = memchr(data, decoder->token[0], len);

		*taken = next ? (size_t)(next - data) : len;
		return keep_stray(decoder, data, *taken);
	}
	*taken = 1;
	decoder->header[decoder->header_len++] = data[0];
	if (!header_may_be_frame(decoder))
		return header_slip(decoder);
	if (decoder->header_len < FRAME_HEADER_BYTES)
		return 0;
	return header_done(decoder);
}

static int feed_body(struct frame_decoder *decoder, const uint8_t *data, size_t len, size_t *taken)
{
	int error = 0;

	*taken = len < decoder->body_left ? len : decoder->body_left;
	if (decoder->state == STATE_END)
		error = buffer_append(&decoder->end, data, *taken);
	else if (!decoder->result_over)
		error = buffer_append(&decoder->result, data, *taken);
	decoder->body_left -= (uint32_t)*taken;
	if (decoder->body_left == 0)
		decoder->state = decoder->state == STATE_END ? STATE_DONE : STATE_HEADER;
	return error;
}

int frame_decoder_feed(struct frame_decoder *decoder, const uint8_t *data, size_t len)
{
	while (len > 0 && decoder->state != STATE_DONE) {
		size_t taken = 0;
		int error = decoder->state == STATE_HEADER ? feed_header(decoder, data, len, &taken)
							   : feed_body(decoder, data, len, &taken);

		if (error)
			return error;
		data += taken;
		len -= taken;
	}
	return 0;
}

bool frame_decoder_ended(const struct frame_decoder *decoder)
{
	return decoder->state == STATE_DONE;
}

bool frame_decoder_result_over(const struct frame_decoder *decoder)
{
	return decoder->result_over;
}

static const uint8_t *contents(const struct buffer *buf, size_t *len)
{
	*len = buf->len;
	return (const uint8_t *)buffer_text(buf);
}

const uint8_t *frame_decoder_result(const struct frame_decoder *decoder, size_t *len)
{
	return contents(&decoder->result, len);
}

char *frame_decoder_take_result(struct frame_decoder *decoder, size_t *len)
{
	*len = decoder->result.len;
	return buffer_take_text(&decoder->result);
}

const uint8_t *frame_decoder_end(const struct frame_decoder *decoder, size_t *len)
{
	return contents(&decoder->end, len);
}

const uint8_t *frame_decoder_stray(const struct frame_decoder *decoder, size_t *len)
{
	return contents(&decoder->stray, len);
}
