/* A bounded JSON checker: decides whether hostile text is JSON that every library can read. */
#ifndef PSB_CORE_JSON_CHECK_H
#define PSB_CORE_JSON_CHECK_H

#include <stddef.h>
#include <stdint.h>

#define JSON_MAX_DEPTH 200u
#define JSON_MAX_BYTES (UINT64_C(1) << 30)

enum json_check_flags {
	JSON_ANY = 0,
	JSON_OBJECT_ONLY = 1, /* the top value must be an object */
	JSON_PORTABLE = 2,    /* numbers must fit int64 or a finite double */
	JSON_NESTED = 4,      /* one level less, for text that goes into an object of ours */
};

struct json_fault {
	size_t offset;      /* of the byte that is wrong */
	const char *reason; /* static */
};

/* 0; PSB_E_INVALID with *fault (may be NULL) filled; PSB_E_MEMORY. */
int json_check(const uint8_t *text, size_t len, unsigned int flags, struct json_fault *fault);

#endif
