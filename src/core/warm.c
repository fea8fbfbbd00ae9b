/*
 * psb_warm(): waits for ready instances. Threads inside psb_execute() may take in the news of them;
 * they wake this one when there are more.
 */
#include <poll.h>

#include "core/error.h"
#include "core/task.h"

#define MAX_WAIT_MS UINT64_C(86400000)

/* 0 when enough are ready, PSB_E_BUSY when not yet, PSB_E_ENGINE when no engine is left. */
static int look_for_ready(struct psb_sandbox *sandbox, size_t wanted, struct psb_error *err)
{
	struct psb_error reason = {.message = ""};

	while (choose_engine(sandbox, err) == 0) {
		watch_template(sandbox, sandbox->ops, sandbox->tmpl);
		if (pool_ready(sandbox) >= wanted && !pool_has_news(sandbox))
			return 0;
		if (!pool_turn(sandbox, &reason) && !pool_fill(sandbox, &reason))
			return pool_ready(sandbox) >= wanted ? 0 : PSB_E_BUSY;
		choose_drop(sandbox, reason.message);
	}
	return PSB_E_ENGINE;
}

static int warm(struct psb_sandbox *sandbox, struct waiter *waiter, size_t wanted,
		uint64_t deadline_us, struct psb_error *err)
{
	struct pollfd fds[2];
	struct waiting waiting = {.fds = fds, .count = 1, .until_us = deadline_us};
	int error;

	while ((error = look_for_ready(sandbox, wanted, err)) == PSB_E_BUSY) {
		schedule_turn(sandbox); /* what was taken in may be for the queue */
		if (clock_us() >= deadline_us)
			return psb_fail(err, PSB_E_BUSY, 0,
					"%zu of %zu instances were ready in time",
					sandbox->ops ? pool_ready(sandbox) : 0, wanted);
		if (!sandbox->ops)
			continue;
		sandbox->ready_told = pool_ready(sandbox);
		fds[0] = (struct pollfd){.fd = sandbox->ops->template_fd(sandbox->tmpl),
					 .events = POLLIN};
		sandbox_wait(sandbox, waiter, &waiting);
	}
	return error;
}

int psb_warm(psb_sandbox *sandbox, uint32_t instances, uint64_t timeout_ms, struct psb_error *err)
{
	uint64_t wait_ms = timeout_ms < MAX_WAIT_MS ? timeout_ms : MAX_WAIT_MS;
	uint64_t deadline = clock_us() + wait_ms * 1000;
	struct waiter *waiter;
	int error;

	if (!sandbox)
		return psb_fail(err, PSB_E_INVALID, 0, "psb_warm: the sandbox is NULL");
	error = sandbox_lock(sandbox, err);
	if (error)
		return error;
	error = sandbox_waiter(sandbox, &waiter, err);
	if (!error) {
		choose_restart(sandbox);
		waiter->warming = true;
		sandbox->warming++;
		error = warm(sandbox, waiter,
			     instances < sandbox->pool_size ? instances : sandbox->pool_size,
			     deadline, err);
		sandbox->warming--;
		waiter->warming = false;
		waiter->taken = false;
	}
	sandbox_unlock(sandbox);
	return error;
}
