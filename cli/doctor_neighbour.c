/*
 * The neighbour: another execution, of a sandbox of its own on the same rung, that holds a secret
 * while the attacks run. Its thread waits in psb_execute(); the main thread cancels it at the end.
 * If it ended before, or was signalled, somebody reached it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"

#define READY_WAIT_US UINT64_C(60000000)
#define NEIGHBOUR_WALL_MS 600000u

static void on_output(void *context, int stream, const char *data, size_t len)
{
	struct neighbour *neighbour = context;

	if (stream != PSB_STDOUT || !data)
		return;
	if (memmem(data, len, "@ready", 6))
		atomic_store(&neighbour->ready, 1);
	if (memmem(data, len, "@signalled", 10))
		atomic_store(&neighbour->ready, 2);
}

static void *live(void *argument)
{
	struct neighbour *neighbour = argument;
	struct psb_request request;
	struct psb_error err = {0};
	psb_outcome *outcome;

	psb_request_init(&request);
	request.source = neighbour->source;
	request.source_len = strlen(neighbour->source);
	request.inputs = neighbour->inputs;
	request.inputs_len = strlen(neighbour->inputs);
	request.on_output = on_output;
	request.context = neighbour;
	neighbour->end.status = PSB_UNKNOWN;
	if (!psb_execute(neighbour->cage.sandbox, &request, &outcome, &err)) {
		neighbour->end.status = psb_outcome_status(outcome);
		neighbour->end.signal = psb_outcome_signal(outcome);
		psb_outcome_free(outcome);
	}
	atomic_store(&neighbour->over, 1);
	return NULL;
}

static int not_started(struct neighbour *neighbour)
{
	if (!neighbour->cage.reason[0])
		(void)snprintf(neighbour->cage.reason, sizeof(neighbour->cage.reason),
			       "the neighbour did not start: status %d", neighbour->end.status);
	cage_close(&neighbour->cage);
	free(neighbour->source);
	return -1;
}

int neighbour_start(struct neighbour *neighbour, const struct cage *like, char *source,
		    const char *inputs)
{
	uint64_t deadline = now_us() + READY_WAIT_US;
	const struct timespec nap = {.tv_nsec = 1000000};

	*neighbour = (struct neighbour){.source = source, .inputs = inputs};
	neighbour->cage = (struct cage){.pool_size = 1, .wall_ms = NEIGHBOUR_WALL_MS};
	memcpy(neighbour->cage.engine, like->engine, sizeof(like->engine));
	memcpy(neighbour->cage.rung, like->rung, sizeof(like->rung));
	if (cage_open(&neighbour->cage) ||
	    pthread_create(&neighbour->thread, NULL, live, neighbour))
		return not_started(neighbour);
	while (!atomic_load(&neighbour->ready) && !atomic_load(&neighbour->over) &&
	       now_us() < deadline)
		(void)nanosleep(&nap, NULL);
	neighbour->running = true;
	if (atomic_load(&neighbour->ready))
		return 0;
	psb_cancel_current(neighbour->cage.sandbox);
	(void)pthread_join(neighbour->thread, NULL);
	return not_started(neighbour);
}

static void judge_end(const struct neighbour *neighbour, struct judge *judge)
{
	const char *name = psb_status_name(neighbour->end.status);
	bool signalled = atomic_load(&neighbour->ready) == 2;
	char text[96];

	(void)snprintf(text, sizeof(text), "another execution %s (status %s)",
		       signalled ? "was signalled" : "was ended", name ? name : "?");
	if (!signalled && neighbour->end.status == PSB_TIMEOUT)
		judge_untested(judge, "neighbour", "the attacks took longer than it may run");
	else if (signalled || neighbour->end.status != PSB_CANCELLED)
		judge_effect(judge, "neighbour", "signals", text);
}

void neighbour_end(struct neighbour *neighbour, struct judge *judge)
{
	if (!neighbour->running)
		return;
	psb_cancel_current(neighbour->cage.sandbox);
	(void)pthread_join(neighbour->thread, NULL);
	if (judge)
		judge_end(neighbour, judge);
	cage_close(&neighbour->cage);
	free(neighbour->source);
	neighbour->running = false;
}
