/*
 * Option structs. The rule that keeps the ABI open: a missing tail reads as zero, which means
 * "default"; an unknown tail must be zero, because a wish that is not understood must not be
 * dropped in silence.
 */
#include "core/options.h"

#include <string.h>

#include "core/error.h"
#include "core/utf8.h"

int options_copy(const char *what, const void *given, size_t given_size, void *out, size_t out_size,
		 struct psb_error *err)
{
	const uint8_t *bytes = given;

	if (given_size < sizeof(size_t) || given_size > 4096)
		return psb_fail(err, PSB_E_INVALID, 0,
				"%s: size %zu is not plausible; fill it with its init function",
				what, given_size);
	for (size_t i = out_size; i < given_size; i++) {
		if (bytes[i] != 0)
			return psb_fail(err, PSB_E_INVALID, 0,
					"%s: byte %zu is set, but this version of the library "
					"knows only %zu bytes",
					what, i, out_size);
	}
	if (given_size > out_size)
		given_size = out_size;
	memcpy((uint8_t *)out + sizeof(size_t), bytes + sizeof(size_t),
	       given_size - sizeof(size_t));
	return 0;
}

int options_check_text(const char *what, const char *text, size_t max, struct psb_error *err)
{
	size_t len = strnlen(text, max + 1);

	if (len > max)
		return psb_fail(err, PSB_E_INVALID, 0, "%s: longer than %zu bytes", what, max);
	if (!utf8_valid((const uint8_t *)text, len))
		return psb_fail(err, PSB_E_INVALID, 0, "%s: not valid UTF-8", what);
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return psb_fail(err, PSB_E_INVALID, 0, "%s: control character at byte %zu",
					what, i);
	}
	return 0;
}
