/* What the kernel publishes for programs that ask for the time without entering it. It lies behind
 * run_info, in a page that every execution writes anyway. */
#ifndef PSB_KERNEL_VDSO_CLOCK_H
#define PSB_KERNEL_VDSO_CLOCK_H

#include "../abi.h"

#define GUEST_CLOCK_OFFSET 2048u
#define GUEST_CLOCK (GUEST_RUN_INFO + GUEST_CLOCK_OFFSET)

_Static_assert(sizeof(struct run_info) <= GUEST_CLOCK_OFFSET, "the clock is behind run_info");

struct published_clock {
	uint64_t sequence; /* another one after every change */
	uint64_t base_ticks;
	uint64_t multiplier; /* as in guest_clock */
	uint64_t steady_base_ns;
	uint64_t wall_base_ns;
};

#endif
