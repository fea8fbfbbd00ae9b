/*
 * One run, step by step: moves the guest's bytes into bounded places and decides when the host must
 * stop it. What the end means is not decided here but in classify.c.
 *
 * Trust boundary: all bytes are the guest's; outputs pass the UTF-8 sanitizer and a cap, frames the
 * decoder. A run is bounded even if the engine goes silent: the wall limit plus two seconds, and
 * two seconds from a stop.
 */
#include "core/run.h"

#define GRACE_US UINT64_C(2000000)
#define DRAIN_FACTOR 64u

int run_init(struct run *run, const struct job *job)
{
	run->job = job;
	buffer_limit(&run->streams[0].kept, job->limits.stdout_bytes);
	buffer_limit(&run->streams[1].kept, job->limits.stderr_bytes);
	if (run->decoder)
		frame_decoder_renew(run->decoder, job->token, job->limits.result_bytes);
	else
		run->decoder = frame_decoder_new(job->token, job->limits.result_bytes);
	return run->decoder ? 0 : PSB_E_MEMORY;
}

/* What the streams kept has moved into the outcome, as a rule. */
void run_clear(struct run *run)
{
	buffer_free(&run->streams[0].kept);
	buffer_free(&run->streams[1].kept);
	if (run->decoder)
		frame_decoder_clear(run->decoder);
	*run = (struct run){.decoder = run->decoder};
}

void run_free(struct run *run)
{
	run_clear(run);
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

static void take_output(struct run *run, int index, const uint8_t *data, size_t len)
{
	struct run_stream *stream = &run->streams[index];
	struct keep_context keeping = {run, stream};

	stream->seen += len;
	if (!stream->cut)
		utf8_stream_feed(&stream->utf8, data, len, keep, &keeping);
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
	run->ops->stop(run->instance, reason);
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
	if (run->cancel && !run->stopped && !frame_decoder_ended(run->decoder)) {
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
		stop(run, run->job->output_fd >= 0 ? STOP_COLLECT : STOP_FINISHED);
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

static bool has_ended(const struct run *run)
{
	enum instance_state state = run->ops->state(run->instance);

	return state == INSTANCE_ENDED || state == INSTANCE_FAILED;
}

static bool has_news(const struct run *run)
{
	return run->ops->has_news && run->ops->has_news(run->instance);
}

void run_begin(struct run *run, const struct engine_ops *ops, struct engine_instance *instance)
{
	run->ops = ops;
	run->instance = instance;
	run->deadline_us = clock_us() + run->job->limits.wall_ms * 1000 + GRACE_US;
}

bool run_step(struct run *run)
{
	const struct engine_sink sink = {take_stdout, take_stderr, take_frames, run};
	bool was_stopped;

	do {
		was_stopped = run->stopped;
		if (run->ops->pump(run->instance, &sink, NULL)) {
			run->evidence.instance_lost = true;
			return true;
		}
		if (has_ended(run))
			return true;
		judge(run);
		if (run->stopped == was_stopped && !still_in_time(run)) {
			run->evidence.instance_lost = true;
			return true;
		}
		/* An engine may end at once when it is stopped; one that needs time will say so. */
	} while (run->stopped != was_stopped && (has_ended(run) || has_news(run)));
	return false;
}

static void finish_streams(struct run *run)
{
	for (int i = 0; i < 2; i++) {
		struct keep_context keeping = {run, &run->streams[i]};

		utf8_stream_finish(&run->streams[i].utf8, keep, &keeping);
		run->facts.stdout_over |= i == 0 && output_over(run, i);
		run->facts.stderr_over |= i == 1 && output_over(run, i);
	}
	run->facts.result_over |= frame_decoder_result_over(run->decoder);
	run->facts.stdout_cut = run->streams[0].cut;
	run->facts.stderr_cut = run->streams[1].cut;
}

void run_finish(struct run *run)
{
	bool lost = run->evidence.instance_lost;

	run->ops->evidence(run->instance, &run->evidence);
	run->evidence.instance_lost |= lost;
	if (run->facts.overdue)
		run->evidence.instance_lost = false;
	finish_streams(run);
}
