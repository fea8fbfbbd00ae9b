/*
 * A template on the host's side: the keeper's socket and the table of instances. Messages are
 * matched by slot and generation, so a late word about a former instance finds nobody.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/error.h"
#include "ipc/fdpass.h"
#include "keeper/python_layout.h"
#include "native.h"

#define CLOSE_WAIT_MS 2000

struct slot_limits native_slot_limits(const struct psb_limits *limits)
{
	return (struct slot_limits){
		.wall_ms = limits->wall_ms,
		.cpu_ms = limits->cpu_ms,
		.memory_bytes = limits->memory_bytes,
		.workspace_bytes = limits->workspace_bytes,
		.workspace_files = limits->workspace_files,
		.open_files = limits->open_files,
		.processes = limits->processes,
	};
}

/* OpenBLAS picks kernels by processor; where its choice is wrong an administrator overrides it. */
static void pass_environment(struct keeper_config *config)
{
	static const char *const names[2] = {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"};

	for (size_t i = 0; i < 2; i++) {
		const char *value = getenv(names[i]);

		if (value && strlen(value) < 64)
			(void)snprintf(config->spare_env[i], sizeof(config->spare_env[i]), "%s=%s",
				       names[i], value);
	}
}

/* A hint: a list without room there comes with each request only, which takes longer. */
static void pass_imports(const struct plan *plan, struct keeper_config *config)
{
	if (plan->import_mode != IMPORTS_OFF && strlen(plan->imports) < sizeof(config->imports))
		(void)snprintf(config->imports, sizeof(config->imports), "%s", plan->imports);
}

static int fill_config(const struct plan *plan, struct keeper_config *config, struct psb_error *err)
{
	struct python_layout layout;
	int rc = python_layout_find(plan->python, &layout, err);

	if (rc < 0)
		return rc;
	if (strlen(plan->preload) >= sizeof(config->preload))
		return psb_fail(err, PSB_E_TOO_LARGE, 0, "preload: %zu bytes, at most %zu",
				strlen(plan->preload), sizeof(config->preload) - 1);
	if (strlen(plan->libexec) >= sizeof(config->libexec))
		return psb_fail(err, PSB_E_TOO_LARGE, 0,
				"libexec: the path is longer than %zu bytes",
				sizeof(config->libexec) - 1);
	config->version = KEEPER_VERSION;
	config->rung = (uint32_t)(plan->rung[0] - 'A');
	config->slots = plan->single_use ? 1 : plan->pool_size * 2;
	if (config->slots > KEEPER_MAX_SLOTS)
		config->slots = KEEPER_MAX_SLOTS;
	config->single_use = plan->single_use;
	config->limits = native_slot_limits(&plan->limits);
	memcpy(config->python, layout.executable, sizeof(config->python));
	memcpy(config->python_prefix, layout.prefix, sizeof(config->python_prefix));
	memcpy(config->venv, layout.venv, sizeof(config->venv));
	memcpy(config->python_version, layout.version, sizeof(config->python_version));
	(void)snprintf(config->libexec, sizeof(config->libexec), "%s", plan->libexec);
	(void)snprintf(config->preload, sizeof(config->preload), "%s", plan->preload);
	pass_environment(config);
	pass_imports(plan, config);
	return 0;
}

int native_template_open(const struct plan *plan, struct engine_template **out,
			 struct psb_error *err)
{
	auto_free struct keeper_config *config = calloc(1, sizeof(*config));
	auto_free struct engine_template *tmpl = calloc(1, sizeof(*tmpl));
	int rc;

	if (!config || !tmpl)
		return psb_fail(err, PSB_E_MEMORY, ENOMEM, "native: out of memory");
	rc = fill_config(plan, config, err);
	if (rc < 0)
		return rc;
	tmpl->slots = config->slots;
	tmpl->limits = config->limits;
	tmpl->counted = plan->rung[0] >= 'C';
	memset(tmpl->start_timers, -1, sizeof(tmpl->start_timers));
	memset(tmpl->counters, -1, sizeof(tmpl->counters));
	rc = keeper_start(config, plan->libexec, &tmpl->control_fd, err);
	if (rc < 0)
		return rc;
	*out = take_ptr(tmpl);
	return 0;
}

static void instance_lost(struct engine_instance *instance)
{
	if (instance->end_seen) /* what was seen before stands */
		return;
	instance->news = true;
	if (instance->state == INSTANCE_RUNNING) {
		instance->evidence.ended = true;
		instance->evidence.instance_lost = true;
		instance->end_seen = true;
	} else if (instance->state != INSTANCE_ENDED) {
		instance->state = INSTANCE_FAILED;
	}
}

static void die(struct engine_template *tmpl, const char *text)
{
	if (!tmpl->dead)
		(void)snprintf(tmpl->dead_text, sizeof(tmpl->dead_text), "%.399s", text);
	tmpl->dead = true;
	for (uint32_t i = 0; i < tmpl->slots; i++)
		if (tmpl->instances[i] && tmpl->instances[i]->state == INSTANCE_PREPARING)
			instance_lost(tmpl->instances[i]);
}

void native_give_up(struct engine_template *tmpl, const char *text)
{
	die(tmpl, text);
	for (uint32_t i = 0; i < tmpl->slots; i++)
		if (tmpl->instances[i] && tmpl->instances[i]->state == INSTANCE_READY)
			instance_lost(tmpl->instances[i]);
}

static void on_instance_message(struct engine_instance *instance,
				const struct keeper_message *message, int fds[READY_FDS])
{
	instance->news = true;
	switch (message->type) {
	case KEEPER_READY:
		if (instance->state == INSTANCE_PREPARING) {
			instance->state = INSTANCE_READY;
			native_take_means(instance, message, fds);
		}
		break;
	case KEEPER_ARMED:
		if (instance->arming && native_begin(instance, NULL) < 0)
			instance_lost(instance);
		break;
	case KEEPER_ENDED:
		if (!instance->end_seen) /* of a run that was ended here it knows only our kill */
			instance->evidence = message->evidence;
		instance->end_seen = true;
		break;
	case KEEPER_WORKSPACE:
		instance->workspace_seen = true;
		instance->workspace_fd = take_fd(fds[0]);
		break;
	case KEEPER_SLOT_FAILED:
		(void)snprintf(instance->failure, sizeof(instance->failure), "%.*s",
			       (int)sizeof(message->text) - 1, message->text);
		instance_lost(instance);
		break;
	default: break;
	}
}

static void on_message(struct engine_template *tmpl, const struct keeper_message *message,
		       int fds[READY_FDS])
{
	struct engine_instance *instance;

	if (message->type == KEEPER_TEMPLATE_FAILED) {
		die(tmpl, message->text);
		return;
	}
	instance = message->slot < tmpl->slots ? tmpl->instances[message->slot] : NULL;
	if (instance && instance->generation == message->generation)
		on_instance_message(instance, message, fds);
}

int native_turn(struct engine_template *tmpl, struct psb_error *err)
{
	struct keeper_message message;
	int rc;

	do {
		int fds[READY_FDS];

		rc = fdpass_receive(tmpl->control_fd, &message, sizeof(message), fds, READY_FDS,
				    MSG_DONTWAIT, NULL);
		if (rc >= 0)
			on_message(tmpl, &message, fds);
		for (size_t i = 0; i < READY_FDS; i++)
			close_fd(&fds[i]);
	} while (rc >= 0);
	if (rc != FDPASS_EMPTY) {
		die(tmpl, "the keeper ended unexpectedly");
		for (uint32_t i = 0; i < tmpl->slots; i++)
			if (tmpl->instances[i])
				instance_lost(tmpl->instances[i]);
	}
	if (tmpl->dead)
		return psb_fail(err, PSB_E_ENGINE, 0, "native: %s", tmpl->dead_text);
	return 0;
}

int native_template_fd(const struct engine_template *tmpl)
{
	return tmpl->control_fd;
}

void native_template_forget(struct engine_template *tmpl)
{
	close_fd(&tmpl->control_fd);
	for (size_t i = 0; i < KEEPER_MAX_SLOTS; i++) {
		close_fd(&tmpl->start_timers[i]);
		close_fd(&tmpl->counters[i].cpu_fd);
		close_fd(&tmpl->counters[i].peak_fd);
		close_fd(&tmpl->counters[i].refusals_fd);
	}
	free(tmpl);
}

/* The keeper ends on our end of file, and all of its processes with it: wait until they have. */
void native_template_close(struct engine_template *tmpl)
{
	struct pollfd gone;
	char byte;

	if (!tmpl)
		return;
	(void)shutdown(tmpl->control_fd, SHUT_WR);
	gone = (struct pollfd){.fd = tmpl->control_fd, .events = POLLIN};
	while (poll(&gone, 1, CLOSE_WAIT_MS) > 0 && recv(tmpl->control_fd, &byte, 1, 0) > 0)
		;
	native_template_forget(tmpl);
}
