/*
 * Which pages a process touches between two moments: two looks at its page map, from outside.
 */
#ifndef PSB_KEEPER_HOT_PAGES_H
#define PSB_KEEPER_HOT_PAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "keeper/control.h"

struct page_look; /* opaque: what a process had mapped, and which pages it had to itself */

/* 0 and an owned look, or -errno (also when the host has no readable page map). */
int page_look_take(pid_t pid, struct page_look **out);
void page_look_free(struct page_look *look);

/* Fills `out` with what has become the process's own (to be written ahead) or mapped (to be read
 * ahead) since the look. Returns 0 or -errno; too much for the set is -E2BIG. */
int page_look_compare(const struct page_look *before, pid_t pid, struct hot_set *out);

#endif
