/*
 * Steps of booting, for entry.c and the tests.
 */
#ifndef PSB_KERNEL_BOOT_H
#define PSB_KERNEL_BOOT_H

#include "kernel.h"

#define WORKSPACE "/sandbox/workspace"
#define MAIN_STACK_BYTES (UINT64_C(8) << 20) /* at the start of the pool, above the guard */

/* Loads boot_info's program and makes it the current thread. */
int kernel_start_program(struct kernel *kernel);
/* Writes the workspace to the host (collect.c). */
void collect_workspace(struct kernel *kernel);

#endif
