/*
 * The shared object that Linux puts into every process, ours: the C library finds the functions by
 * name and version (vdso(7)) and asks them for the time, which then costs no system call.
 * Theory of operation: the kernel publishes the clock's base; a thread that is preempted between
 * reads meets another sequence number and reads again. One processor: no fences.
 * Trust boundary: none. It runs as the program, on what the program could have changed.
 */
#include "clock.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define NS_PER_MICROSECOND UINT64_C(1000)
#define SYS_CLOCK_GETTIME 228
#define SYS_CLOCK_GETRES 229
#define WALL_CLOCKS 0x21u   /* a bit each: REALTIME, REALTIME_COARSE */
#define STEADY_CLOCKS 0xd2u /* MONOTONIC, _RAW, _COARSE, BOOTTIME */

struct time_pair {
	int64_t seconds;
	int64_t part; /* nanoseconds or microseconds */
};

int __vdso_clock_gettime(int clock, struct time_pair *time);
int __vdso_clock_getres(int clock, struct time_pair *resolution);
int __vdso_gettimeofday(struct time_pair *time, uint64_t *zone);
int64_t __vdso_time(int64_t *seconds);

static int ask_kernel(long number, int clock, struct time_pair *time)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"((long)clock), "S"(time)
			 : "rcx", "r11", "memory");
	return (int)result;
}

static uint64_t ticks(void)
{
	uint32_t low;
	uint32_t high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static uint64_t now_ns(int is_wall)
{
	const volatile struct published_clock *clock = (const void *)GUEST_CLOCK;
	uint64_t sequence;
	uint64_t passed;
	uint64_t ns;

	do {
		uint64_t now;

		sequence = clock->sequence;
		now = ticks();
		passed = now > clock->base_ticks ? now - clock->base_ticks : 0;
		ns = is_wall ? clock->wall_base_ns : clock->steady_base_ns;
		ns += (uint64_t)((unsigned __int128)passed * clock->multiplier >> 32);
	} while (sequence != clock->sequence);
	return ns;
}

int __vdso_clock_gettime(int clock, struct time_pair *time)
{
	uint32_t bit = (uint32_t)clock < 32 ? 1u << clock : 0;
	uint64_t ns;

	if (!(bit & (WALL_CLOCKS | STEADY_CLOCKS)))
		return ask_kernel(SYS_CLOCK_GETTIME, clock, time);
	ns = now_ns(bit & WALL_CLOCKS ? 1 : 0);
	time->seconds = (int64_t)(ns / NS_PER_SECOND);
	time->part = (int64_t)(ns % NS_PER_SECOND);
	return 0;
}

int __vdso_clock_getres(int clock, struct time_pair *resolution)
{
	return ask_kernel(SYS_CLOCK_GETRES, clock, resolution);
}

int __vdso_gettimeofday(struct time_pair *time, uint64_t *zone)
{
	uint64_t ns = now_ns(1);

	if (time) {
		time->seconds = (int64_t)(ns / NS_PER_SECOND);
		time->part = (int64_t)(ns % NS_PER_SECOND / NS_PER_MICROSECOND);
	}
	if (zone)
		*zone = 0;
	return 0;
}

int64_t __vdso_time(int64_t *seconds)
{
	int64_t now = (int64_t)(now_ns(1) / NS_PER_SECOND);

	if (seconds)
		*seconds = now;
	return now;
}
