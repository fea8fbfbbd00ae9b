/*
 * Counting. Called at most twice per execution, with the sandbox's lock held: a few additions.
 */
#include "metrics/metrics.h"

#include <string.h>

const uint64_t histogram_bounds_us[HISTOGRAM_BUCKETS] = {
	100,    250,    500,     1000,    2500,    5000,     10000,    25000,    50000,    100000,
	250000, 500000, 1000000, 2500000, 5000000, 10000000, 20000000, 30000000, 60000000,
};

void histogram_add(struct histogram *histogram, uint64_t us)
{
	size_t low = 0;
	size_t high = HISTOGRAM_BUCKETS;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (us <= histogram_bounds_us[middle])
			high = middle;
		else
			low = middle + 1;
	}
	histogram->counts[low]++;
	histogram->sum_us += us;
}

void metrics_outcome(struct metrics *metrics, const struct psb_outcome *outcome)
{
	int status = outcome->verdict.status;

	if (status >= 0 && status < PSB_STATUS_COUNT)
		metrics->outcomes[status]++;
	for (size_t i = 0; i < outcome->denied_count; i++) {
		if (strcmp(outcome->denied[i].kind, "import") == 0)
			metrics->denied_imports++;
		else
			metrics->denied_syscalls++;
	}
	histogram_add(&metrics->queue, outcome->queue_us);
	if (!outcome->engine.name)
		return;
	histogram_add(&metrics->wall, outcome->wall_us);
	histogram_add(&metrics->cpu, outcome->cpu_us);
}

void metrics_refused(struct metrics *metrics, int code)
{
	if (code < 0 && code > -PSB_E_COUNT)
		metrics->refused[-code]++;
}
