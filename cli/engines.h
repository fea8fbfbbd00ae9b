/* `engines --metrics`. */
#ifndef PSB_CLI_ENGINES_H
#define PSB_CLI_ENGINES_H

#include "cli.h"

int print_engine_metrics(void); /* the command's exit code */

#endif
