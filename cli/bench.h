/* The two phases of `bench`. */
#ifndef PSB_CLI_BENCH_H
#define PSB_CLI_BENCH_H

#include "cli.h"

struct bench_args {
	struct psb_options options;
	struct psb_request request;
	const char *code;
	const char *input; /* NULL, JSON or @FILE */
	struct text input_text;
	const char *policy; /* NAME or FILE */
	struct text policy_text;
	const char *phase;
	uint64_t count;
	uint64_t inflight;
	uint64_t pool;
	uint64_t duration_ms; /* of the throughput phase */
	bool reference;
	bool json;
};

struct latency {
	char engine[16];
	uint64_t p50_us;
	uint64_t p90_us;
	uint64_t p99_us;
	uint64_t recycle_us;   /* median time from an outcome to a full pool */
	uint64_t reference_us; /* median of the reference; 0 if not asked for */
};

int bench_open(const struct bench_args *args, psb_sandbox **out);
int bench_execute(psb_sandbox *sandbox, const struct bench_args *args, psb_outcome **out);

int bench_latency(const struct bench_args *args, struct latency *out);
int bench_throughput(const struct bench_args *args, double *per_second);

#endif
