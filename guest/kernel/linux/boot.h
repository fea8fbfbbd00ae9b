/*
 * Steps of booting, for entry.c and the tests.
 */
#ifndef PSB_KERNEL_BOOT_H
#define PSB_KERNEL_BOOT_H

#include "kernel.h"

#define WORKSPACE "/sandbox/workspace"
#define MAIN_STACK_BYTES GUEST_MAIN_STACK_BYTES

/* Loads boot_info's program and makes it the current thread. */
int kernel_start_program(struct kernel *kernel);
/* Writes the workspace to the host (collect.c). */
void collect_workspace(struct kernel *kernel);

#endif
