/* Namespaces and an empty root around a process of the VMM program. */
#ifndef PSB_VMM_NEST_H
#define PSB_VMM_NEST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "pysandbox.h"

enum nest_side { NEST_OUTSIDE = 0, NEST_INSIDE = 1 };

struct nest {
	bool namespaces; /* false: this process goes on as it is, without new privileges */
	bool linger;     /* the process outside stays until the one inside has ended */
	/* What nest_let_go() hands to the inside's copy of this. At most 60 KiB; may be NULL. */
	void *luggage;
	size_t luggage_bytes;
	/* Only with linger. Inside: gets a descriptor that is readable once the process outside has
	 * ended, for its owner to watch. NULL: the kernel then kills the one inside. */
	int *outside_fd;
	/* Inside, in the new root, still with the namespace's rights, with the luggage. May be NULL. */
	void (*prepare)(void *context);
	/* In whichever process met a failure; it ends then. */
	void (*failed)(void *context, const char *message);
	/* Outside, when the one inside goes on by itself. May be NULL; only with linger. */
	void (*left)(void *context);
	/* Outside, when nothing is left inside. May be NULL; only with linger. */
	void (*ended)(void *context);
	void *context;
};

/* Between nest_begin() and its end. */
struct nest_birth {
	pid_t pid; /* of the process that makes the namespaces */
	int pidfd;
	int up[2];   /* "m": write my maps */
	int down[2]; /* "k": done; then the luggage and "g": go; perhaps "a": you are adopted */
};

/* Goes on inside, as the first process of a pid namespace, with no capability and nothing of the
 * host's file system. Returns there only: the caller's process becomes the one outside. Without
 * namespaces it returns in the caller's. */
int nest_enter(const struct nest *nest, struct psb_error *err);

/*
 * The same in steps, for one who has other work meanwhile. nest_begin() returns at once outside, and
 * inside once it was let go: descriptors that are opened until then are inside, too. Outside,
 * nest_write_maps() and nest_let_go() are to follow, or nest_give_up(). Without namespaces
 * there is no inside, and nest_let_go() returns.
 */
int nest_begin(const struct nest *nest, struct nest_birth *birth, struct psb_error *err);
int nest_write_maps(const struct nest *nest, const struct nest_birth *birth, struct psb_error *err);
int nest_let_go(const struct nest *nest, struct nest_birth *birth, struct psb_error *err);
void nest_give_up(struct nest_birth *birth);

#endif
