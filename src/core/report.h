/* What the guest says about its own end: the decoded FRAME_END. Untrusted throughout. */
#ifndef PSB_CORE_REPORT_H
#define PSB_CORE_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pysandbox.h"

#define REPORT_MAX_DENIED 64u
#define REPORT_MAX_TYPE_BYTES 256u
#define REPORT_MAX_MESSAGE_BYTES (64u << 10)
#define REPORT_MAX_TRACEBACK_BYTES (256u << 10)
#define REPORT_MAX_NAME_BYTES 256u

struct guest_report {
	bool present;      /* a well-formed end frame came */
	int status;        /* PSB_OK, PSB_ERROR or PSB_EXIT */
	int32_t exit_code; /* of PSB_EXIT, 0..255 */
	bool has_result;
	char *error_type; /* owned, or NULL */
	char *error_message;
	char *traceback;
	int64_t error_line;      /* 0: unknown */
	unsigned int limits_hit; /* bits of enum limit_name */
	char *denied_imports[REPORT_MAX_DENIED];
	size_t denied_count;
};

/* Reads the end frame into a zeroed report. PSB_E_INVALID if it is malformed (the report is then
 * not present), PSB_E_MEMORY. */
int report_read(struct guest_report *report, const uint8_t *text, size_t len);
void report_free(struct guest_report *report);

#endif
