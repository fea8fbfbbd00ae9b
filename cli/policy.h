/* Inside of the command `policy`. */
#ifndef PSB_CLI_POLICY_H
#define PSB_CLI_POLICY_H

#include "cli.h"

/* policy_print.c: compact JSON on lines, to stdout. */
void print_indented(const char *json);

#endif
