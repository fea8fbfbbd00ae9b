/*
 * The frame decoder and everything behind it: the first byte picks the piece size, then the bytes
 * are fed; the token is fixed so that the fuzzer can find it. Whatever comes, the caps hold and a
 * report that was accepted is well formed.
 */
#include <stdlib.h>
#include <string.h>

#include "core/json_check.h"
#include "core/report.h"
#include "core/utf8.h"
#include "fuzz.h"
#include "ipc/frame.h"

#define RESULT_CAP 1000u

static void check_text(const char *text, size_t max)
{
	if (text && (strlen(text) > max || !utf8_valid((const uint8_t *)text, strlen(text))))
		abort();
}

static void check_report(const uint8_t *data, size_t len)
{
	struct guest_report report = {.present = false};

	if (report_read(&report, data, len) == 0) {
		if (report.status > PSB_EXIT || report.exit_code < 0 || report.exit_code > 255 ||
		    report.error_line < 0)
			abort();
		check_text(report.error_type, REPORT_MAX_TYPE_BYTES);
		check_text(report.error_message, REPORT_MAX_MESSAGE_BYTES);
		check_text(report.traceback, REPORT_MAX_TRACEBACK_BYTES);
	}
	report_free(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t token[REQUEST_TOKEN_BYTES] = "TOKENTOKENTOKEN!";
	struct frame_decoder *decoder = frame_decoder_new(token, RESULT_CAP);
	size_t piece = size > 0 ? data[0] % 37u + 1 : 1;
	size_t len = 0;
	const uint8_t *bytes;

	for (size_t at = 1; decoder && at < size; at += piece)
		(void)frame_decoder_feed(decoder, data + at, size - at < piece ? size - at : piece);
	if (!decoder)
		return 0;
	(void)frame_decoder_result(decoder, &len);
	if (len > RESULT_CAP)
		abort();
	(void)frame_decoder_stray(decoder, &len);
	if (len > FRAME_MAX_STRAY_BYTES)
		abort();
	bytes = frame_decoder_end(decoder, &len);
	if (len > FRAME_MAX_END_BYTES)
		abort();
	if (frame_decoder_ended(decoder))
		check_report(bytes, len);
	frame_decoder_free(decoder);
	return 0;
}
