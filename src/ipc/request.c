/*
 * The request encoder: one string, sized exactly, filled front to back. Everything in it was
 * given by the caller of the library (trusted, but sizes are checked all the same); the reader is
 * the guest, so nothing secret of the host may enter: every byte of the string is written here.
 */
#include "ipc/request.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"

#define FILE_HEADER_BYTES 16u
#define MAX_OPTIONS_BYTES (1u << 20)
#define MAX_TOTAL_BYTES (UINT64_C(1) << 31)

static uint8_t *put_u32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (8 * i));
	return at + 4;
}

static uint8_t *put_u64(uint8_t *at, uint64_t value)
{
	return put_u32(put_u32(at, (uint32_t)value), (uint32_t)(value >> 32));
}

static uint8_t *put_bytes(uint8_t *at, const void *data, size_t len)
{
	if (len > 0)
		memcpy(at, data, len);
	return at + len;
}

/* 0 when the request is over its bounds. */
static uint64_t total_len(const struct request_parts *parts)
{
	uint64_t total = REQUEST_HEADER_BYTES;

	if (parts->source_len > REQUEST_MAX_SOURCE_BYTES ||
	    parts->inputs_len > REQUEST_MAX_INPUTS_BYTES || parts->options_len > MAX_OPTIONS_BYTES)
		return 0;
	total += parts->source_len + parts->inputs_len + parts->options_len;
	for (size_t i = 0; i < parts->file_count; i++) {
		const struct request_file *file = &parts->files[i];

		if (file->data_len > MAX_TOTAL_BYTES)
			return 0;
		total += FILE_HEADER_BYTES + strlen(file->name) + file->data_len;
		if (total > MAX_TOTAL_BYTES)
			return 0;
	}
	return total;
}

static uint8_t *put_header(uint8_t *at, const struct request_parts *parts, uint64_t total)
{
	at = put_u32(at, REQUEST_MAGIC);
	at = put_u32(at, REQUEST_VERSION);
	at = put_bytes(at, parts->token, REQUEST_TOKEN_BYTES);
	at = put_u32(at, (uint32_t)parts->source_len);
	at = put_u32(at, (uint32_t)parts->inputs_len);
	at = put_u32(at, (uint32_t)parts->options_len);
	at = put_u32(at, (uint32_t)parts->file_count);
	at = put_u64(at, total);
	at = put_u64(at, parts->result_bytes);
	return put_u64(at, 0);
}

size_t request_size(const struct request_parts *parts, struct psb_error *err)
{
	uint64_t total = total_len(parts);

	if (total == 0)
		(void)psb_fail(err, PSB_E_TOO_LARGE, 0,
			       "request: source, inputs and files are over %llu MiB together or "
			       "over their own limits; pass less data",
			       (unsigned long long)(MAX_TOTAL_BYTES >> 20));
	return (size_t)total;
}

void request_write(const struct request_parts *parts, uint8_t *at, size_t size)
{
	at = put_header(at, parts, size);
	at = put_bytes(at, parts->source, parts->source_len);
	at = put_bytes(at, parts->inputs, parts->inputs_len);
	at = put_bytes(at, parts->options, parts->options_len);
	for (size_t i = 0; i < parts->file_count; i++) {
		const struct request_file *file = &parts->files[i];
		size_t name_len = strlen(file->name);

		at = put_u32(at, (uint32_t)name_len);
		at = put_u32(at, 0);
		at = put_u64(at, file->data_len);
		at = put_bytes(at, file->name, name_len);
		at = put_bytes(at, file->data, file->data_len);
	}
}

int request_encode(const struct request_parts *parts, uint8_t **out, size_t *out_len,
		   struct psb_error *err)
{
	size_t size = request_size(parts, err);
	uint8_t *bytes;

	if (size == 0)
		return PSB_E_TOO_LARGE;
	bytes = malloc(size);
	if (!bytes)
		return psb_fail(err, PSB_E_MEMORY, 0, "request: no memory for %zu bytes", size);
	request_write(parts, bytes, size);
	*out = bytes;
	*out_len = size;
	return 0;
}
