/* What the two halves of the demo share. */
#ifndef PSB_CLI_DEMO_H
#define PSB_CLI_DEMO_H

#include "cli.h"

const char *demo_colour(const char *code); /* "" unless stdout is a terminal */
int demo_execute(psb_sandbox *sandbox, const char *source, const char *inputs, psb_outcome **out);
int demo_attacks(psb_sandbox *sandbox); /* 0 when all four were blocked */

#endif
