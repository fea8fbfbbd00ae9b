/*
 * One line of the audit log, as far as the chain goes. A record is a JSON object on a line of its
 * own whose first members and whose last are fixed:
 *
 *   {"version":1,"seq":7,"time":"…Z","prev":"<64 hex>","event":"ended", … ,"hash":"<64 hex>"}
 *
 * `hash` seals every byte of the line before `,"hash":`; `prev` is the hash of the record before.
 */
#ifndef PSB_AUDIT_CHAIN_H
#define PSB_AUDIT_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit/key.h"
#include "core/buffer.h"

#define AUDIT_VERSION 1
#define AUDIT_MAX_LINE_BYTES (256u << 10) /* newline included */
#define AUDIT_EVENT_CHARS 15u
#define AUDIT_TIME_CHARS 30u
/* Written behind an unfinished line, so that its newline cannot be taken for a record's. */
#define AUDIT_TORN_MARK " ~torn"
#define AUDIT_GENESIS "0000000000000000000000000000000000000000000000000000000000000000"

/* The newest record: what the next one continues. seq 0: none yet. */
struct audit_head {
	uint64_t seq;
	char hash[AUDIT_HASH_CHARS + 1];
};

struct audit_line {
	uint64_t seq;
	char prev[AUDIT_HASH_CHARS + 1];
	char hash[AUDIT_HASH_CHARS + 1]; /* as the line states it */
	char event[AUDIT_EVENT_CHARS + 1];
	size_t sealed_len; /* how many bytes the hash covers */
};

/* Reads the frame of a line (without its newline); false if it has none. Hostile text; the
 * members between are not looked at. */
bool audit_line_read(const uint8_t *text, size_t len, struct audit_line *out);
/* Whether the stated hash is the right one. */
bool audit_line_sealed(const struct audit_key *key, const uint8_t *text,
		       const struct audit_line *line);
/* Could this be the beginning of a record whose writing was cut? */
bool audit_line_begun(const uint8_t *text, size_t len);

/* The number of the record that begins here; 0 if none does. */
uint64_t audit_line_seq(const uint8_t *text, size_t len);

/* Appends a whole line that continues `head` and moves `head` on to it (on success only). `body`
 * begins with "event": and is members without braces. PSB_E_TOO_LARGE, PSB_E_MEMORY. */
int audit_line_write(const struct audit_key *key, struct audit_head *head, const char *body,
		     size_t body_len, struct buffer *out);

#endif
