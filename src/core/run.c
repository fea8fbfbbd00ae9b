/*
 * The loop of one execution: moves the guest's bytes into bounded places, decides when the host
 * must stop it, and waits. What the end means is not decided here but in classify.c.
 *
 * Trust boundary: all bytes are the guest's; outputs pass the UTF-8 sanitizer and a cap, frames the
 * decoder. Waiting is bounded even if the engine goes silent: the wall limit plus two seconds, and
 * two seconds from a stop.
 *
 * Latency: a tiny program ends within tens of microseconds of its start, and a sleep plus wake-up
 * costs as much again, so each wait first asks poll() without sleeping for a short while, when the
 * machine has a second CPU for the guest.
 */
#include "core/run.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define GRACE_US UINT64_C(2000000)
#define SPIN_US UINT64_C(0)
#define DRAIN_FACTOR 64u

int run_init(struct run *run, struct psb_sandbox *sandbox, const struct job *job)
{
	*run = (struct run){.sandbox = sandbox, .job = job};
	buffer_init(&run->streams[0].kept, job->limits.stdout_bytes);
	buffer_init(&run->streams[1].kept, job->limits.stderr_bytes);
	run->decoder = frame_decoder_new(job->token, job->limits.result_bytes);
	return run->decoder ? 0 : PSB_E_MEMORY;
}

void run_free(struct run *run)
{
	buffer_free(&run->streams[0].kept);
	buffer_free(&run->streams[1].kept);
	frame_decoder_free(run->decoder);
	run->decoder = NULL;
}

struct keep_context {
	struct run *run;
	struct run_stream *stream;
};

static void keep(void *context, const uint8_t *data, size_t len)
{
	const struct keep_context *keeping = context;
	struct run_stream *stream = keeping->stream;
	size_t room = buffer_room(&stream->kept);

	if (stream->cut)
		return;
	if (len > room) {
		len = utf8_cut(data, len, room);
		stream->cut = true;
	}
	if (buffer_append(&stream->kept, data, len))
		keeping->run->no_memory = true;
}

static void show(struct run *run, int index, size_t from)
{
	const struct psb_request *request = &run->job->request;
	const struct run_stream *stream = &run->streams[index];

	if (request->on_output && stream->kept.len > from)
		request->on_output(request->context, index == 0 ? PSB_STDOUT : PSB_STDERR,
				   (const char *)stream->kept.data + from, stream->kept.len - from);
}

static void take_output(struct run *run, int index, const uint8_t *data, size_t len)
{
	struct run_stream *stream = &run->streams[index];
	struct keep_context keeping = {run, stream};
	size_t before = stream->kept.len;

	stream->seen += len;
	if (stream->cut)
		return;
	utf8_stream_feed(&stream->utf8, data, len, keep, &keeping);
	show(run, index, before);
}

static void take_stdout(void *context, const uint8_t *data, size_t len)
{
	take_output(context, 0, data, len);
}

static void take_stderr(void *context, const uint8_t *data, size_t len)
{
	take_output(context, 1, data, len);
}

static void take_frames(void *context, const uint8_t *data, size_t len)
{
	struct run *run = context;

	if (frame_decoder_feed(run->decoder, data, len))
		run->no_memory = true;
}

static void stop(struct run *run, enum stop_reason reason)
{
	if (run->stopped)
		return;
	run->stopped = true;
	run->deadline_us = clock_us() + GRACE_US;
	run->sandbox->ops->stop(run->instance, reason);
}

static bool output_over(const struct run *run, int index)
{
	const struct run_stream *stream = &run->streams[index];

	if (!stream->cut)
		return false;
	return run->job->limits.on_output_limit == PSB_OUTPUT_KILL ||
	       stream->seen > DRAIN_FACTOR * (uint64_t)stream->kept.max;
}

/* What came so far may demand an end. */
static void judge(struct run *run)
{
	run->facts.stdout_over |= output_over(run, 0);
	run->facts.stderr_over |= output_over(run, 1);
	run->facts.result_over |= frame_decoder_result_over(run->decoder);
	if (atomic_load(&run->sandbox->run_state) == RUN_CANCELLED && !run->stopped) {
		run->facts.cancelled = true;
		stop(run, STOP_CANCELLED);
	}
	if (run->no_memory)
		stop(run, STOP_PROTOCOL);
	if (run->facts.stdout_over || run->facts.stderr_over)
		stop(run, STOP_OUTPUT);
	if (run->facts.result_over)
		stop(run, STOP_RESULT);
	if (frame_decoder_ended(run->decoder))
		stop(run, STOP_FINISHED);
}

/* The engine has been silent too long: first stop, then give up. False to give up. */
static bool still_in_time(struct run *run)
{
	if (clock_us() < run->deadline_us)
		return true;
	if (run->stopped)
		return false;
	run->facts.overdue = true;
	stop(run, STOP_PROTOCOL);
	return true;
}

static size_t gather_fds(const struct run *run, struct pollfd fds[ENGINE_MAX_POLLFDS + 1])
{
	size_t count = run->sandbox->ops->pollfds(run->instance, fds);

	/* Once stopped, a cancel has nothing to say any more. */
	if (!run->stopped)
		fds[count++] = (struct pollfd){.fd = run->sandbox->wake_fd, .events = POLLIN};
	return count;
}

static int wait_for_news(const struct run *run, struct pollfd *fds, size_t count)
{
	uint64_t now = clock_us();
	uint64_t spin_end = now + (run->sandbox->may_spin ? SPIN_US : 0);
	uint64_t left_ms;

	do {
		int ready = poll(fds, count, 0);

		if (ready != 0)
			return ready;
		now = clock_us();
	} while (now < spin_end);
	left_ms = run->deadline_us > now ? (run->deadline_us - now) / 1000 + 1 : 0;
	return poll(fds, count, left_ms < 60000 ? (int)left_ms : 60000);
}

static void sleep_and_turn(struct run *run)
{
	const struct engine_ops *ops = run->sandbox->ops;
	struct pollfd fds[ENGINE_MAX_POLLFDS + 1];
	size_t count = gather_fds(run, fds);
	int template_fd = ops->template_fd(run->sandbox->tmpl);

	if (wait_for_news(run, fds, count) <= 0)
		return;
	for (size_t i = 0; i < count; i++) {
		if (fds[i].revents == 0)
			continue;
		if (fds[i].fd == run->sandbox->wake_fd)
			sandbox_drain_wake(run->sandbox);
		else if (fds[i].fd == template_fd && ops->turn(run->sandbox->tmpl, NULL))
			run->template_dead = true;
	}
}

static bool has_ended(const struct run *run)
{
	enum instance_state state = run->sandbox->ops->state(run->instance);

	return state == INSTANCE_ENDED || state == INSTANCE_FAILED;
}

static void pump_until_end(struct run *run)
{
	const struct engine_sink sink = {take_stdout, take_stderr, take_frames, run};
	const struct engine_ops *ops = run->sandbox->ops;

	for (;;) {
		bool was_stopped = run->stopped;

		if (ops->pump(run->instance, &sink, NULL)) {
			run->evidence.instance_lost = true;
			return;
		}
		if (has_ended(run))
			return;
		judge(run);
		if (run->stopped != was_stopped)
			continue;
		if (run->template_dead || !still_in_time(run)) {
			run->evidence.instance_lost = true;
			return;
		}
		sleep_and_turn(run);
	}
}

static void finish_streams(struct run *run)
{
	for (int i = 0; i < 2; i++) {
		struct keep_context keeping = {run, &run->streams[i]};
		size_t before = run->streams[i].kept.len;

		utf8_stream_finish(&run->streams[i].utf8, keep, &keeping);
		show(run, i, before);
		run->facts.stdout_over |= i == 0 && output_over(run, i);
		run->facts.stderr_over |= i == 1 && output_over(run, i);
	}
	run->facts.result_over |= frame_decoder_result_over(run->decoder);
	run->facts.stdout_cut = run->streams[0].cut;
	run->facts.stderr_cut = run->streams[1].cut;
}

void run_to_end(struct run *run)
{
	bool lost;

	run->deadline_us = clock_us() + run->job->limits.wall_ms * 1000 + GRACE_US;
	pump_until_end(run);
	lost = run->evidence.instance_lost;
	run->sandbox->ops->evidence(run->instance, &run->evidence);
	run->evidence.instance_lost |= lost;
	if (run->facts.overdue)
		run->evidence.instance_lost = false;
	finish_streams(run);
}
