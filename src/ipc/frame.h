/*
 * Frames: guest -> host on the result pipe. Each: token[16], u32 type, u32 len (little-endian),
 * then len bytes.
 *
 *   FRAME_RESULT 1  the encoded JSON value of `result`, streamed: several in a row are joined
 *   FRAME_END    2  JSON object: {"status": "ok"|"error"|"exit", "exit_code": int,
 *                   "error": {"type": str, "message": str, "traceback": str, "line": int},
 *                   "limits_hit": [str], "denied_imports": [str], "has_result": bool}; ends the run
 *
 * Bytes that do not begin with the token are not frames: the decoder skips them to the next token
 * and keeps the first 16 KiB as `stray` (the guest's fault handler writes its traceback there).
 * A guest that owns its interpreter can forge its own result and end, nobody else's, and no status
 * that the host decides. The decoder is the one place of the host process that reads guest bytes:
 * lengths are checked before use and it never holds more than its caps.
 */
#ifndef PSB_IPC_FRAME_H
#define PSB_IPC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/request.h"

#define FRAME_HEADER_BYTES 24u
#define FRAME_RESULT 1u
#define FRAME_END 2u
#define FRAME_MAX_END_BYTES (1u << 20)
#define FRAME_MAX_STRAY_BYTES (16u << 10)

struct frame_decoder; /* opaque */

/* result_cap in bytes. NULL when out of memory. */
struct frame_decoder *frame_decoder_new(const uint8_t token[REQUEST_TOKEN_BYTES],
					uint64_t result_cap);
void frame_decoder_free(struct frame_decoder *decoder);
/* For another run: forgets all that it was fed, then is as new. */
void frame_decoder_clear(struct frame_decoder *decoder);
void frame_decoder_renew(struct frame_decoder *decoder, const uint8_t token[REQUEST_TOKEN_BYTES],
			 uint64_t result_cap);

/* Feeds bytes as they come, in pieces of any size. After the end frame all further bytes are
 * ignored. Returns 0, or PSB_E_MEMORY. */
int frame_decoder_feed(struct frame_decoder *decoder, const uint8_t *data, size_t len);

bool frame_decoder_ended(const struct frame_decoder *decoder);       /* a whole end frame came */
bool frame_decoder_result_over(const struct frame_decoder *decoder); /* result bytes > cap */
const uint8_t *frame_decoder_result(const struct frame_decoder *decoder, size_t *len);
/* Hands the result's bytes over (free()), a NUL behind them; NULL when out of memory. */
char *frame_decoder_take_result(struct frame_decoder *decoder, size_t *len);
const uint8_t *frame_decoder_end(const struct frame_decoder *decoder, size_t *len);
const uint8_t *frame_decoder_stray(const struct frame_decoder *decoder, size_t *len);

#endif
