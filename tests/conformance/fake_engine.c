/*
 * The fake engine. Its template descriptor is an eventfd that is always readable while there is
 * something to do, so the core's loop runs just as with a real engine. Frames are made with the
 * token of the request that was really sent.
 */
#include "fake_engine.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/frame.h"

struct engine_template {
	int index;
	int fd;
	int turns;
	bool running;
};

struct engine_instance {
	struct engine_template *tmpl;
	enum instance_state state;
	const struct fake_step *step;
	unsigned int repeated;
	bool hanging;
	uint8_t token[REQUEST_TOKEN_BYTES];
};

struct fake_script fake_scripts[2];
struct fake_counts fake_counts[2];

static const struct fake_step ok_steps[] = {
	{STEP_END, "{\"status\":\"ok\",\"has_result\":false}", 0, 0},
	{STEP_END_OF_SCRIPT, NULL, 0, 0},
};

void fake_reset(void)
{
	memset(fake_scripts, 0, sizeof(fake_scripts));
	memset(fake_counts, 0, sizeof(fake_counts));
	for (int i = 0; i < 2; i++) {
		fake_scripts[i].level = 7 - 2 * i;
		fake_scripts[i].steps = ok_steps;
		fake_scripts[i].evidence.ended = true;
	}
}

static bool fails(int index, enum fake_fail step)
{
	struct fake_script *script = &fake_scripts[index];

	if (script->fail != step)
		return false;
	if (script->fail_count > 0 && --script->fail_count == 0)
		script->fail = FAKE_GOOD;
	return true;
}

static void fake_probe(int index, struct engine_probe *out)
{
	memset(out, 0, sizeof(*out));
	out->available = !fails(index, FAKE_NO_PROBE);
	out->level = fake_scripts[index].level;
	if (!out->available)
		(void)snprintf(out->missing, sizeof(out->missing), "%s",
			       "the fake host lacks everything");
}

static int fake_plan(int index, struct plan *plan, struct psb_error *err)
{
	if (fails(index, FAKE_NO_PLAN))
		return psb_fail(err, PSB_E_UNSUPPORTED, 0, "fake: no plan");
	plan->level = fake_scripts[index].level;
	for (int i = 0; i < CONTROL_COUNT; i++)
		plan->controls[i].by = i == CONTROL_imports ? BY_ADVISORY : BY_KERNEL;
	memcpy(plan->python_version, "3.0", 4);
	return 0;
}

static void ring(int fd)
{
	(void)eventfd_write(fd, 1);
}

static int fake_template_open(int index, struct engine_template **out, struct psb_error *err)
{
	struct engine_template *tmpl;

	if (fails(index, FAKE_NO_TEMPLATE))
		return psb_fail(err, PSB_E_ENGINE, 0, "fake: no template");
	tmpl = calloc(1, sizeof(*tmpl));
	if (!tmpl)
		return psb_fail(err, PSB_E_MEMORY, 0, "fake: no memory");
	tmpl->index = index;
	tmpl->fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	fake_counts[index].templates++;
	fake_counts[index].templates_open++;
	*out = tmpl;
	return 0;
}

static int fake_turn(struct engine_template *tmpl, struct psb_error *err)
{
	bool dead = tmpl->running ? fails(tmpl->index, FAKE_DIES_IN_RUN)
				  : fails(tmpl->index, FAKE_NO_TURN);

	tmpl->turns++;
	return dead ? psb_fail(err, PSB_E_ENGINE, 0, "fake: the template died") : 0;
}

static int fake_template_fd(const struct engine_template *tmpl)
{
	return tmpl->fd;
}

static const char *fake_failure(const struct engine_instance *instance)
{
	(void)instance;
	return "fake: not in the mood";
}

static int fake_prepare(struct engine_template *tmpl, struct engine_instance **out,
			struct psb_error *err)
{
	struct engine_instance *instance;

	if (fails(tmpl->index, FAKE_NO_PREPARE))
		return psb_fail(err, PSB_E_ENGINE, 0, "fake: cannot prepare");
	instance = calloc(1, sizeof(*instance));
	if (!instance)
		return psb_fail(err, PSB_E_MEMORY, 0, "fake: no memory");
	instance->tmpl = tmpl;
	instance->state = fails(tmpl->index, FAKE_NO_READY) ? INSTANCE_FAILED : INSTANCE_READY;
	fake_counts[tmpl->index].instances++;
	fake_counts[tmpl->index].instances_open++;
	ring(tmpl->fd);
	*out = instance;
	return 0;
}

static enum instance_state fake_state(const struct engine_instance *instance)
{
	return instance->state;
}

static int fake_start(struct engine_instance *instance, const struct psb_limits *limits,
		      const uint8_t *request, size_t request_len, struct psb_error *err)
{
	int index = instance->tmpl->index;

	if (fails(index, FAKE_NO_START) || limits->wall_ms == 0)
		return psb_fail(err, PSB_E_ENGINE, 0, "fake: cannot start");
	memcpy(instance->token, request + 8, sizeof(instance->token));
	instance->state = INSTANCE_RUNNING;
	instance->tmpl->running = true;
	instance->step = fake_scripts[index].steps;
	fake_counts[index].starts++;
	fake_counts[index].request_len = request_len;
	return 0;
}

static size_t fake_pollfds(const struct engine_instance *instance,
			   struct pollfd fds[ENGINE_MAX_POLLFDS])
{
	/* A hanging guest makes no noise. */
	fds[0] =
		(struct pollfd){.fd = instance->tmpl->fd, .events = instance->hanging ? 0 : POLLIN};
	return 1;
}

static void deliver(void (*sink)(void *, const uint8_t *, size_t), void *context,
		    const uint8_t *data, size_t len, size_t piece)
{
	while (len > 0) {
		size_t n = piece > 0 && piece < len ? piece : len;

		sink(context, data, n);
		data += n;
		len -= n;
	}
}

static void put_u32(uint8_t *at, size_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static void deliver_frame(const struct engine_instance *instance, const struct engine_sink *sink,
			  uint32_t type, const uint8_t *data, size_t len)
{
	size_t piece = fake_scripts[instance->tmpl->index].piece;
	uint8_t header[FRAME_HEADER_BYTES];

	memcpy(header, instance->token, REQUEST_TOKEN_BYTES);
	put_u32(header + REQUEST_TOKEN_BYTES, type);
	put_u32(header + REQUEST_TOKEN_BYTES + 4, len);
	deliver(sink->on_frames, sink->context, header, sizeof(header), piece);
	deliver(sink->on_frames, sink->context, data, len, piece);
}

static void play(const struct engine_instance *instance, const struct engine_sink *sink)
{
	const struct fake_step *step = instance->step;
	size_t piece = fake_scripts[instance->tmpl->index].piece;
	const uint8_t *data = (const uint8_t *)step->data;
	size_t len = step->len ? step->len : strlen(step->data);

	switch (step->kind) {
	case STEP_STDOUT: deliver(sink->on_stdout, sink->context, data, len, piece); break;
	case STEP_STDERR: deliver(sink->on_stderr, sink->context, data, len, piece); break;
	case STEP_RESULT: deliver_frame(instance, sink, FRAME_RESULT, data, len); break;
	case STEP_END: deliver_frame(instance, sink, FRAME_END, data, len); break;
	case STEP_RAW: deliver(sink->on_frames, sink->context, data, len, piece); break;
	case STEP_END_OF_SCRIPT: break;
	}
}

static int fake_pump(struct engine_instance *instance, const struct engine_sink *sink,
		     struct psb_error *err)
{
	struct fake_script *script = &fake_scripts[instance->tmpl->index];

	if (instance->state != INSTANCE_RUNNING)
		return 0;
	if (fails(instance->tmpl->index, FAKE_NO_PUMP))
		return psb_fail(err, PSB_E_ENGINE, 0, "fake: the instance is lost");
	if (instance->step->kind == STEP_END_OF_SCRIPT) {
		instance->hanging = script->hang;
		if (!script->hang)
			instance->state = INSTANCE_ENDED;
		return 0;
	}
	play(instance, sink);
	if (++instance->repeated >= instance->step->repeat) {
		instance->repeated = 0;
		instance->step++;
	}
	return 0;
}

static void fake_stop(struct engine_instance *instance, enum stop_reason reason)
{
	struct fake_counts *counts = &fake_counts[instance->tmpl->index];

	counts->stops++;
	counts->last_stop = reason;
	if (!fake_scripts[instance->tmpl->index].deaf)
		instance->state = INSTANCE_ENDED;
}

static void fake_evidence(const struct engine_instance *instance, struct evidence *out)
{
	*out = fake_scripts[instance->tmpl->index].evidence;
}

static int fake_workspace(struct engine_instance *instance, struct psb_error *err)
{
	const char *path = fake_scripts[instance->tmpl->index].workspace;

	if (fails(instance->tmpl->index, FAKE_NO_WORKSPACE) || !path)
		return psb_fail(err, PSB_E_ENGINE, 0, "fake: no workspace");
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void fake_recycle(struct engine_instance *instance)
{
	if (!instance)
		return;
	instance->tmpl->running = false;
	fake_counts[instance->tmpl->index].instances_open--;
	free(instance);
}

static void fake_template_close(struct engine_template *tmpl)
{
	fake_counts[tmpl->index].templates_open--;
	(void)close(tmpl->fd);
	free(tmpl);
}

/* The three functions without an object to know their engine by. */
#define ENGINE(letter, number)                                                                     \
	static void probe_##letter(const char *rung, struct engine_probe *out)                     \
	{                                                                                          \
		(void)rung;                                                                        \
		fake_probe(number, out);                                                           \
	}                                                                                          \
	static int plan_##letter(struct plan *plan, struct psb_error *err)                         \
	{                                                                                          \
		return fake_plan(number, plan, err);                                               \
	}                                                                                          \
	static int open_##letter(const struct plan *plan, struct engine_template **out,            \
				 struct psb_error *err)                                            \
	{                                                                                          \
		(void)plan;                                                                        \
		return fake_template_open(number, out, err);                                       \
	}                                                                                          \
	const struct engine_ops fake_engine_##letter = {                                           \
		.name = "fake-" #letter,                                                           \
		.probe = probe_##letter,                                                           \
		.plan = plan_##letter,                                                             \
		.template_open = open_##letter,                                                    \
		.turn = fake_turn,                                                                 \
		.template_fd = fake_template_fd,                                                   \
		.prepare = fake_prepare,                                                           \
		.failure = fake_failure,                                                           \
		.state = fake_state,                                                               \
		.start = fake_start,                                                               \
		.pollfds = fake_pollfds,                                                           \
		.pump = fake_pump,                                                                 \
		.stop = fake_stop,                                                                 \
		.evidence = fake_evidence,                                                         \
		.workspace = fake_workspace,                                                       \
		.recycle = fake_recycle,                                                           \
		.template_close = fake_template_close,                                             \
	};

ENGINE(a, 0)
ENGINE(b, 1)
