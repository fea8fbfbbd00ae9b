/*
 * Theory of operation: sched_setaffinity() before a wake-up, and again behind it. A process that is
 * queued on a processor which its new set allows stays there.
 * Trust: the pidfd is an engine's own process. Its number is only used while the kernel still says
 * that it is that process; numbers are given in turn, so it is nobody else's a moment later.
 */
#include "core/place.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "host_probe/procfs.h"

#define MOST_MISSES 3u
#define RETRY_AFTER 32u
#define WAITED_US 100u

/* struct pidfd_info and PIDFD_GET_INFO of <linux/pidfd.h>, since Linux 6.13. */
struct pidfd_answer {
	uint64_t mask;
	uint64_t cgroup;
	uint32_t pid;
	uint32_t rest[11];
};
#define PIDFD_ASK _IOWR(0xFF, 11, struct pidfd_answer)

/* 0: it is dead and reaped, or not in our namespace. */
static pid_t number_of(int pidfd)
{
	struct pidfd_answer answer = {.mask = 0};

	if (ioctl(pidfd, PIDFD_ASK, &answer) == 0)
		return (pid_t)answer.pid;
	return procfs_of_pidfd(pidfd);
}

void place_learn(struct place *place)
{
	place->useful = sched_getaffinity(0, sizeof(place->allowed), &place->allowed) == 0 &&
			CPU_COUNT(&place->allowed) > 1;
	place->misses = place->skipped = 0;
}

/* The processor that we are on, and the set of it alone; -1: not known. */
static int only_here(cpu_set_t *set)
{
	int here = sched_getcpu();

	CPU_ZERO(set);
	if (here < 0 || here >= CPU_SETSIZE)
		return -1;
	CPU_SET((size_t)here, set);
	return here;
}

static bool hold(pid_t pid, const cpu_set_t *where)
{
	return pid > 0 && sched_setaffinity(pid, sizeof(*where), where) == 0;
}

int place_next(const struct place *place)
{
	return place->useful && place->in_use && place->misses < MOST_MISSES ? sched_getcpu() : -1;
}

bool place_is_here(const struct placed *placed)
{
	return placed->processor >= 0 && placed->processor == sched_getcpu();
}

bool place_here(struct place *place, struct placed *placed)
{
	cpu_set_t only;
	int here = only_here(&only);
	pid_t pid;

	if (!place->useful || placed->pidfd < 0 || here < 0 ||
	    !CPU_ISSET((size_t)here, &place->allowed))
		return false;
	if (placed->held && placed->processor == here)
		return true;
	pid = number_of(placed->pidfd);
	placed->held = hold(pid, &only);
	placed->processor = here;
	place->useful = placed->held || pid == 0; /* whom we may not hold we need not try again */
	return placed->held;
}

void place_elsewhere(const struct place *place, struct placed *placed)
{
	cpu_set_t others = place->allowed;

	if (!placed->held || !place_is_here(placed))
		return;
	CPU_CLR((size_t)placed->processor, &others);
	(void)hold(number_of(placed->pidfd), &others);
	placed->processor = -1;
}

void place_anywhere(const struct place *place, struct placed *placed)
{
	if (placed->held)
		(void)hold(number_of(placed->pidfd), &place->allowed);
	placed->held = false;
	if (!placed->sees)
		placed->processor = -1;
}

void place_threads_anywhere(const struct place *place, struct placed *placed)
{
	pid_t pid = placed->held ? number_of(placed->pidfd) : 0;
	const struct dirent *entry;
	char path[48];
	DIR *threads = NULL;

	place_anywhere(place, placed);
	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	if (pid > 0 && procfs_is_ours())
		threads = opendir(path);
	while (threads && (entry = readdir(threads)))
		(void)hold((pid_t)strtol(entry->d_name, NULL, 10), &place->allowed);
	if (threads)
		(void)closedir(threads);
}

bool place_pays(struct place *place)
{
	if (place->misses < MOST_MISSES)
		return place->useful;
	place->skipped = (uint8_t)((place->skipped + 1) % RETRY_AFTER);
	return place->useful && place->skipped == 0;
}

void place_judge(struct place *place, uint64_t wall_us, uint64_t cpu_us)
{
	if (wall_us < cpu_us + cpu_us / 4 + WAITED_US)
		place->misses = 0;
	else if (place->misses < MOST_MISSES)
		place->misses++;
}

bool place_stay(struct place_stay *stay)
{
	return only_here(&stay->now) >= 0 &&
	       sched_getaffinity(0, sizeof(stay->before), &stay->before) == 0 &&
	       sched_setaffinity(0, sizeof(stay->now), &stay->now) == 0;
}

/* Another thread may have given this one another set meanwhile: that one stands. */
void place_leave(const struct place_stay *stay)
{
	cpu_set_t found;

	if (sched_getaffinity(0, sizeof(found), &found) == 0 && CPU_EQUAL(&found, &stay->now))
		(void)sched_setaffinity(0, sizeof(stay->before), &stay->before);
}
