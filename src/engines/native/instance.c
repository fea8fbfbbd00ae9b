/*
 * An instance on the host's side: four pipes. The host keeps the read end of the request pipe as
 * well: a guest that dies early then leaves a full pipe, not a SIGPIPE in the host application.
 * After the evidence has come, what is left in the pipes is read once more (bounded by their size)
 * and the instance has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/error.h"
#include "native.h"

#define READ_BYTES (64u << 10)
#define READS_PER_TURN 4

typedef void (*deliver_fn)(void *context, const uint8_t *data, size_t len);

static int find_free_slot(const struct engine_template *tmpl)
{
	for (uint32_t i = 0; i < tmpl->slots; i++)
		if (!tmpl->instances[i])
			return (int)i;
	return -1;
}

static void close_ends(struct engine_instance *instance)
{
	close_fd(&instance->request_fd);
	close_fd(&instance->request_keep_fd);
	for (size_t i = 0; i < NATIVE_SOURCES; i++)
		close_fd(&instance->sources[i].fd);
	close_fd(&instance->workspace_fd);
	close_fd(&instance->guest.pidfd);
	close_fd(&instance->init_pidfd);
}

static int make_pipe(int *read_end, int *write_end)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	*read_end = ends[0];
	*write_end = ends[1];
	return 0;
}

/* One for a slot, for as long as the template lives. */
static int start_timer(struct engine_template *tmpl, uint32_t slot)
{
	if (tmpl->start_timers[slot] < 0)
		tmpl->start_timers[slot] =
			timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return tmpl->start_timers[slot];
}

/* Fills our ends and, in the order of the protocol, the guest's. */
static int make_pipes(struct engine_instance *instance, int guest[HOST_FDS])
{
	if (make_pipe(&guest[0], &instance->request_fd) < 0 ||
	    make_pipe(&instance->sources[SOURCE_STDOUT].fd, &guest[1]) < 0 ||
	    make_pipe(&instance->sources[SOURCE_STDERR].fd, &guest[2]) < 0 ||
	    make_pipe(&instance->sources[SOURCE_RESULT].fd, &guest[3]) < 0)
		return -1;
	if (fcntl(instance->request_fd, F_SETFL, O_NONBLOCK) < 0)
		return -1;
	for (size_t i = 0; i < NATIVE_SOURCES; i++)
		if (fcntl(instance->sources[i].fd, F_SETFL, O_NONBLOCK) < 0)
			return -1;
	return 0;
}

static int hand_over(struct engine_instance *instance, struct psb_error *err)
{
	struct host_message message = {.type = HOST_PREPARE,
				       .slot = instance->slot,
				       .generation = instance->generation,
				       .processor = instance->guest.processor};
	int guest[HOST_FDS] = {-1, -1, -1, -1, start_timer(instance->tmpl, instance->slot)};
	int rc;

	if (guest[4] < 0 || make_pipes(instance, guest) < 0)
		rc = psb_fail(err, PSB_E_SYSTEM, errno, "native: %s: %s",
			      guest[4] < 0 ? "timerfd_create" : "pipe", strerror(errno));
	else
		rc = keeper_send(instance->tmpl, &message, guest, err);
	instance->request_keep_fd = take_fd(guest[0]);
	for (size_t i = 1; i < 4; i++)
		close_fd(&guest[i]);
	return rc;
}

int native_prepare(struct engine_template *tmpl, int processor, struct engine_instance **out,
		   struct psb_error *err)
{
	auto_free struct engine_instance *instance = calloc(1, sizeof(*instance));
	int slot = find_free_slot(tmpl);
	int rc;

	if (!instance)
		return psb_fail(err, PSB_E_MEMORY, ENOMEM, "native: out of memory");
	if (tmpl->dead)
		return psb_fail(err, PSB_E_ENGINE, 0, "native: %s", tmpl->dead_text);
	if (slot < 0)
		return psb_fail(err, PSB_E_BUSY, 0, "native: all %u slots are in use", tmpl->slots);
	*instance = (struct engine_instance){.tmpl = tmpl,
					     .slot = (uint32_t)slot,
					     .generation = ++tmpl->next_generation,
					     .request_fd = -1,
					     .request_keep_fd = -1,
					     .sources = {{.fd = -1}, {.fd = -1}, {.fd = -1}},
					     .workspace_fd = -1,
					     .guest = {.pidfd = -1,
						       .sees = true,
						       .held = processor >= 0,
						       .processor = processor},
					     .init_pidfd = -1};
	rc = hand_over(instance, err);
	if (rc < 0) {
		close_ends(instance);
		return rc;
	}
	tmpl->instances[slot] = instance;
	*out = take_ptr(instance);
	return 0;
}

enum instance_state native_state(const struct engine_instance *instance)
{
	return instance->state;
}

struct placed *native_process(struct engine_instance *instance)
{
	return &instance->guest;
}

/* A word that does not get through (a stop, say) leaves a keeper that knows less than we do. */
static void tell_keeper(const struct engine_instance *instance, uint32_t type)
{
	const struct host_message message = {.type = type,
					     .slot = instance->slot,
					     .release = instance->released,
					     .start_us = instance->start_us};

	if (keeper_send(instance->tmpl, &message, NULL, NULL) < 0)
		native_give_up(instance->tmpl, "the keeper takes no messages");
}

static void send_request(struct engine_instance *instance)
{
	while (instance->request_sent < instance->request_len) {
		ssize_t n = write(instance->request_fd, instance->request + instance->request_sent,
				  instance->request_len - instance->request_sent);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		instance->request_sent += (size_t)n;
	}
}

/* The timer first: from the first byte on the keeper knows, whatever becomes of us. */
int native_begin(struct engine_instance *instance, struct psb_error *err)
{
	uint64_t look_us = slot_first_look_us(&instance->limits, instance->tmpl->counted);
	struct itimerspec spec = {.it_value = {.tv_sec = (time_t)(look_us / 1000000),
					       .tv_nsec = (long)(look_us % 1000000) * 1000}};

	spec.it_interval = spec.it_value;
	instance->start_us = clock_us();
	if (timerfd_settime(instance->tmpl->start_timers[instance->slot], 0, &spec, NULL) < 0)
		return psb_fail(err, PSB_E_ENGINE, errno, "native: timerfd_settime");
	instance->arming = false;
	instance->state = INSTANCE_RUNNING;
	send_request(instance);
	return 0;
}

int native_start(struct engine_instance *instance, const struct psb_limits *limits,
		 const uint8_t *request, size_t request_len, struct psb_error *err)
{
	struct host_message message = {.type = HOST_ARM, .slot = instance->slot};
	int rc;

	if (instance->state != INSTANCE_READY)
		return psb_fail(err, PSB_E_ENGINE, 0, "native: the instance is not ready");
	message.limits = native_slot_limits(limits);
	instance->limits = message.limits;
	instance->news = false;
	instance->request = request;
	instance->request_len = request_len;
	if (memcmp(&message.limits, &instance->tmpl->limits, sizeof(message.limits)) == 0)
		return native_begin(instance, err);
	rc = keeper_send(instance->tmpl, &message, NULL, err);
	if (rc < 0)
		return rc;
	instance->state = INSTANCE_RUNNING;
	instance->arming = true;
	return 0;
}

size_t native_pollfds(const struct engine_instance *instance, bool end_only,
		      struct pollfd fds[ENGINE_MAX_POLLFDS])
{
	size_t count = 0;

	fds[count++] = (struct pollfd){.fd = instance->tmpl->control_fd, .events = POLLIN};
	if (instance->state != INSTANCE_RUNNING)
		return count;
	for (size_t i = 0; i < NATIVE_SOURCES; i++)
		if (!instance->sources[i].ended && (!end_only || i == SOURCE_RESULT))
			fds[count++] =
				(struct pollfd){.fd = instance->sources[i].fd, .events = POLLIN};
	if (!instance->arming && instance->request_sent < instance->request_len)
		fds[count++] = (struct pollfd){.fd = instance->request_fd, .events = POLLOUT};
	return count;
}

bool native_has_news(const struct engine_instance *instance)
{
	return instance->news;
}

/* Returns true when the pipe is empty for now. */
static bool read_some(struct source *source, deliver_fn deliver, void *context)
{
	/* Only what was read is looked at: zeroing it all would take longer than a small run. */
	uint8_t buffer[READ_BYTES] __attribute__((uninitialized));
	ssize_t n;

	source->more = true;
	for (int i = 0; i < READS_PER_TURN && !source->ended; i++) {
		n = read(source->fd, buffer, sizeof(buffer));
		source->more = n == (ssize_t)sizeof(buffer) || (n < 0 && errno == EINTR);
		if (n > 0) {
			deliver(context, buffer, (size_t)n);
			if ((size_t)n < sizeof(buffer))
				return false; /* perhaps more: the next turn will see */
		} else if (n == 0) {
			source->ended = true;
		} else if (errno != EINTR) {
			return true;
		}
	}
	return source->ended;
}

static deliver_fn deliver_of(const struct engine_sink *sink, size_t source)
{
	if (source == SOURCE_RESULT)
		return sink->on_frames;
	return source == SOURCE_STDOUT ? sink->on_stdout : sink->on_stderr;
}

/* Frames before output: when the end frame has been seen, the look at the output that followed it
 * has found all that the program printed before. */
static const size_t reading_order[NATIVE_SOURCES] = {SOURCE_RESULT, SOURCE_STDOUT, SOURCE_STDERR};

static void read_all(struct engine_instance *instance, const struct engine_sink *sink)
{
	for (size_t i = 0; i < NATIVE_SOURCES; i++) {
		size_t source = reading_order[i];

		(void)read_some(&instance->sources[source], deliver_of(sink, source),
				sink->context);
	}
}

/* The dead guest's pipes hold at most their capacity each: 1 MiB at the very most. */
static void drain(struct engine_instance *instance, const struct engine_sink *sink)
{
	for (size_t i = 0; i < NATIVE_SOURCES; i++) {
		size_t source = reading_order[i];
		int turns = 0;

		while (turns++ < 16 && !read_some(&instance->sources[source],
						  deliver_of(sink, source), sink->context))
			;
	}
	instance->state = INSTANCE_ENDED;
}

int native_pump(struct engine_instance *instance, const struct engine_sink *sink,
		struct psb_error *err)
{
	if (instance->state != INSTANCE_RUNNING)
		return 0;
	/* An error here is the template's; this instance ends with the evidence it has. */
	if (!instance->end_seen)
		(void)native_turn(instance->tmpl, err);
	instance->news = false;
	if (!instance->arming)
		send_request(instance);
	if (instance->end_seen)
		drain(instance, sink);
	else
		read_all(instance, sink);
	return 0;
}

void native_stop(struct engine_instance *instance, enum stop_reason reason)
{
	if (instance->state != INSTANCE_RUNNING)
		return;
	if (reason == STOP_FINISHED && native_finish_here(instance)) {
		instance->end_seen = true;
		instance->news = true;
		if (!instance->sources[SOURCE_STDOUT].more &&
		    !instance->sources[SOURCE_STDERR].more)
			instance->state = INSTANCE_ENDED; /* nothing is left to read */
		return;
	}
	instance->released |= reason == STOP_FINISHED;
	tell_keeper(instance,
		    reason == STOP_FINISHED || reason == STOP_COLLECT ? HOST_FINISH : HOST_STOP);
}

const char *native_failure(const struct engine_instance *instance)
{
	return instance->failure;
}

void native_evidence(const struct engine_instance *instance, struct evidence *out)
{
	*out = instance->evidence;
}

int native_workspace(struct engine_instance *instance, struct psb_error *err)
{
	instance->news = false;
	if (!instance->workspace_asked)
		tell_keeper(instance, HOST_WORKSPACE);
	instance->workspace_asked = true;
	if (!instance->workspace_seen && !instance->tmpl->dead)
		return PSB_E_BUSY;
	if (instance->workspace_fd < 0)
		return psb_fail(err, PSB_E_ENGINE, 0, "native: the workspace could not be had");
	return take_fd(instance->workspace_fd);
}

void native_recycle(struct engine_instance *instance)
{
	if (!instance)
		return;
	if (!instance->released)
		tell_keeper(instance, HOST_RELEASE);
	instance->tmpl->instances[instance->slot] = NULL;
	close_ends(instance);
	free(instance);
}

void native_template_abandon(struct engine_template *tmpl)
{
	for (uint32_t i = 0; i < tmpl->slots; i++) {
		if (tmpl->instances[i])
			close_ends(tmpl->instances[i]);
		free(tmpl->instances[i]);
	}
	native_template_forget(tmpl);
}
