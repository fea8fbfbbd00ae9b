/*
 * On which processor an instance gets ready and dies: beside the host that will wake it, and away from
 * the host that waits for its end (core/place.h says why). What fails here changes speed only.
 * Trust: the host's wish is checked; the processes are the keeper's own children.
 */
#include <sched.h>

#include "engines/aside.h"
#include "keeper/keeper.h"

/* What it touches while it gets ready is then in the caches of the processor that will run it. The host
 * lets it go anywhere when it has been woken there. */
void slot_born_near(const struct keeper *keeper, uint32_t index)
{
	const struct slot *slot = &keeper->slots[index];
	int processor = keeper->birthplaces[index];
	cpu_set_t only;

	if (slot->scout || processor < 0 || processor >= CPU_SETSIZE ||
	    !CPU_ISSET((size_t)processor, &keeper->processors))
		return;
	CPU_ZERO(&only);
	CPU_SET((size_t)processor, &only);
	(void)sched_setaffinity(slot->guest_pid, sizeof(only), &only);
}

void slot_let_go(const struct keeper *keeper, uint32_t index)
{
	const struct slot *slot = &keeper->slots[index];

	if (keeper->birthplaces[index] >= 0)
		(void)sched_setaffinity(slot->guest_pid, sizeof(keeper->processors),
					&keeper->processors);
}

/* The host is about to wake on this processor, and what dies would be ahead of it: the kernel wakes
 * a killed process where it slept, and its exit takes longer than a small program. */
void slot_die_elsewhere(const struct keeper *keeper, const struct slot *slot)
{
	cpu_set_t others;

	if (!aside_others(&keeper->processors, &others))
		return;
	if (slot->init_pid != 0)
		(void)sched_setaffinity(slot->init_pid, sizeof(others), &others);
	if (slot->guest_pid != 0)
		(void)sched_setaffinity(slot->guest_pid, sizeof(others), &others);
}
