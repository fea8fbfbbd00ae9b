/*
 * Memory of outcomes that were freed, for those of a sandbox's next executions. An outcome may outlive
 * its sandbox, so each holds the store; who lets go last frees it. Any thread.
 */
#ifndef PSB_CORE_OUTCOME_STORE_H
#define PSB_CORE_OUTCOME_STORE_H

struct psb_outcome;
struct outcome_store;

/* Held by the caller. NULL when out of memory, which all of these take for "no store". */
struct outcome_store *outcome_store_new(void);
void outcome_store_drop(struct outcome_store *store);

/* All zero, but that it holds the store. NULL when out of memory. */
struct psb_outcome *outcome_store_take(struct outcome_store *store);
/* Of one that has nothing any more: wipes it, and keeps or frees it. */
void outcome_store_give(struct psb_outcome *outcome);

#endif
