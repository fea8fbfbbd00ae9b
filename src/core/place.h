/*
 * Which processor answers. To wake a process on another, idle processor and to be woken from there
 * takes longer than a tiny execution; on the waiting thread's own it costs next to nothing. The
 * kernel prefers the idle one. So a thread that has nothing to do but wait has its request taken up
 * where it stands, and stays there for a moment. Only the wake-ups are directed: a guest may run
 * wherever it might before it has run its first instruction.
 */
#ifndef PSB_CORE_PLACE_H
#define PSB_CORE_PLACE_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

/* Where the processes of an engine may run: where the thread might that started them. */
struct place {
	bool useful; /* there is a choice, and it can be made */
	bool in_use; /* the last one was placed */
	uint8_t misses;
	uint8_t skipped;
	cpu_set_t allowed;
};

/* A process that takes requests. `sees` if what runs in it could tell its processors: then it is
 * held to one for a wake-up only, else until place_anywhere(). */
struct placed {
	int pidfd; /* -1: not known */
	bool sees;
	bool held;
	int processor; /* where its memory is at hand; -1: not known */
};

void place_learn(struct place *place);

/* Is it worth while? Not where guests lately had to wait for their processor. */
bool place_pays(struct place *place);
void place_judge(struct place *place, uint64_t wall_us, uint64_t cpu_us);

/* Where the next instance will be wanted; -1: no matter. */
int place_next(const struct place *place);
bool place_is_here(const struct placed *placed); /* its memory is at hand */

/* From now on it is woken on the calling thread's processor. False: it is woken anywhere. */
bool place_here(struct place *place, struct placed *placed);
/* From now on it is woken on another one, if it was held here. */
void place_elsewhere(const struct place *place, struct placed *placed);
void place_anywhere(const struct place *place, struct placed *placed);
/* The same for one that has had time to make threads, which are held with it. */
void place_threads_anywhere(const struct place *place, struct placed *placed);

/* Between these two the calling thread is woken where it is. False: it was not possible. */
struct place_stay {
	cpu_set_t before;
	cpu_set_t now;
};
bool place_stay(struct place_stay *stay);
void place_leave(const struct place_stay *stay);

#endif
