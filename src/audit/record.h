/* The members of each event, docs/audit.schema.json in C. */
#ifndef PSB_AUDIT_RECORD_H
#define PSB_AUDIT_RECORD_H

#include "audit/audit.h"
#include "core/json_write.h"

/* Guest and caller texts are cut at these; escaping may make each byte six. */
#define RECORD_CODE_BYTES (16u << 10)
#define RECORD_MESSAGE_BYTES 512u
#define RECORD_NAME_BYTES 128u
#define RECORD_TAG_BYTES 256u
#define RECORD_REASON_BYTES 512u
#define RECORD_BODY_BYTES (240u << 10)

/* What every record of a handle states. */
struct record_context {
	const char *tenant;
	const char *policy_name;
	const char *policy_sha256; /* "": not known yet */
	uint64_t lost;             /* records of this handle that could not be written before */
};

void record_accepted(struct json_writer *w, const struct record_context *context,
		     const struct audit_run *run);
void record_not_started(struct json_writer *w, const struct record_context *context,
			const struct audit_run *run, const char *reason);
void record_ended(struct json_writer *w, const struct record_context *context,
		  const struct psb_outcome *outcome);
void record_refused(struct json_writer *w, const struct record_context *context, const char *call,
		    const char *tag, const struct psb_error *why);

/* A string in plain ASCII: at most `max` bytes of valid UTF-8, everything but 0x20..0x7e escaped,
 * so that no terminal and no viewer is led astray. NULL gives null. */
void record_put_foreign(struct json_writer *w, const char *text, size_t len, size_t max);

#endif
