/*
 * The audit log as the core sees it: one handle per sandbox, one call per event. Every function
 * takes a NULL handle and then does nothing. Any thread; a lock of the handle's own is held while a
 * record is written.
 */
#ifndef PSB_AUDIT_H
#define PSB_AUDIT_H

#include "core/logger.h"
#include "core/outcome.h"
#include "core/plan.h"
#include "metrics/histogram.h"

struct audit;

/* What the log keeps of the program's text; made when the call is checked. */
struct audit_code {
	char sha256[65]; /* "": not made */
	uint64_t bytes;
	char *text; /* owned; NULL: not asked for */
	size_t text_len;
};

struct audit_run {
	const char *id;
	const char *tag; /* or NULL */
	const struct audit_code *code;
	size_t inputs_bytes;
	size_t file_count;
	const struct psb_limits *limits;
	const struct plan *plan;
};

/* options NULL: *out is NULL. Unless the log is optional, a file that cannot be appended to fails
 * here. `logger` is borrowed for the handle's life. PSB_E_INVALID, PSB_E_AUDIT, PSB_E_NOT_FOUND. */
int audit_open(const struct psb_audit *options, const char *tenant, struct logger *logger,
	       struct audit **out, struct psb_error *err);
void audit_close(struct audit *audit); /* takes no lock: for a forked child too */
void audit_set_policy(struct audit *audit, const char *name, const char *sha256);

int audit_code_make(const struct audit *audit, const char *source, size_t len,
		    struct audit_code *out, struct psb_error *err);
void audit_code_free(struct audit_code *code);

/* Before the request's first byte: an error means that nothing may run. */
int audit_accepted(struct audit *audit, const struct audit_run *run, struct psb_error *err);
/* The engine did not take it after all; another may follow with a new `accepted`. */
void audit_not_started(struct audit *audit, const struct audit_run *run, const char *reason);
/* Once per outcome, `unavailable` too. A failure is reported to the logger, counted, and stated by
 * the next record that can be written; the outcome stands. */
void audit_ended(struct audit *audit, const struct psb_outcome *outcome);
/* A call that was refused: malformed, over a limit, against the policy. */
void audit_refused(struct audit *audit, const char *call, const char *tag,
		   const struct psb_error *why);

/* For the metrics. */
struct audit_counts {
	uint64_t records;
	uint64_t failures;
	uint64_t rotations;
	uint64_t torn_closed;
	struct histogram append; /* time of each attempt to write a record */
};
struct audit_counts audit_counts(struct audit *audit);

#endif
