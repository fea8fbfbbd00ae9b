/*
 * A sandbox handle's life: open, warm, cancel, close. All strings of the options are copied here;
 * nothing of the caller's is kept. A handle belongs to the process that opened it: after a fork
 * the child's copy refuses work and closing it frees memory only, so that a child cannot take the
 * parent's keeper down.
 */
#include "core/sandbox.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/error.h"
#include "core/libexec.h"
#include "core/options.h"
#include "core/registry.h"

#define STANDARD_PYTHON "/usr/bin/python3"
#define MAX_PATH_BYTES 4095u
#define MAX_WAIT_MS UINT64_C(86400000)

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
		error = copy_text("tenant", options->tenant, 255, "default", &sandbox->tenant, err);
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

static int copy_options(struct psb_sandbox *sandbox, const struct psb_options *options,
			struct psb_error *err)
{
	uint32_t cpus = cpu_count();
	int error;

	if (options->pool_size > SANDBOX_MAX_POOL)
		return psb_fail(err, PSB_E_INVALID, 0, "pool_size: %u is more than %u",
				options->pool_size, SANDBOX_MAX_POOL);
	if (options->single_use > 1)
		return psb_fail(err, PSB_E_INVALID, 0, "single_use: %u is neither 0 nor 1",
				options->single_use);
	sandbox->single_use = options->single_use == 1;
	sandbox->pool_size = options->pool_size ? options->pool_size : 2 * cpus;
	if (sandbox->pool_size > SANDBOX_MAX_POOL)
		sandbox->pool_size = SANDBOX_MAX_POOL;
	sandbox->may_spin = cpus > 1;
	error = copy_texts(sandbox, options, err);
	if (!error)
		error = check_python(sandbox->python, err);
	if (!error)
		error = policy_open(options, &sandbox->policy, &sandbox->limits, err);
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
		error = copy_options(sandbox, &copy, err);
	if (error)
		return error;
	sandbox->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (sandbox->wake_fd < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "sandbox: eventfd");
	return choose_candidates(sandbox, err);
}

int sandbox_plan_with(const struct psb_options *options, const struct engine_ops *const *engines,
		      psb_sandbox **out, struct psb_error *err)
{
	struct psb_sandbox *sandbox;
	int error;

	if (!out)
		return psb_fail(err, PSB_E_INVALID, 0, "psb_open: `out` is NULL");
	sandbox = calloc(1, sizeof(*sandbox));
	if (!sandbox)
		return psb_fail(err, PSB_E_MEMORY, 0, "sandbox: out of memory");
	sandbox->owner = getpid();
	sandbox->wake_fd = -1;
	sandbox->engines = engines;
	atomic_flag_clear(&sandbox->busy);
	atomic_init(&sandbox->run_state, RUN_IDLE);
	error = build(sandbox, options, err);
	if (error)
		psb_close(sandbox);
	else
		*out = sandbox;
	return error;
}

int sandbox_open_with(const struct psb_options *options, const struct engine_ops *const *engines,
		      psb_sandbox **out, struct psb_error *err)
{
	int error = sandbox_plan_with(options, engines, out, err);

	if (!error)
		start_engine(*out);
	return error;
}

int psb_open(const struct psb_options *options, psb_sandbox **out, struct psb_error *err)
{
	return sandbox_open_with(options, registry_engines, out, err);
}

void psb_close(psb_sandbox *sandbox)
{
	if (!sandbox)
		return;
	if (sandbox->ops && sandbox->owner == getpid()) {
		pool_clear(sandbox);
		sandbox->ops->template_close(sandbox->tmpl);
	}
	close_fd(&sandbox->wake_fd);
	policy_free(&sandbox->policy);
	free(sandbox->engine_wish);
	free(sandbox->rung);
	free(sandbox->python);
	free(sandbox->preload);
	free(sandbox->tenant);
	free(sandbox->libexec);
	free(sandbox);
}

int sandbox_enter(struct psb_sandbox *sandbox, struct psb_error *err)
{
	if (sandbox->owner != getpid())
		return psb_fail(err, PSB_E_FORKED, 0,
				"the sandbox was opened by process %d; open one in this process",
				(int)sandbox->owner);
	if (atomic_flag_test_and_set(&sandbox->busy))
		return psb_fail(err, PSB_E_BUSY, 0,
				"another thread is using this sandbox; open one per thread");
	return 0;
}

void sandbox_leave(struct psb_sandbox *sandbox)
{
	atomic_flag_clear(&sandbox->busy);
}

void sandbox_drain_wake(const struct psb_sandbox *sandbox)
{
	uint64_t count;
	ssize_t ignored = read(sandbox->wake_fd, &count, sizeof(count));

	(void)ignored;
}

int psb_warm(psb_sandbox *sandbox, uint32_t instances, uint64_t timeout_ms, struct psb_error *err)
{
	uint64_t wait_ms = timeout_ms < MAX_WAIT_MS ? timeout_ms : MAX_WAIT_MS;
	uint64_t deadline = clock_us() + wait_ms * 1000;
	uint32_t most;
	int error;

	if (!sandbox)
		return psb_fail(err, PSB_E_INVALID, 0, "psb_warm: the sandbox is NULL");
	error = sandbox_enter(sandbox, err);
	if (error)
		return error;
	most = sandbox->single_use ? 1 : sandbox->pool_size;
	choose_restart(sandbox);
	error = pool_wait(sandbox, instances < most ? instances : most, deadline, err);
	sandbox_leave(sandbox);
	return error;
}

void psb_cancel_current(psb_sandbox *sandbox)
{
	int expected = RUN_ACTIVE;
	uint64_t one = 1;
	int saved = errno;

	if (sandbox &&
	    atomic_compare_exchange_strong(&sandbox->run_state, &expected, RUN_CANCELLED)) {
		ssize_t ignored = write(sandbox->wake_fd, &one, sizeof(one));

		(void)ignored;
	}
	errno = saved;
}
