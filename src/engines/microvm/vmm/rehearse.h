/* A run into the void, to learn which pages every execution writes. */
#ifndef PSB_VMM_REHEARSE_H
#define PSB_VMM_REHEARSE_H

#include "worker.h"

/* What a rehearsal found: pages of the snapshot's memory, by address. */
struct rehearsal_report {
	uint32_t hot_count;
	struct snapshot_range hot[SNAPSHOT_MAX_HOT];
};

/* Of a worker that can be reset. Encode it early: the jail lets nobody allocate. */
int rehearsal_encode(struct worker *worker, struct psb_error *err);
int rehearse(struct worker *worker);
void rehearsal_list(const struct worker *worker, struct rehearsal_report *report);

#endif
