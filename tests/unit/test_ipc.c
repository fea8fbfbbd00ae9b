/* The frame decoder and the request encoder. */
#include "unit.h"

#include <stdlib.h>

#include "core/buffer.h"
#include "ipc/frame.h"
#include "ipc/request.h"

static const uint8_t token[REQUEST_TOKEN_BYTES] = "0123456789abcdef";

static void put_u32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static void add_header(struct buffer *stream, uint32_t type, uint32_t len)
{
	uint8_t header[FRAME_HEADER_BYTES];

	memcpy(header, token, sizeof(token));
	put_u32(header + 16, type);
	put_u32(header + 20, len);
	assert_int_equal(buffer_append(stream, header, sizeof(header)), 0);
}

static void add_frame(struct buffer *stream, uint32_t type, const char *body)
{
	add_header(stream, type, (uint32_t)strlen(body));
	assert_int_equal(buffer_append_text(stream, body), 0);
}

static struct frame_decoder *decode(const struct buffer *stream, uint64_t cap, size_t piece)
{
	struct frame_decoder *decoder = frame_decoder_new(token, cap);

	assert_non_null(decoder);
	for (size_t at = 0; at < stream->len; at += piece) {
		size_t n = stream->len - at < piece ? stream->len - at : piece;

		assert_int_equal(frame_decoder_feed(decoder, stream->data + at, n), 0);
	}
	return decoder;
}

static void expect_bytes(const uint8_t *data, size_t len, const char *expected)
{
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(data, expected, len);
}

/* Junk, a cut token, a token with an unknown type, true frames between, and bytes after the end. */
static void build_messy(struct buffer *stream)
{
	buffer_init(stream, 1 << 20);
	(void)buffer_append_text(stream, "junk0123456789abc!0123");
	add_frame(stream, FRAME_RESULT, "[1,");
	add_header(stream, 77, 5);
	(void)buffer_append_text(stream, "00123");
	add_frame(stream, FRAME_RESULT, "");
	add_frame(stream, FRAME_RESULT, "2]");
	add_header(stream, FRAME_END, FRAME_MAX_END_BYTES + 1);
	add_frame(stream, FRAME_END, "{\"status\":\"ok\"}");
	add_frame(stream, FRAME_RESULT, "late");
	add_frame(stream, FRAME_END, "forged");
}

static void finds_frames_in_any_pieces(void **state)
{
	struct buffer stream;

	(void)state;
	build_messy(&stream);
	for (size_t piece = 1; piece < 60; piece++) {
		struct frame_decoder *decoder = decode(&stream, 100, piece);
		size_t len = 0;
		const uint8_t *data = frame_decoder_result(decoder, &len);

		expect_bytes(data, len, "[1,2]");
		assert_true(frame_decoder_ended(decoder));
		assert_false(frame_decoder_result_over(decoder));
		data = frame_decoder_end(decoder, &len);
		expect_bytes(data, len, "{\"status\":\"ok\"}");
		data = frame_decoder_stray(decoder, &len);
		assert_int_equal(len, 22 + 24 + 5 + 24);
		assert_memory_equal(data, "junk0123456789abc!0123", 22);
		frame_decoder_free(decoder);
	}
	buffer_free(&stream);
}

static void a_result_over_its_cap_is_not_kept(void **state)
{
	struct frame_decoder *decoder;
	struct buffer stream;
	size_t len = 0;

	(void)state;
	buffer_init(&stream, 1 << 20);
	add_frame(&stream, FRAME_RESULT, "12345");
	add_frame(&stream, FRAME_RESULT, "67890");
	decoder = decode(&stream, 10, 3);
	assert_false(frame_decoder_result_over(decoder));
	frame_decoder_free(decoder);
	add_frame(&stream, FRAME_RESULT, "x");
	decoder = decode(&stream, 10, 3);
	assert_true(frame_decoder_result_over(decoder));
	(void)frame_decoder_result(decoder, &len);
	assert_true(len <= 10);
	frame_decoder_free(decoder);
	buffer_free(&stream);
}

static void a_stated_length_allocates_nothing(void **state)
{
	struct frame_decoder *decoder;
	struct buffer stream;
	size_t len = 1;

	(void)state;
	buffer_init(&stream, 1 << 20);
	add_header(&stream, FRAME_RESULT, UINT32_MAX);
	decoder = decode(&stream, UINT64_MAX, 7);
	(void)frame_decoder_result(decoder, &len);
	assert_int_equal(len, 0);
	assert_false(frame_decoder_ended(decoder));
	frame_decoder_free(decoder);
	buffer_free(&stream);
	frame_decoder_free(NULL);
}

static void stray_is_bounded(void **state)
{
	struct frame_decoder *decoder = frame_decoder_new(token, 10);
	uint8_t flood[4096];
	size_t len = 0;

	(void)state;
	memset(flood, '0', sizeof(flood));
	for (int i = 0; i < 20; i++)
		assert_int_equal(frame_decoder_feed(decoder, flood, sizeof(flood)), 0);
	(void)frame_decoder_stray(decoder, &len);
	assert_int_equal(len, FRAME_MAX_STRAY_BYTES);
	frame_decoder_free(decoder);
}

/* The memory of `data` is the decoder's, before and after. */
static void expect_wiped(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(data[i], 0);
}

static void a_cleared_decoder_is_as_new(void **state)
{
	static const uint8_t other[REQUEST_TOKEN_BYTES] = "fedcba9876543210";
	struct frame_decoder *decoder;
	const uint8_t *result;
	const uint8_t *end;
	struct buffer stream;
	size_t result_len = 0;
	size_t end_len = 0;
	size_t len = 1;

	(void)state;
	build_messy(&stream);
	decoder = decode(&stream, 100, stream.len);
	result = frame_decoder_result(decoder, &result_len);
	end = frame_decoder_end(decoder, &end_len);
	assert_true(result_len > 0 && end_len > 0);
	frame_decoder_clear(decoder);
	expect_wiped(result, result_len);
	expect_wiped(end, end_len);
	frame_decoder_renew(decoder, other, 2);
	assert_false(frame_decoder_ended(decoder));
	/* The old token is none any more, and the new cap holds. */
	assert_int_equal(frame_decoder_feed(decoder, stream.data, stream.len), 0);
	assert_false(frame_decoder_ended(decoder));
	(void)frame_decoder_result(decoder, &len);
	assert_int_equal(len, 0);
	for (size_t i = 0; i + REQUEST_TOKEN_BYTES <= stream.len; i++)
		if (memcmp(stream.data + i, token, sizeof(token)) == 0)
			memcpy(stream.data + i, other, sizeof(other));
	assert_int_equal(frame_decoder_feed(decoder, stream.data, stream.len), 0);
	assert_true(frame_decoder_ended(decoder));
	assert_true(frame_decoder_result_over(decoder));
	frame_decoder_free(decoder);
	buffer_free(&stream);
}

static uint64_t get_u64(const uint8_t *at)
{
	uint64_t value = 0;

	for (int i = 7; i >= 0; i--)
		value = value << 8 | at[i];
	return value;
}

static void encodes_a_request(void **state)
{
	const struct request_file files[] = {{"a/b.txt", (const uint8_t *)"data", 4},
					     {"empty", NULL, 0}};
	struct request_parts parts = {.source = "x=1",
				      .source_len = 3,
				      .inputs = "{}",
				      .inputs_len = 2,
				      .options = "{\"a\":1}",
				      .options_len = 7,
				      .result_bytes = 12345,
				      .files = files,
				      .file_count = 2};
	uint8_t *bytes = NULL;
	size_t len = 0;

	(void)state;
	memcpy(parts.token, token, sizeof(token));
	assert_int_equal(request_encode(&parts, &bytes, &len, NULL), 0);
	assert_int_equal(len, 64 + 3 + 2 + 7 + (16 + 7 + 4) + (16 + 5));
	assert_memory_equal(bytes, "PSBQ", 4);
	assert_int_equal(bytes[4], 1);
	assert_memory_equal(bytes + 8, token, 16);
	assert_int_equal(bytes[24], 3);
	assert_int_equal(bytes[28], 2);
	assert_int_equal(bytes[32], 7);
	assert_int_equal(bytes[36], 2);
	assert_int_equal(get_u64(bytes + 40), len);
	assert_int_equal(get_u64(bytes + 48), 12345);
	assert_int_equal(get_u64(bytes + 56), 0);
	assert_memory_equal(bytes + 64, "x=1{}{\"a\":1}", 12);
	assert_int_equal(bytes[76], 7);
	assert_int_equal(get_u64(bytes + 84), 4);
	assert_memory_equal(bytes + 92, "a/b.txtdata", 11);
	free(bytes);
}

static void refuses_what_is_too_large(void **state)
{
	struct request_parts parts = {.source = "", .source_len = REQUEST_MAX_SOURCE_BYTES + 1};
	struct request_file file = {"f", NULL, SIZE_MAX};
	uint8_t *bytes = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(request_encode(&parts, &bytes, &len, NULL), PSB_E_TOO_LARGE);
	parts.source_len = 0;
	parts.inputs_len = REQUEST_MAX_INPUTS_BYTES + 1;
	assert_int_equal(request_encode(&parts, &bytes, &len, NULL), PSB_E_TOO_LARGE);
	parts.inputs_len = 0;
	parts.files = &file;
	parts.file_count = 1;
	assert_int_equal(request_encode(&parts, &bytes, &len, NULL), PSB_E_TOO_LARGE);
	assert_null(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_frames_in_any_pieces),
		cmocka_unit_test(a_result_over_its_cap_is_not_kept),
		cmocka_unit_test(a_stated_length_allocates_nothing),
		cmocka_unit_test(stray_is_bounded),
		cmocka_unit_test(a_cleared_decoder_is_as_new),
		cmocka_unit_test(encodes_a_request),
		cmocka_unit_test(refuses_what_is_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
