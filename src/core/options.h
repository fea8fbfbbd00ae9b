/* Option structs that begin with their size: older and newer callers, and borrowed strings. */
#ifndef PSB_CORE_OPTIONS_H
#define PSB_CORE_OPTIONS_H

#include <stddef.h>

#include "pysandbox.h"

/* Copies `given` of given_size bytes over the first bytes of `out`, which the caller has set to
 * its defaults, keeping out's own size member. A longer struct is fine while its tail is zero.
 * PSB_E_INVALID otherwise; `what` names the struct. */
int options_copy(const char *what, const void *given, size_t given_size, void *out, size_t out_size,
		 struct psb_error *err);

/* 0 or PSB_E_INVALID: text is UTF-8 without control characters and at most max bytes long. */
int options_check_text(const char *what, const char *text, size_t max, struct psb_error *err);

#endif
