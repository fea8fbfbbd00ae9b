/* What an instance has used, read from its control group's open files. Both sides of the control
 * socket read them: the keeper, and the host where it ends a finished run by itself. */
#ifndef PSB_CGROUP_COUNTERS_H
#define PSB_CGROUP_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* From the start of the file, ended by a NUL. Returns the bytes read or -1, then text is "". */
ssize_t counter_text(int fd, char *text, size_t size);
/* The number after "key " at a line's start, 0 if there is none. */
uint64_t counter_keyed(const char *text, const char *key);

/* cpuacct.usage or, unified, cpu.stat. */
uint64_t counter_cpu_us(int fd, bool unified);
/* memory.max_usage_in_bytes or memory.peak; 0 for a descriptor of -1. */
uint64_t counter_peak_bytes(int fd);

/* The "max" of pids.events. */
uint64_t counter_refusals(int fd);

/* What is above the base, never below zero. */
static inline uint64_t counter_above(uint64_t total, uint64_t base)
{
	return total > base ? total - base : 0;
}

#endif
