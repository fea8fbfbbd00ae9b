/*
 * The fake engine. Its template descriptor is an eventfd that is rung whenever there is something
 * to do and emptied by turn(), so the core's loops run just as with a real engine. Frames are made
 * with the token of the request that was really sent.
 */
#include "fake_engine.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/error.h"
#include "ipc/frame.h"

#define MAX_INSTANCES 256

struct engine_template {
	int index;
	int fd;
	struct engine_instance *instances[MAX_INSTANCES];
};

struct engine_instance {
	struct engine_template *tmpl;
	enum instance_state state;
	const struct fake_step *step;
	unsigned int repeated;
	bool hanging;
	bool lost;    /* its template died under it */
	int delay_fd; /* timerfd: silent until it fires; -1: no delay */
	bool delay_over;
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

static void fake_probe(int index, const char *rung, struct engine_probe *out)
{
	memset(out, 0, sizeof(*out));
	out->available = !fails(index, FAKE_NO_PROBE);
	out->level = fake_scripts[index].level;
	out->warm = fake_scripts[index].warm;
	(void)snprintf(out->rung, sizeof(out->rung), "%s", rung ? rung : "");
	if (!out->available)
		(void)snprintf(out->missing, sizeof(out->missing), "%s",
			       "the fake host lacks everything");
}

/* Everything that the table asks for up to the script's level, and the first thing beyond it not. */
static void claim_level(struct plan *plan, int level)
{
	static const enum plan_control missing[6] = {CONTROL_host_memory, CONTROL_memory,
						     CONTROL_syscalls,    CONTROL_filesystem,
						     CONTROL_network,     CONTROL_identity};

	for (int i = 0; i < CONTROL_COUNT; i++)
		plan->controls[i].by = i == CONTROL_imports ? BY_ADVISORY : BY_KERNEL;
	if (level < 6)
		plan->controls[missing[level]].by = BY_ABSENT;
	plan->walls = level >= 6 ? (unsigned int)WALL_NAMESPACES : 0;
	if (level >= 7)
		plan->walls |= WALL_CGROUP | WALL_OWN_UID;
	if (level >= 8)
		plan->walls |= WALL_HYPERVISOR | WALL_JAILED_WORKER;
	if (level >= 9)
		plan->walls |= WALL_OWN_WORKER;
	if (level >= 10)
		plan->walls |= WALL_FRESH_WORKER | WALL_UNSHARED_PAGES;
}

static int fake_plan(int index, struct plan *plan, struct psb_error *err)
{
	const struct fake_script *script = &fake_scripts[index];

	if (fails(index, FAKE_NO_PLAN))
		return psb_fail(err, PSB_E_UNSUPPORTED, 0, "fake: no plan");
	if (script->no_files && (plan->input_files || plan->output_files))
		return psb_fail(err, PSB_E_UNSUPPORTED, 0, "fake: there are no files here");
	if (script->max_memory && plan->limits.memory_bytes > script->max_memory)
		return psb_fail(err, PSB_E_UNSUPPORTED, 0, "fake: there is not so much memory");
	if (script->no_modules && plan->preload[0])
		return psb_fail(err, PSB_E_UNSUPPORTED, 0, "fake: no module %s", plan->preload);
	claim_level(plan, script->level);
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

static void lose_running(struct engine_template *tmpl)
{
	for (int i = 0; i < MAX_INSTANCES; i++)
		if (tmpl->instances[i] && tmpl->instances[i]->state == INSTANCE_RUNNING)
			tmpl->instances[i]->lost = true;
}

static bool any_running(const struct engine_template *tmpl)
{
	for (int i = 0; i < MAX_INSTANCES; i++)
		if (tmpl->instances[i] && tmpl->instances[i]->state == INSTANCE_RUNNING)
			return true;
	return false;
}

static int fake_turn(struct engine_template *tmpl, struct psb_error *err)
{
	uint64_t count;

	(void)eventfd_read(tmpl->fd, &count);
	if (!fails(tmpl->index, any_running(tmpl) ? FAKE_DIES_IN_RUN : FAKE_NO_TURN))
		return 0;
	lose_running(tmpl);
	ring(tmpl->fd);
	return psb_fail(err, PSB_E_ENGINE, 0, "fake: the template died");
}

static int fake_template_fd(const struct engine_template *tmpl)
{
	return tmpl->fd;
}

/* Told once. */
static const char *fake_progress(struct engine_template *tmpl)
{
	struct fake_script *script = &fake_scripts[tmpl->index];
	const char *text = script->progress;

	script->progress = NULL;
	return text;
}

static int fake_prepare(struct engine_template *tmpl, int processor, struct engine_instance **out,
			struct psb_error *err)
{
	struct engine_instance *instance;
	int slot = 0;

	(void)processor;
	if (fails(tmpl->index, FAKE_NO_PREPARE))
		return psb_fail(err, PSB_E_ENGINE, 0, "fake: cannot prepare");
	while (slot < MAX_INSTANCES && tmpl->instances[slot])
		slot++;
	if (slot == MAX_INSTANCES)
		return psb_fail(err, PSB_E_BUSY, 0, "fake: full");
	instance = calloc(1, sizeof(*instance));
	if (!instance)
		return psb_fail(err, PSB_E_MEMORY, 0, "fake: no memory");
	tmpl->instances[slot] = instance;
	instance->tmpl = tmpl;
	instance->delay_fd = -1;
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

static void start_delay(struct engine_instance *instance, unsigned int delay_us)
{
	struct itimerspec spec = {.it_value = {.tv_sec = delay_us / 1000000,
					       .tv_nsec = (long)(delay_us % 1000000) * 1000}};

	instance->delay_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	(void)timerfd_settime(instance->delay_fd, 0, &spec, NULL);
}

static int fake_start(struct engine_instance *instance, const struct psb_limits *limits,
		      const uint8_t *request, size_t request_len, struct psb_error *err)
{
	int index = instance->tmpl->index;

	if (fails(index, FAKE_NO_START) || limits->wall_ms == 0)
		return psb_fail(err, PSB_E_ENGINE, 0, "fake: cannot start");
	memcpy(instance->token, request + 8, sizeof(instance->token));
	instance->state = INSTANCE_RUNNING;
	instance->step = fake_scripts[index].steps;
	if (fake_scripts[index].delay_us)
		start_delay(instance, fake_scripts[index].delay_us);
	ring(instance->tmpl->fd);
	fake_counts[index].starts++;
	if (++fake_counts[index].running > fake_counts[index].running_most)
		fake_counts[index].running_most = fake_counts[index].running;
	fake_counts[index].request_len = request_len;
	return 0;
}

static bool delayed(const struct engine_instance *instance)
{
	return instance->delay_fd >= 0 && !instance->delay_over;
}

static size_t fake_pollfds(const struct engine_instance *instance, bool end_only,
			   struct pollfd fds[ENGINE_MAX_POLLFDS])
{
	size_t count = 0;

	(void)end_only;
	fds[count++] = (struct pollfd){.fd = instance->tmpl->fd, .events = POLLIN};
	if (delayed(instance))
		fds[count++] = (struct pollfd){.fd = instance->delay_fd, .events = POLLIN};
	return count;
}

/* A delay that runs and a hanging guest make no noise. */
static bool fake_has_news(const struct engine_instance *instance)
{
	if (instance->lost)
		return true;
	return instance->state == INSTANCE_RUNNING && !instance->hanging && !delayed(instance);
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

static void end(struct engine_instance *instance)
{
	if (instance->state == INSTANCE_RUNNING)
		fake_counts[instance->tmpl->index].running--;
	instance->state = INSTANCE_ENDED;
}

/* The timer is left readable, as the pipe of a guest that has ended would be. */
static bool is_silent(struct engine_instance *instance)
{
	struct pollfd fd = {.fd = instance->delay_fd, .events = POLLIN};

	if (instance->lost)
		end(instance);
	if (delayed(instance))
		instance->delay_over = poll(&fd, 1, 0) > 0;
	return instance->lost || delayed(instance);
}

static int fake_pump(struct engine_instance *instance, const struct engine_sink *sink,
		     struct psb_error *err)
{
	struct fake_script *script = &fake_scripts[instance->tmpl->index];

	if (instance->state != INSTANCE_RUNNING || is_silent(instance))
		return 0;
	if (fails(instance->tmpl->index, FAKE_NO_PUMP))
		return psb_fail(err, PSB_E_ENGINE, 0, "fake: the instance is lost");
	if (instance->step->kind == STEP_END_OF_SCRIPT) {
		instance->hanging = script->hang;
		if (!script->hang)
			end(instance);
		return 0;
	}
	ring(instance->tmpl->fd);
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
		end(instance);
}

static const char *fake_failure(const struct engine_instance *instance)
{
	return instance->tmpl ? "the script says\nso" : "";
}

static void fake_evidence(const struct engine_instance *instance, struct evidence *out)
{
	*out = fake_scripts[instance->tmpl->index].evidence;
	out->instance_lost |= instance->lost;
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
	end(instance);
	for (int i = 0; i < MAX_INSTANCES; i++)
		if (instance->tmpl->instances[i] == instance)
			instance->tmpl->instances[i] = NULL;
	close_fd(&instance->delay_fd);
	fake_counts[instance->tmpl->index].instances_open--;
	free(instance);
}

static void fake_template_close(struct engine_template *tmpl)
{
	fake_counts[tmpl->index].templates_open--;
	(void)close(tmpl->fd);
	free(tmpl);
}

static void fake_template_abandon(struct engine_template *tmpl)
{
	fake_counts[tmpl->index].abandoned++;
	for (int i = 0; i < MAX_INSTANCES; i++) {
		if (tmpl->instances[i])
			close_fd(&tmpl->instances[i]->delay_fd);
		free(tmpl->instances[i]);
	}
	(void)close(tmpl->fd);
	free(tmpl);
}

/* The three functions without an object to know their engine by. */
#define ENGINE(letter, number)                                                                     \
	static void probe_##letter(const char *rung, struct engine_probe *out)                     \
	{                                                                                          \
		fake_probe(number, rung, out);                                                     \
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
		.progress = fake_progress,                                                         \
		.prepare = fake_prepare,                                                           \
		.state = fake_state,                                                               \
		.start = fake_start,                                                               \
		.pollfds = fake_pollfds,                                                           \
		.has_news = fake_has_news,                                                         \
		.pump = fake_pump,                                                                 \
		.stop = fake_stop,                                                                 \
		.failure = fake_failure,                                                           \
		.evidence = fake_evidence,                                                         \
		.workspace = fake_workspace,                                                       \
		.recycle = fake_recycle,                                                           \
		.template_close = fake_template_close,                                             \
		.template_abandon = fake_template_abandon,                                         \
	};

ENGINE(a, 0)
ENGINE(b, 1)
