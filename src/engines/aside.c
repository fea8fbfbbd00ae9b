/*
 * Theory of operation: a set of processors without ours moves a child that waits behind us at once; with
 * the former set back it stays where it then is, as long as the kernel likes.
 * Trust boundary: none; it changes speed only.
 */
#include "engines/aside.h"

bool aside_others(const cpu_set_t *all, cpu_set_t *others)
{
	int here = sched_getcpu();

	if (here < 0 || here >= CPU_SETSIZE)
		return false;
	*others = *all;
	CPU_CLR((size_t)here, others);
	return CPU_COUNT(others) > 0;
}

static bool find_others(cpu_set_t *all, cpu_set_t *others)
{
	return sched_getaffinity(0, sizeof(*all), all) == 0 && aside_others(all, others);
}

void aside_send_of(const cpu_set_t *all, pid_t child)
{
	cpu_set_t others;

	if (aside_others(all, &others) && sched_setaffinity(child, sizeof(others), &others) == 0)
		(void)sched_setaffinity(child, sizeof(*all), all);
}

void aside_send(pid_t child)
{
	cpu_set_t all;

	if (sched_getaffinity(0, sizeof(all), &all) == 0)
		aside_send_of(&all, child);
}

void aside_send_thread(pthread_t thread)
{
	cpu_set_t all;
	cpu_set_t others;

	if (find_others(&all, &others) &&
	    pthread_setaffinity_np(thread, sizeof(others), &others) == 0)
		(void)pthread_setaffinity_np(thread, sizeof(all), &all);
}

void aside_roam(const cpu_set_t *before)
{
	(void)sched_setaffinity(0, sizeof(*before), before);
}

void aside_leave(const cpu_set_t *before)
{
	cpu_set_t others;

	aside_roam(aside_others(before, &others) ? &others : before);
}

void aside_go(const cpu_set_t *before)
{
	aside_leave(before);
	aside_roam(before);
}
