/*
 * The pool: instances that are being made or wait, ready. Taking one that is ready costs no system
 * call. Nothing here has run the caller's code yet, so a failure may be answered by another
 * instance or another engine.
 */
#include <poll.h>
#include <stdio.h>
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

/* Beside a run that was placed here it would be in the way. */
static void recycle_spent(struct psb_sandbox *sandbox)
{
	const struct engine_ops *ops = sandbox->ops;

	while (sandbox->spent_count > 0) {
		struct engine_instance *instance = sandbox->spent[--sandbox->spent_count];

		if (sandbox->running_count > 0 && ops->process)
			place_elsewhere(&sandbox->place, ops->process(instance));
		ops->recycle(instance);
	}
}

void pool_spend(struct psb_sandbox *sandbox, struct engine_instance *instance)
{
	if (sandbox->spent_count == SANDBOX_MAX_POOL)
		recycle_spent(sandbox);
	sandbox->spent[sandbox->spent_count++] = instance;
}

void pool_clear(struct psb_sandbox *sandbox)
{
	recycle_spent(sandbox);
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

/* The first ready one, or one that is held to this processor. */
static size_t find_ready(const struct psb_sandbox *sandbox)
{
	const struct engine_ops *ops = sandbox->ops;
	size_t found = sandbox->pool_count;

	for (size_t i = sandbox->pool_count; i-- > 0;) {
		struct engine_instance *instance = sandbox->pool[i];

		if (ops->state(instance) != INSTANCE_READY)
			continue;
		found = i;
		if (ops->process && place_is_here(ops->process(instance)))
			break;
	}
	return found;
}

struct engine_instance *pool_take(struct psb_sandbox *sandbox)
{
	size_t index = find_ready(sandbox);
	struct engine_instance *instance;

	if (index == sandbox->pool_count)
		return NULL;
	instance = sandbox->pool[index];
	pool_remove(sandbox, index);
	sandbox->proven = true;
	return instance;
}

int pool_fill(struct psb_sandbox *sandbox, struct psb_error *err)
{
	size_t wanted = sandbox->single_use ? 1 : sandbox->pool_size;

	recycle_spent(sandbox);
	sandbox->refill_due = false;
	while (sandbox->pool_count < wanted) {
		struct engine_instance *instance = NULL;
		int error = sandbox->ops->prepare(sandbox->tmpl, place_next(&sandbox->place),
						  &instance, err);

		if (error == PSB_E_BUSY)
			return 0; /* no room yet: recycled ones are still being cleaned up */
		if (error)
			return error;
		sandbox->pool[sandbox->pool_count++] = instance;
	}
	return 0;
}

/* Why an instance failed, as its engine knows it; "" if it does not. */
static void note_failure(struct psb_sandbox *sandbox, const struct engine_instance *instance)
{
	const char *text = sandbox->ops->failure ? sandbox->ops->failure(instance) : "";

	sandbox->metrics.instances_failed++;
	(void)snprintf(sandbox->pool_failure, sizeof(sandbox->pool_failure), "%s", text);
	logger_say(&sandbox->logger, PSB_LOG_WARNING,
		   "engine %s: an instance ended before it was ready%s%s", sandbox->ops->name,
		   *text ? ": " : "", text);
}

/* Frees the instances that failed on their way; PSB_E_ENGINE when too many did in a row. */
static int drop_failed(struct psb_sandbox *sandbox, struct psb_error *err)
{
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
		note_failure(sandbox, instance);
		sandbox->ops->recycle(instance);
		sandbox->pool_failures++;
	}
	if (sandbox->pool_failures < MAX_FAILURES)
		return 0;
	return psb_fail(err, PSB_E_ENGINE, 0,
			"%u instances in a row ended before they were ready%s%s",
			sandbox->pool_failures, sandbox->pool_failure[0] ? ": " : "",
			sandbox->pool_failure);
}

/* Whoever makes something slow is not starving us. */
static void hear_progress(struct psb_sandbox *sandbox)
{
	const char *text = sandbox->ops->progress ? sandbox->ops->progress(sandbox->tmpl) : NULL;

	if (!text)
		return;
	sandbox->starved_us = 0;
	logger_progress(&sandbox->logger, sandbox->ops->name, text);
}

int pool_turn(struct psb_sandbox *sandbox, struct psb_error *err)
{
	int error = sandbox->ops->turn(sandbox->tmpl, err);

	hear_progress(sandbox);
	return error ? error : drop_failed(sandbox, err);
}

/* A keeper that was killed while everything was idle shows here, before its instances are used. */
bool pool_has_news(const struct psb_sandbox *sandbox)
{
	struct pollfd fd = {.fd = sandbox->ops->template_fd(sandbox->tmpl), .events = POLLIN};

	return poll(&fd, 1, 0) != 0;
}
