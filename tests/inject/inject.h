/* Lets the n-th of the wrapped calls fail; what is known of that is shared with forked children, and
 * with other processes through a file. */
#ifndef PSB_INJECT_H
#define PSB_INJECT_H

#include <stdbool.h>

struct inject {
	long target; /* the call number, from 0, that fails; -1: none */
	long count;  /* calls so far, while armed */
	long alive;  /* allocations minus frees, of the wrapped callers */
	bool armed;
	char only[32];  /* the one function that is counted and fails; "": all */
	char fired[32]; /* the function that failed, or "" */
	void *caller;
};

/* Maps the file, made if it is not there. With `use` the wrappers of this process go by it. */
struct inject *inject_open(const char *path, bool use);

#endif
