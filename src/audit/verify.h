/* Follows a chain of records through hostile text, in pieces of any size. */
#ifndef PSB_AUDIT_VERIFY_H
#define PSB_AUDIT_VERIFY_H

#include "audit/chain.h"

struct verifier {
	struct audit_key given; /* keyed: the caller has the key */
	const char *wanted;     /* a head that must occur, or NULL */
	const char *before;     /* the head of the file before the first, or NULL */
	psb_audit_fault_fn on_fault;
	void *context;

	const char *file;   /* for faults */
	uint64_t line;      /* the one that is being read, from 1 */
	struct buffer text; /* ... as far as it has come */
	bool too_long;
	bool expect_begin; /* the file's first record is due */

	bool sealed;        /* the chain's hashes can be checked */
	bool keyed;         /* ... with the key that was given */
	bool any;           /* a record has been seen */
	bool found;         /* `wanted` has occurred */
	bool adopt;         /* the line before was no good: its hash binds nothing */
	uint64_t bad_lines; /* in a row, which may have been records */
	struct audit_head head;

	struct sha256 torn_hash; /* of the marked lines behind the last record */
	uint64_t torn_bytes;     /* 0: none */
	uint64_t torn_line;

	uint64_t not_started;
	uint64_t ended_runs;
	struct psb_audit_report report;
};

void verify_init(struct verifier *verifier);
void verify_free(struct verifier *verifier);
void verify_begin_file(struct verifier *verifier, const char *name);
int verify_feed(struct verifier *verifier, const uint8_t *data, size_t len); /* PSB_E_MEMORY */
void verify_end_file(struct verifier *verifier);
/* After the last file: judges the whole and completes verifier->report. */
void verify_finish(struct verifier *verifier);

/* verify_record.c: one line that has the frame of a record. */
void verify_record(struct verifier *verifier, const uint8_t *text, size_t len,
		   const struct audit_line *line);
void verify_fault(struct verifier *verifier, uint64_t line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
