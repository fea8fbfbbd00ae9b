/*
 * The throughput phase: K sandboxes, one thread each, as fast as they go for a fixed time; what it
 * takes to renew the instances is part of it. A thread touches only its own worker; the barrier
 * and the joins order everything else.
 */
#include <pthread.h>
#include <stdlib.h>

#include "bench.h"
#include "core/cleanup.h"

struct worker {
	const struct bench_args *args;
	pthread_barrier_t *barrier;
	pthread_t thread;
	uint64_t count;
	uint64_t elapsed_us;
	int rc;
};

static void work(struct worker *worker, psb_sandbox *sandbox)
{
	uint64_t start = now_us();
	uint64_t end = start + worker->args->duration_ms * 1000;

	do {
		psb_outcome *outcome;

		worker->rc = bench_execute(sandbox, worker->args, &outcome);
		if (worker->rc)
			return;
		psb_outcome_free(outcome);
		worker->count++;
	} while (now_us() < end);
	worker->elapsed_us = now_us() - start;
}

static void *worker_main(void *context)
{
	struct worker *worker = context;
	psb_sandbox *sandbox = NULL;

	worker->rc = bench_open(worker->args, &sandbox);
	(void)pthread_barrier_wait(worker->barrier);
	if (!worker->rc)
		work(worker, sandbox);
	psb_close(sandbox);
	return NULL;
}

static void start_all(struct worker *workers, const struct bench_args *args,
		      pthread_barrier_t *barrier)
{
	for (uint64_t i = 0; i < args->inflight; i++) {
		workers[i] = (struct worker){.args = args, .barrier = barrier};
		if (pthread_create(&workers[i].thread, NULL, worker_main, &workers[i])) {
			/* The others wait at the barrier for ever: nothing is left to do here. */
			complain("bench: cannot start %llu threads",
				 (unsigned long long)args->inflight);
			exit(CLI_FAILED);
		}
	}
}

int bench_throughput(const struct bench_args *args, double *per_second)
{
	auto_free struct worker *workers = calloc(args->inflight, sizeof(*workers));
	pthread_barrier_t barrier;
	int rc = 0;

	if (!workers || pthread_barrier_init(&barrier, NULL, (unsigned int)args->inflight)) {
		complain("bench: out of memory");
		return CLI_FAILED;
	}
	start_all(workers, args, &barrier);
	*per_second = 0;
	for (uint64_t i = 0; i < args->inflight; i++) {
		struct worker *worker = &workers[i];

		(void)pthread_join(worker->thread, NULL);
		if (worker->rc)
			rc = worker->rc;
		else
			*per_second += (double)worker->count * 1e6 / (double)worker->elapsed_us;
	}
	(void)pthread_barrier_destroy(&barrier);
	return rc;
}
