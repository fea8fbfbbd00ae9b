/*
 * A sandbox handle's life: open and close. All strings of the options are copied here;
 * nothing of the caller's is kept. A handle belongs to the process that opened it: after a fork
 * the child's copy refuses work (before it asks for the lock, which another thread of the parent
 * may have held), and closing it closes the child's descriptors and frees memory, without a word to
 * the parent's keeper.
 */
#include "core/sandbox.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/error.h"
#include "core/libexec.h"
#include "core/options.h"
#include "core/registry.h"
#include "core/task.h"

#define STANDARD_PYTHON "/usr/bin/python3"
#define MAX_PATH_BYTES 4095u
#define MAX_WAIT_MS UINT64_C(86400000)
#define MAX_TENANT_BYTES 255u
#define STANDARD_QUEUE 1024u
#define MAX_QUEUE 1000000u

void psb_options_init(struct psb_options *options)
{
	memset(options, 0, sizeof(*options));
	options->size = sizeof(*options);
}

/* NULL and "" both mean the default, which may be NULL. */
static int copy_text(const char *what, const char *text, size_t max, const char *standard,
		     char **out, struct psb_error *err)
{
	int error = 0;

	if (!text || !*text)
		text = standard;
	if (!text)
		return 0;
	error = options_check_text(what, text, max, err);
	if (error)
		return error;
	*out = strdup(text);
	return *out ? 0 : psb_fail(err, PSB_E_MEMORY, 0, "%s: out of memory", what);
}

static int copy_texts(struct psb_sandbox *sandbox, const struct psb_options *options,
		      struct psb_error *err)
{
	const char *engine = options->engine;
	int error;

	if (engine && strcmp(engine, "auto") == 0)
		engine = NULL;
	error = copy_text("engine", engine, 15, NULL, &sandbox->engine_wish, err);
	if (!error)
		error = copy_text("rung", options->rung, 7, NULL, &sandbox->rung, err);
	if (!error)
		error = copy_text("python", options->python, MAX_PATH_BYTES, STANDARD_PYTHON,
				  &sandbox->python, err);
	if (!error)
		error = copy_text("preload", options->preload, 1024, "", &sandbox->preload, err);
	if (!error)
		error = copy_text("tenant", options->tenant, MAX_TENANT_BYTES, "default",
				  &sandbox->tenant, err);
	if (error)
		return error;
	sandbox->libexec = libexec_find(options->libexec);
	return sandbox->libexec ? 0 : psb_fail(err, PSB_E_MEMORY, 0, "libexec: out of memory");
}

static int check_python(const char *path, struct psb_error *err)
{
	if (path[0] != '/')
		return psb_fail(err, PSB_E_INVALID, 0, "python: \"%s\" is not an absolute path",
				path);
	if (access(path, X_OK) != 0)
		return psb_fail(err, PSB_E_NOT_FOUND, errno,
				"python: \"%s\" cannot be run; install it or name another", path);
	return 0;
}

static uint32_t cpu_count(void)
{
	cpu_set_t set;
	int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return count > 0 ? (uint32_t)count : 1;
}

static int copy_numbers(struct psb_sandbox *sandbox, const struct psb_options *options,
			struct psb_error *err)
{
	uint32_t cpus = cpu_count();

	if (options->pool_size > SANDBOX_MAX_POOL)
		return psb_fail(err, PSB_E_INVALID, 0, "pool_size: %u is more than %u",
				options->pool_size, SANDBOX_MAX_POOL);
	if (options->single_use > 1)
		return psb_fail(err, PSB_E_INVALID, 0, "single_use: %u is neither 0 nor 1",
				options->single_use);
	if (options->queue_length > MAX_QUEUE)
		return psb_fail(err, PSB_E_INVALID, 0, "queue_length: %u is more than %u",
				options->queue_length, MAX_QUEUE);
	if (options->queue_timeout_ms > MAX_WAIT_MS)
		return psb_fail(err, PSB_E_INVALID, 0, "queue_timeout_ms: %llu is more than %llu",
				(unsigned long long)options->queue_timeout_ms,
				(unsigned long long)MAX_WAIT_MS);
	sandbox->single_use = options->single_use == 1;
	sandbox->pool_size = options->pool_size ? options->pool_size : 2 * cpus;
	if (sandbox->pool_size > SANDBOX_MAX_POOL)
		sandbox->pool_size = SANDBOX_MAX_POOL;
	if (sandbox->single_use)
		sandbox->pool_size = 1;
	sandbox->queue_length = options->queue_length ? options->queue_length : STANDARD_QUEUE;
	sandbox->queue_timeout_us = options->queue_timeout_ms * 1000;
	return 0;
}

static int copy_options(struct psb_sandbox *sandbox, const struct psb_options *options,
			struct psb_error *err)
{
	int error = copy_numbers(sandbox, options, err);

	if (!error)
		error = copy_texts(sandbox, options, err);
	if (!error)
		error = check_python(sandbox->python, err);
	if (!error)
		error = policy_open(options, &sandbox->policy, &sandbox->limits, err);
	if (!error && job_prepare(sandbox))
		error = psb_fail(err, PSB_E_MEMORY, 0, "policy: no memory for its import list");
	return error;
}

/* An engine that cannot start is no error of the call: psb_execute() reports it. */
static void start_engine(struct psb_sandbox *sandbox)
{
	struct psb_error reason = {.message = ""};

	while (choose_engine(sandbox, &reason) == 0) {
		if (pool_fill(sandbox, &reason) == 0)
			return;
		choose_drop(sandbox, reason.message);
	}
}

static int set_logger(struct psb_sandbox *sandbox, const struct psb_options *options,
		      struct psb_error *err)
{
	if (options->log_level > PSB_LOG_DEBUG)
		return psb_fail(err, PSB_E_INVALID, 0,
				"log_level: %u is no value of enum psb_log_level",
				options->log_level);
	sandbox->logger.say = options->log;
	sandbox->logger.context = options->log_context;
	sandbox->logger.progress = options->progress;
	sandbox->logger.progress_context = options->progress_context;
	sandbox->logger.level = options->log_level ? options->log_level : PSB_LOG_INFO;
	return 0;
}

/* First of all, so that whatever else is wrong with the call can be recorded. */
static int open_audit(struct psb_sandbox *sandbox, const struct psb_options *options,
		      struct psb_error *err)
{
	const char *tenant = options->tenant && *options->tenant ? options->tenant : "default";
	int error = options_check_text("tenant", tenant, MAX_TENANT_BYTES, err);

	if (error)
		return error;
	return audit_open(options->audit, tenant, &sandbox->logger, &sandbox->audit, err);
}

static int build(struct psb_sandbox *sandbox, const struct psb_options *options,
		 struct psb_error *err)
{
	struct psb_options copy;
	int error = 0;

	psb_options_init(&copy);
	if (options)
		error = options_copy("struct psb_options", options, options->size, &copy,
				     sizeof(copy), err);
	if (!error)
		error = set_logger(sandbox, &copy, err);
	if (!error)
		error = open_audit(sandbox, &copy, err);
	if (!error)
		error = copy_options(sandbox, &copy, err);
	if (error)
		return error;
	audit_set_policy(sandbox->audit, sandbox->policy.name, sandbox->policy.sha256);
	return choose_candidates(sandbox, err);
}

static struct psb_sandbox *new_sandbox(const struct engine_ops *const *engines)
{
	struct psb_sandbox *sandbox = calloc(1, sizeof(*sandbox));

	if (!sandbox || pthread_mutex_init(&sandbox->lock, NULL) != 0 ||
	    logger_init(&sandbox->logger) != 0) {
		free(sandbox);
		return NULL;
	}
	sandbox->owner = getpid();
	sandbox->engines = engines;
	atomic_init(&sandbox->cancels, 0);
	atomic_init(&sandbox->waiters, NULL);
	atomic_init(&sandbox->spare, NULL);
	sandbox->outcomes = outcome_store_new();
	TAILQ_INIT(&sandbox->queue);
	TAILQ_INIT(&sandbox->running);
	TAILQ_INIT(&sandbox->done);
	watch_init(&sandbox->watch);
	return sandbox;
}

int sandbox_plan_with(const struct psb_options *options, const struct engine_ops *const *engines,
		      psb_sandbox **out, struct psb_error *err)
{
	struct psb_error reason = {.message = ""};
	struct psb_sandbox *sandbox;
	int error;

	if (!out)
		return psb_fail(err, PSB_E_INVALID, 0, "psb_open: `out` is NULL");
	sandbox = new_sandbox(engines);
	if (!sandbox)
		return psb_fail(err, PSB_E_MEMORY, 0, "sandbox: out of memory");
	error = build(sandbox, options, &reason);
	if (error) {
		(void)sandbox_refuse(sandbox, "psb_open", NULL, &reason, err);
		psb_close(sandbox);
		return error;
	}
	logger_flush(&sandbox->logger);
	*out = sandbox;
	return 0;
}

/* The struct may be older than its tag. */
static const char *tag_of(const struct psb_request *request)
{
	size_t end = offsetof(struct psb_request, tag) + sizeof(request->tag);

	return request && request->size >= end ? request->tag : NULL;
}

int sandbox_refuse(struct psb_sandbox *sandbox, const char *call, const struct psb_request *request,
		   const struct psb_error *reason, struct psb_error *err)
{
	sandbox_relock(sandbox);
	metrics_refused(&sandbox->metrics, reason->code);
	audit_refused(sandbox->audit, call, tag_of(request), reason);
	logger_say(&sandbox->logger, PSB_LOG_INFO, "%s is refused: %s", call, reason->message);
	sandbox_unlock(sandbox);
	if (err)
		*err = *reason;
	return reason->code;
}

int sandbox_open_with(const struct psb_options *options, const struct engine_ops *const *engines,
		      psb_sandbox **out, struct psb_error *err)
{
	int error = sandbox_plan_with(options, engines, out, err);

	if (error)
		return error;
	start_engine(*out);
	logger_flush(&(*out)->logger);
	return 0;
}

int psb_open(const struct psb_options *options, psb_sandbox **out, struct psb_error *err)
{
	return sandbox_open_with(options, registry_engines, out, err);
}

/* The owner's close: kills what runs. */
static void end_all(struct psb_sandbox *sandbox)
{
	struct task_list *const lists[] = {&sandbox->queue, &sandbox->running, &sandbox->done};
	struct task *task;

	for (size_t i = 0; i < 3; i++) {
		while ((task = TAILQ_FIRST(lists[i]))) {
			task_abort(sandbox, task);
			task_free(task);
		}
	}
	if (!sandbox->ops)
		return;
	pool_clear(sandbox);
	schedule_release(sandbox, sandbox->ops, sandbox->tmpl);
}

static void abandon(const struct engine_ops *ops, struct engine_template *tmpl)
{
	if (ops->template_abandon)
		ops->template_abandon(tmpl);
}

static void abandon_templates(struct psb_sandbox *sandbox)
{
	struct task *task;
	struct task *other;

	TAILQ_FOREACH(task, &sandbox->running, link)
	{
		if (!task->tmpl || task->tmpl == sandbox->tmpl)
			continue;
		abandon(task->ops, task->tmpl);
		for (other = TAILQ_NEXT(task, link); other; other = TAILQ_NEXT(other, link))
			if (other->tmpl == task->tmpl)
				other->tmpl = NULL;
	}
	if (sandbox->ops)
		abandon(sandbox->ops, sandbox->tmpl);
}

/* A forked child's close. Only when the lock was free at the fork is everything behind it whole;
 * else it is left alone. */
static void forget_all(struct psb_sandbox *sandbox)
{
	struct task_list *const lists[] = {&sandbox->queue, &sandbox->running, &sandbox->done};
	struct task *task;

	abandon_templates(sandbox);
	for (size_t i = 0; i < 3; i++) {
		while ((task = TAILQ_FIRST(lists[i]))) {
			TAILQ_REMOVE(lists[i], task, link);
			task_free(task);
		}
	}
}

static void free_waiters(struct psb_sandbox *sandbox)
{
	struct waiter *waiter = atomic_load(&sandbox->waiters);

	while (waiter) {
		struct waiter *next = waiter->next;

		close_fd(&waiter->fd);
		free(waiter);
		waiter = next;
	}
}

void psb_close(psb_sandbox *sandbox)
{
	if (!sandbox)
		return;
	if (sandbox->owner == getpid())
		end_all(sandbox);
	else if (pthread_mutex_trylock(&sandbox->lock) == 0)
		forget_all(sandbox);
	else
		return;
	watch_close(&sandbox->watch);
	free_waiters(sandbox);
	task_free(atomic_load(&sandbox->spare));
	outcome_store_drop(sandbox->outcomes);
	if (sandbox->owner == getpid())
		logger_flush(&sandbox->logger);
	logger_free(&sandbox->logger);
	audit_close(sandbox->audit);
	policy_free(&sandbox->policy);
	free(sandbox->engine_wish);
	free(sandbox->rung);
	free(sandbox->python);
	free(sandbox->preload);
	buffer_free(&sandbox->imports_text);
	free(sandbox->tenant);
	free(sandbox->libexec);
	free(sandbox);
}
