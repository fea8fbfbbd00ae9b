/*
 * The functions behind vdso.c: they run as the program's own code, in a section of their own that
 * the VMM does not take for the kernel (kernel.ld), so a kick or a fault in them is the program's.
 * Trust boundary: none. A bad pointer faults in the program; what is not plain is left to the
 * system call.
 */
#include "user_clock.h"

#define USER_CODE __attribute__((section(".user_text"), noinline))
#define NS_PER_SEC UINT64_C(1000000000)
#define NS_PER_US UINT64_C(1000)

struct seconds {
	int64_t whole;
	int64_t part;
};

struct user_clock user_clock;

static inline __attribute__((always_inline)) uint64_t ticks_now(void)
{
	uint32_t low;
	uint32_t high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static inline __attribute__((always_inline)) uint64_t read_clock(bool wall)
{
	const volatile struct user_clock *clock = &user_clock;
	uint64_t writes;
	uint64_t ns;

	do {
		uint64_t ticks;

		writes = clock->writes;
		ticks = ticks_now();
		ticks = ticks > clock->base_tsc ? ticks - clock->base_tsc : 0;
		ns = (uint64_t)((unsigned __int128)ticks * clock->multiplier >> 32);
		ns += wall ? clock->wall_base_ns : clock->steady_base_ns;
	} while (writes != clock->writes);
	return ns;
}

USER_CODE int64_t user_clock_gettime(uint64_t which, void *out)
{
	struct seconds *time = out;
	int64_t result = __NR_clock_gettime;
	uint64_t ns;

	/* REALTIME and MONOTONIC; the raw and coarse ones; BOOTTIME (sys_time.c) */
	if (which > 1 && (which < 4 || which > 7)) {
		__asm__ volatile("syscall"
				 : "+a"(result)
				 : "D"(which), "S"(out)
				 : "rcx", "r11", "memory");
		return result;
	}
	ns = read_clock(which == 0 || which == 5);
	time->whole = (int64_t)(ns / NS_PER_SEC);
	time->part = (int64_t)(ns % NS_PER_SEC);
	return 0;
}

USER_CODE int64_t user_gettimeofday(void *out, void *zone)
{
	struct seconds *time = out;
	uint64_t ns = read_clock(true);

	if (time) {
		time->whole = (int64_t)(ns / NS_PER_SEC);
		time->part = (int64_t)(ns % NS_PER_SEC / NS_PER_US);
	}
	if (zone)
		*(uint64_t *)zone = 0;
	return 0;
}

USER_CODE int64_t user_time(int64_t *out)
{
	int64_t seconds = (int64_t)(read_clock(true) / NS_PER_SEC);

	if (out)
		*out = seconds;
	return seconds;
}
