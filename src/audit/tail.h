/* Where a log ends: its newest whole record and what a killed writer left behind it. */
#ifndef PSB_AUDIT_TAIL_H
#define PSB_AUDIT_TAIL_H

#include "audit/chain.h"

enum tail_state {
	TAIL_WHOLE,   /* ends in a record and its newline, or is empty */
	TAIL_NO_EOL,  /* ends in a record that lacks only its newline */
	TAIL_TORN,    /* an unfinished line, perhaps behind others closed off */
	TAIL_UNKNOWN, /* the window does not reach back to a record: widen it */
	TAIL_FOREIGN, /* ends in something that no writer of this chain leaves */
};

struct tail {
	enum tail_state state;
	struct audit_head head; /* seq 0: no record */
	size_t torn_at;         /* of TAIL_TORN: where the unfinished text begins in the window */
};

/* `window` is the last `len` bytes of a file; `whole`: all of it. Hostile text. */
void tail_find(const struct audit_key *key, const uint8_t *window, size_t len, bool whole,
	       struct tail *out);

#endif
