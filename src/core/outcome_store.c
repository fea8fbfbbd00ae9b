/*
 * Theory of operation: an outcome has some kilobytes, and an allocator that maps such a block for itself
 * (musl's) would map and unmap it in every execution, which in a process with threads stops the
 * other processors. A few freed blocks are kept in places that are taken and filled by one atomic
 * step: no lock that a fork could find held. The application frees outcomes when and where it likes.
 * Trust: what an outcome said is wiped before its memory is kept.
 */
#include "core/outcome_store.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/outcome.h"

#define KEPT_OUTCOMES 4u

struct outcome_store {
	atomic_uint holders; /* the sandbox and every outcome */
	_Atomic(struct psb_outcome *) kept[KEPT_OUTCOMES];
};

struct outcome_store *outcome_store_new(void)
{
	struct outcome_store *store = calloc(1, sizeof(*store));

	if (store)
		atomic_init(&store->holders, 1);
	return store;
}

void outcome_store_drop(struct outcome_store *store)
{
	if (!store || atomic_fetch_sub(&store->holders, 1) != 1)
		return;
	for (size_t i = 0; i < KEPT_OUTCOMES; i++)
		free(atomic_load(&store->kept[i]));
	free(store);
}

static struct psb_outcome *take_kept(struct outcome_store *store)
{
	struct psb_outcome *outcome = NULL;

	for (size_t i = 0; store && !outcome && i < KEPT_OUTCOMES; i++)
		outcome = atomic_exchange(&store->kept[i], NULL);
	return outcome;
}

struct psb_outcome *outcome_store_take(struct outcome_store *store)
{
	struct psb_outcome *outcome = take_kept(store);

	if (!outcome)
		outcome = calloc(1, sizeof(*outcome));
	if (outcome && store) {
		atomic_fetch_add(&store->holders, 1);
		outcome->store = store;
	}
	return outcome;
}

void outcome_store_give(struct psb_outcome *outcome)
{
	struct outcome_store *store = outcome->store;

	memset(outcome, 0, sizeof(*outcome));
	for (size_t i = 0; store && outcome && i < KEPT_OUTCOMES; i++) {
		struct psb_outcome *none = NULL;

		if (atomic_compare_exchange_strong(&store->kept[i], &none, outcome))
			outcome = NULL;
	}
	free(outcome);
	outcome_store_drop(store);
}
