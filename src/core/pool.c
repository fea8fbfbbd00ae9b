/*
 * The pool: instances that are being made or wait, ready. Taking one that is ready costs one system
 * call. Nothing here has run the caller's code yet, so a failure may be answered by another
 * instance or another engine.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/sandbox.h"

#define MAX_FAILURES 3u

static void pool_remove(struct psb_sandbox *sandbox, size_t index)
{
	sandbox->pool_count--;
	memmove(&sandbox->pool[index], &sandbox->pool[index + 1],
		(sandbox->pool_count - index) * sizeof(sandbox->pool[0]));
}

void pool_clear(struct psb_sandbox *sandbox)
{
	while (sandbox->pool_count > 0)
		sandbox->ops->recycle(sandbox->pool[--sandbox->pool_count]);
}

size_t pool_ready(const struct psb_sandbox *sandbox)
{
	size_t ready = 0;

	for (size_t i = 0; i < sandbox->pool_count; i++)
		ready += sandbox->ops->state(sandbox->pool[i]) == INSTANCE_READY;
	return ready;
}

struct engine_instance *pool_take(struct psb_sandbox *sandbox)
{
	for (size_t i = 0; i < sandbox->pool_count; i++) {
		struct engine_instance *instance = sandbox->pool[i];

		if (sandbox->ops->state(instance) != INSTANCE_READY)
			continue;
		pool_remove(sandbox, i);
		sandbox->proven = true;
		return instance;
	}
	return NULL;
}

int pool_fill(struct psb_sandbox *sandbox, struct psb_error *err)
{
	size_t wanted = sandbox->single_use ? 1 : sandbox->pool_size;

	while (sandbox->pool_count < wanted) {
		struct engine_instance *instance = NULL;
		int error = sandbox->ops->prepare(sandbox->tmpl, &instance, err);

		if (error == PSB_E_BUSY)
			return 0; /* no room yet: recycled ones are still being cleaned up */
		if (error)
			return error;
		sandbox->pool[sandbox->pool_count++] = instance;
	}
	return 0;
}

/* Frees the instances that failed on their way; PSB_E_ENGINE when too many did in a row. */
static int drop_failed(struct psb_sandbox *sandbox, struct psb_error *err)
{
	char why[400] = "";

	for (size_t i = 0; i < sandbox->pool_count;) {
		struct engine_instance *instance = sandbox->pool[i];
		enum instance_state state = sandbox->ops->state(instance);

		if (state == INSTANCE_READY)
			sandbox->pool_failures = 0;
		if (state == INSTANCE_READY || state == INSTANCE_PREPARING) {
			i++;
			continue;
		}
		pool_remove(sandbox, i);
		if (sandbox->ops->failure)
			(void)snprintf(why, sizeof(why), "%s", sandbox->ops->failure(instance));
		sandbox->ops->recycle(instance);
		sandbox->pool_failures++;
	}
	if (sandbox->pool_failures < MAX_FAILURES)
		return 0;
	return psb_fail(err, PSB_E_ENGINE, 0,
			"%u instances in a row ended before they were ready%s%s",
			sandbox->pool_failures, why[0] ? ": " : "", why);
}

/* One turn of an open engine: news, clean-up, refill. */
static int advance(struct psb_sandbox *sandbox, struct psb_error *err)
{
	int error = sandbox->ops->turn(sandbox->tmpl, err);

	if (!error)
		error = drop_failed(sandbox, err);
	if (!error)
		error = pool_fill(sandbox, err);
	return error;
}

static void sleep_until_news(struct psb_sandbox *sandbox, uint64_t left_us)
{
	struct pollfd fds[2] = {
		{.fd = sandbox->ops->template_fd(sandbox->tmpl), .events = POLLIN},
		{.fd = sandbox->wake_fd, .events = POLLIN},
	};
	uint64_t left_ms = left_us / 1000 + 1;

	if (poll(fds, 2, left_ms < 1000 ? (int)left_ms : 1000) > 0 && fds[1].revents != 0)
		sandbox_drain_wake(sandbox);
}

/* A keeper that was killed while everything was idle shows here, before its instances are used. */
static bool has_news(const struct psb_sandbox *sandbox)
{
	struct pollfd fd = {.fd = sandbox->ops->template_fd(sandbox->tmpl), .events = POLLIN};

	return poll(&fd, 1, 0) != 0;
}

int pool_wait(struct psb_sandbox *sandbox, size_t wanted, uint64_t deadline_us,
	      struct psb_error *err)
{
	for (;;) {
		struct psb_error reason = {.message = ""};
		uint64_t now;
		int error = choose_engine(sandbox, err);

		if (error)
			return error;
		if (pool_ready(sandbox) >= wanted && !has_news(sandbox))
			return 0;
		if (advance(sandbox, &reason)) {
			choose_drop(sandbox, reason.message);
			continue;
		}
		if (pool_ready(sandbox) >= wanted)
			return 0;
		now = clock_us();
		if (now >= deadline_us || atomic_load(&sandbox->run_state) == RUN_CANCELLED)
			return psb_fail(err, PSB_E_BUSY, 0,
					"%zu of %zu instances were ready in time",
					pool_ready(sandbox), wanted);
		sleep_until_news(sandbox, deadline_us - now);
	}
}
