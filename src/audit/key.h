/* What seals a record: SHA-256, or HMAC-SHA-256 when the caller has a key. */
#ifndef PSB_AUDIT_KEY_H
#define PSB_AUDIT_KEY_H

#include <stdbool.h>

#include "core/sha256.h"
#include "pysandbox.h"

#define AUDIT_HASH_CHARS 64u
#define AUDIT_KEY_MIN_BYTES 16u
#define AUDIT_KEY_MAX_BYTES 4096u

/* The two hashes of HMAC (RFC 2104), each already fed its padded key. Zeroed: no key. */
struct audit_key {
	bool keyed;
	struct sha256 inner;
	struct sha256 outer;
	char id[17]; /* names the key without giving it away; "" if there is none */
};

/* NULL or "" gives the empty key. PSB_E_INVALID, PSB_E_NOT_FOUND. */
int audit_key_read(const char *path, struct audit_key *out, struct psb_error *err);
void audit_key_set(struct audit_key *key, const void *bytes, size_t len);
void audit_key_forget(struct audit_key *key); /* wipes it */

void audit_seal(const struct audit_key *key, const void *text, size_t len,
		char out[AUDIT_HASH_CHARS + 1]);
void audit_hex(const uint8_t digest[32], char out[AUDIT_HASH_CHARS + 1]);

#endif
