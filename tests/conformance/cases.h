/*
 * The contract as a table: a program and the outcome it must have on every engine. A member that
 * is NULL or 0 is not looked at, except where the comment says so.
 */
#ifndef PSB_CONFORMANCE_CASES_H
#define PSB_CONFORMANCE_CASES_H

#include <stddef.h>

#include "pysandbox.h"

struct conformance_case {
	const char *name;
	const char *source;
	size_t source_len; /* 0: strlen(source) */
	const char *inputs;
	const char *policy; /* NULL: default */
	int status;
	const char *limit;   /* always compared: NULL means none */
	const char *result;  /* always compared: NULL means unset */
	const char *out;     /* stdout */
	const char *err;     /* a part of stderr */
	const char *type;    /* of the error */
	const char *message; /* a part of it */
	int line;
	int exit_code;
	struct psb_limits limits;
};

extern const struct conformance_case conformance_cases[];
extern const size_t conformance_case_count;

#endif
