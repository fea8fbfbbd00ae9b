/* Namespaces and an empty root around a process of the VMM program. */
#ifndef PSB_VMM_NEST_H
#define PSB_VMM_NEST_H

#include <stdbool.h>

#include "pysandbox.h"

struct nest {
	bool namespaces; /* false: this process goes on as it is, without new privileges */
	bool linger;     /* the process outside stays until the one inside has ended */
	/* Inside, in the new root, still with the namespace's rights. May be NULL. */
	void (*prepare)(void *context);
	/* In whichever process met a failure; it ends then. */
	void (*failed)(void *context, const char *message);
	/* Outside, when nothing is left inside. May be NULL; only with linger. */
	void (*ended)(void *context);
	void *context;
};

/* Goes on inside, as the first process of a pid namespace, with no capability and nothing of the
 * host's file system. Returns there only: the caller's process becomes the one outside. Without
 * namespaces it returns in the caller's. */
int nest_enter(const struct nest *nest, struct psb_error *err);

#endif
