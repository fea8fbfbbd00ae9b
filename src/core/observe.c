/*
 * psb_metrics(): a consistent look at each sandbox in turn, then the text. Nothing is counted here
 * and nothing waits: a sandbox's lock is held for the copy only.
 */
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/error.h"
#include "core/task.h"

#define MOST_SANDBOXES 4096u
#define TEXT_BYTES_PER_SANDBOX (64u << 10)

static uint64_t count_queued(const struct psb_sandbox *sandbox)
{
	const struct task *task;
	uint64_t count = 0;

	TAILQ_FOREACH(task, &sandbox->queue, link)
	count++;
	return count;
}

static int look(struct psb_sandbox *sandbox, struct metrics_view *view, struct psb_error *err)
{
	int error = sandbox_lock(sandbox, err);

	if (error)
		return error;
	*view = (struct metrics_view){
		.metrics = sandbox->metrics,
		.audit = audit_counts(sandbox->audit),
		.tenant = sandbox->tenant,
		.engine = sandbox->ops ? sandbox->ops->name : NULL,
		.level = sandbox->ops ? sandbox->plan.level : 0,
		.pool_size = sandbox->pool_size,
		.ready = sandbox->ops ? pool_ready(sandbox) : 0,
		.running = sandbox->running_count,
		.queued = count_queued(sandbox),
	};
	sandbox_unlock(sandbox);
	return 0;
}

static int give(const struct buffer *page, char *text, size_t size, size_t *needed,
		struct psb_error *err)
{
	if (needed)
		*needed = page->len + 1;
	if (!text || size < page->len + 1)
		return psb_fail(err, PSB_E_TOO_LARGE, 0,
				"psb_metrics: the text takes %zu bytes, there are %zu; ask again "
				"with more",
				page->len + 1, text ? size : 0);
	memcpy(text, buffer_text(page), page->len + 1);
	return 0;
}

static int render(const struct metrics_view *views, size_t count, char *text, size_t size,
		  size_t *needed, struct psb_error *err)
{
	struct buffer page;
	int error;

	buffer_init(&page, (count + 1) * TEXT_BYTES_PER_SANDBOX);
	error = metrics_render(views, count, &page);
	if (error)
		error = psb_fail(err, error, 0, "psb_metrics: %s", psb_error_text(error));
	else
		error = give(&page, text, size, needed, err);
	buffer_free(&page);
	return error;
}

int psb_metrics(psb_sandbox *const *sandboxes, size_t count, char *text, size_t size,
		size_t *needed, struct psb_error *err)
{
	auto_free struct metrics_view *views = NULL;
	int error = 0;

	if (!sandboxes || count == 0 || count > MOST_SANDBOXES)
		return psb_fail(err, PSB_E_INVALID, 0,
				"psb_metrics: no sandboxes, or their number %zu is not 1 to %u",
				count, MOST_SANDBOXES);
	views = calloc(count, sizeof(*views));
	if (!views)
		return psb_fail(err, PSB_E_MEMORY, 0, "psb_metrics: out of memory");
	for (size_t i = 0; i < count && !error; i++) {
		if (!sandboxes[i])
			return psb_fail(err, PSB_E_INVALID, 0, "psb_metrics: sandbox %zu is NULL",
					i);
		error = look(sandboxes[i], &views[i], err);
	}
	return error ? error : render(views, count, text, size, needed, err);
}
