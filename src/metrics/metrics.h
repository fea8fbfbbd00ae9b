/*
 * What a sandbox counts, and its text in Prometheus' exposition format 0.0.4. Plain numbers: the
 * sandbox's lock guards them.
 */
#ifndef PSB_METRICS_H
#define PSB_METRICS_H

#include "audit/audit.h"
#include "core/outcome.h"
#include "metrics/histogram.h"

struct metrics {
	uint64_t outcomes[PSB_STATUS_COUNT];
	uint64_t refused[PSB_E_COUNT]; /* by -code */
	uint64_t denied_imports;
	uint64_t denied_syscalls;
	uint64_t fallbacks;
	uint64_t instances_failed;
	struct histogram wall;
	struct histogram cpu;
	struct histogram queue;
};

void metrics_outcome(struct metrics *metrics, const struct psb_outcome *outcome);
void metrics_refused(struct metrics *metrics, int code);

/* What a moment looks like: the counters and the state that only the sandbox knows. */
struct metrics_view {
	struct metrics metrics;
	struct audit_counts audit;
	const char *tenant;
	const char *engine; /* NULL: none is open */
	int level;
	uint64_t pool_size;
	uint64_t ready;
	uint64_t running;
	uint64_t queued;
};

/* Each family once, with the samples of all views; the label `sandbox` is a view's index. */
int metrics_render(const struct metrics_view *views, size_t count, struct buffer *out);

#endif
