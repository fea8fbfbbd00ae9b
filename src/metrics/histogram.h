/* A histogram of times with fixed buckets, 100 us to 60 s. Not locked. */
#ifndef PSB_METRICS_HISTOGRAM_H
#define PSB_METRICS_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BUCKETS 19u

struct histogram {
	uint64_t counts[HISTOGRAM_BUCKETS + 1]; /* the last: longer than all */
	uint64_t sum_us;
};

extern const uint64_t histogram_bounds_us[HISTOGRAM_BUCKETS]; /* inclusive, ascending */

void histogram_add(struct histogram *histogram, uint64_t us);

#endif
