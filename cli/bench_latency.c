/*
 * The latency phase: the pool is full and the machine quiet when the clock starts, and the clock
 * stops when the outcome is in our hands. The reference, a bare interpreter from spawn to exit in
 * an empty environment, alternates with the runs so that both see the same machine.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "bench.h"
#include "core/cleanup.h"

#define WARM_UP_RUNS 20u
#define REFERENCE_EVERY 10u

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* `count` is at least 1; the array is sorted. */
static uint64_t percentile(const uint64_t *sorted, uint64_t count, unsigned int percent)
{
	return sorted[(count - 1) * percent / 100];
}

static int reference_once(uint64_t *out)
{
	static char *const empty[] = {NULL};
	char words[5][8] = {"python3", "-I", "-S", "-c", "pass"};
	char *const argv[] = {words[0], words[1], words[2], words[3], words[4], NULL};
	uint64_t start = now_us();
	int status = -1;
	pid_t pid;
	int rc = posix_spawn(&pid, "/usr/bin/python3", NULL, NULL, argv, empty);

	if (!rc && waitpid(pid, &status, 0) < 0)
		rc = errno;
	*out = now_us() - start;
	if (rc || status)
		complain("bench: /usr/bin/python3 -I -S -c pass failed");
	return rc || status ? CLI_FAILED : 0;
}

struct samples {
	uint64_t *run;
	uint64_t *recycle;
	uint64_t *reference;
	uint64_t reference_count;
};

/* One run and the refill after it. */
static int measure(psb_sandbox *sandbox, const struct bench_args *args, struct latency *latency,
		   uint64_t *run, uint64_t *recycle)
{
	struct psb_error err = {0};
	psb_outcome *outcome;
	uint64_t start = now_us();
	uint64_t end;
	int rc = bench_execute(sandbox, args, &outcome);

	if (rc)
		return rc;
	end = now_us();
	(void)snprintf(latency->engine, sizeof(latency->engine), "%s", psb_outcome_engine(outcome));
	psb_outcome_free(outcome);
	if (psb_warm(sandbox, (uint32_t)args->pool, PROGRESS_WAIT_MS, &err))
		return call_failed(&err);
	*run = end - start;
	*recycle = now_us() - end;
	return 0;
}

static int collect(psb_sandbox *sandbox, const struct bench_args *args, struct latency *latency,
		   struct samples *samples)
{
	int rc = 0;

	for (uint64_t i = 0; i < WARM_UP_RUNS && !rc; i++)
		rc = measure(sandbox, args, latency, &samples->run[0], &samples->recycle[0]);
	for (uint64_t i = 0; i < args->count && !rc; i++) {
		if (args->reference && i % REFERENCE_EVERY == 0)
			rc = reference_once(&samples->reference[samples->reference_count++]);
		if (!rc)
			rc = measure(sandbox, args, latency, &samples->run[i],
				     &samples->recycle[i]);
	}
	return rc;
}

static void summarise(const struct bench_args *args, struct samples *samples, struct latency *out)
{
	qsort(samples->run, args->count, sizeof(uint64_t), compare);
	qsort(samples->recycle, args->count, sizeof(uint64_t), compare);
	qsort(samples->reference, samples->reference_count, sizeof(uint64_t), compare);
	out->p50_us = percentile(samples->run, args->count, 50);
	out->p90_us = percentile(samples->run, args->count, 90);
	out->p99_us = percentile(samples->run, args->count, 99);
	out->recycle_us = percentile(samples->recycle, args->count, 50);
	if (samples->reference_count)
		out->reference_us = percentile(samples->reference, samples->reference_count, 50);
}

int bench_latency(const struct bench_args *args, struct latency *out)
{
	auto_free uint64_t *run = calloc(args->count, sizeof(*run));
	auto_free uint64_t *recycle = calloc(args->count, sizeof(*recycle));
	auto_free uint64_t *reference = calloc(args->count, sizeof(*reference));
	struct samples samples = {run, recycle, reference, 0};
	psb_sandbox *sandbox;
	int rc;

	if (!run || !recycle || !reference) {
		complain("bench: out of memory");
		return CLI_FAILED;
	}
	rc = bench_open(args, &sandbox);
	if (rc)
		return rc;
	rc = collect(sandbox, args, out, &samples);
	if (!rc)
		summarise(args, &samples, out);
	psb_close(sandbox);
	return rc;
}
