/*
 * Reading the clock without a system call; for entry.c, which shows these to the program.
 */
#ifndef PSB_KERNEL_USER_CLOCK_H
#define PSB_KERNEL_USER_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "../linux/vdso.h"

extern struct user_clock user_clock; /* at an address that its readers know */

int64_t user_clock_gettime(uint64_t which, void *out);
int64_t user_gettimeofday(void *out, void *zone);
int64_t user_time(int64_t *out);

#endif
