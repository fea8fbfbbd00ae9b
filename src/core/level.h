/* The names of the controls, and the level that follows from a plan by the fixed table. */
#ifndef PSB_CORE_LEVEL_H
#define PSB_CORE_LEVEL_H

#include "core/plan.h"
#include "host_probe/speculation.h"

const char *control_name(enum plan_control control);
const char *control_by_name(enum control_by by);
int control_index(const char *name); /* -1: there is none */

/* The highest row whose conditions, and those of all rows below, hold; 0..10. */
int level_by_table(const struct plan *plan);

/* Completes a plan after the engine's plan(): the host's part of it, then the level. */
void level_settle(struct plan *plan, const struct speculation *host);

#endif
