/*
 * The request: host -> guest, one byte string, little-endian.
 *
 *   0  u32 magic  'PSBQ' (0x51425350)
 *   4  u32 version (1)
 *   8  u8  token[16]   random per execution; prefixes every frame the guest sends
 *  24  u32 source_len
 *  28  u32 inputs_len
 *  32  u32 options_len
 *  36  u32 file_count
 *  40  u64 total_len   of the whole string, header included
 *  48  u64 result_bytes   cap on the encoded result
 *  56  u64 reserved (0)
 *  64  source, inputs (JSON object text or empty), options (JSON object text), then per file:
 *      u32 name_len, u32 reserved, u64 data_len, name, data
 *
 * options JSON: {"filename": str, "keep_source": bool, "env": {str: str}, "imports": {"mode":
 * "deny"|"allow"|"off", "names": [str], "policy": str}}
 *
 * The host writes it; the guest (untrusted, but still ours) reads it. The token is no secret from a
 * guest that owns its interpreter: it lets the host find true frames between bytes that a program
 * wrote by accident into every descriptor it has.
 */
#ifndef PSB_IPC_REQUEST_H
#define PSB_IPC_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "pysandbox.h"

/* How the options of a request begin that asks for nothing special; its import list and "}" follow. */
#define REQUEST_PLAIN_OPTIONS                                                                      \
	"{\"filename\":\"main.py\",\"keep_source\":false,\"env\":{},\"imports\":"

#define REQUEST_MAGIC 0x51425350u
#define REQUEST_VERSION 1u
#define REQUEST_HEADER_BYTES 64u
#define REQUEST_TOKEN_BYTES 16u
#define REQUEST_MAX_SOURCE_BYTES (64u << 20)
#define REQUEST_MAX_INPUTS_BYTES (256u << 20)

struct request_file {
	const char *name;
	const uint8_t *data;
	size_t data_len;
};

struct request_parts {
	uint8_t token[REQUEST_TOKEN_BYTES];
	const char *source;
	size_t source_len;
	const char *inputs; /* NULL if none */
	size_t inputs_len;
	const char *options; /* JSON object text */
	size_t options_len;
	uint64_t result_bytes;
	const struct request_file *files;
	size_t file_count;
};

/* How long it gets; 0 with PSB_E_TOO_LARGE in err. */
size_t request_size(const struct request_parts *parts, struct psb_error *err);
/* Fills all of the bytes that request_size() told. */
void request_write(const struct request_parts *parts, uint8_t *at, size_t size);
/* Both: allocates *out (free() it). PSB_E_TOO_LARGE, PSB_E_MEMORY. */
int request_encode(const struct request_parts *parts, uint8_t **out, size_t *out_len,
		   struct psb_error *err);

#endif
