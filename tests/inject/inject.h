/* Lets the n-th of the wrapped calls fail; what is known of that is shared with forked children, and
 * with other processes through a file. */
#ifndef PSB_INJECT_H
#define PSB_INJECT_H

#include <stdbool.h>

#define INJECT_MAX_SITES 512

/* Where in the code a wrapped function is called. */
struct inject_site {
	void *caller;
	long calls;
};

struct inject {
	long target; /* the call number, from 0, that fails; -1: none */
	long count;  /* calls so far, while armed */
	long alive;  /* allocations minus frees, of the wrapped callers */
	bool armed;
	char only[32];  /* the one function that is counted and fails; "": all */
	char fired[32]; /* the function that failed, or "" */
	void *caller;
	/* In place of `target`: the nth call, from 0, that comes from `at`. For code whose processes run at
	 * the same time, where the numbers of calls are not the same each time. */
	void *at;
	long nth;
	long at_calls;
	bool noting; /* fill the list of sites */
	int site_count;
	struct inject_site sites[INJECT_MAX_SITES];
};

/* Maps the file, made if it is not there. With `use` the wrappers of this process go by it. */
struct inject *inject_open(const char *path, bool use);

#endif
