/*
 * Frames: the guest's voice on the result pipe.
 *
 * The token, the cap and the buffers live here, in C, so that a program that breaks Python's own
 * modules by accident can still be reported on. A program that means to can forge frames; that is
 * its own outcome and nobody else's (src/ipc/frame.h).
 *
 * Writes keep the GIL: while an outcome is being sent no daemon thread of the program runs.
 * Only the process that received the request speaks; copies that the program forked stay silent. In a
 * machine there are none, and nobody asks: there a system call costs as much as all the rest of this.
 */
#include "psb_json.h"

#include "ipc/frame.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define RESULT_FRAME_BYTES (64u << 10)

uint8_t psb_token[16];
uint64_t psb_result_cap;

static pid_t own_pid; /* 0: there can be no copies */
static uint8_t result_buffer[FRAME_HEADER_BYTES + RESULT_FRAME_BYTES];
static size_t held; /* a last result frame waits in result_buffer, to leave with the end frame */
static uint8_t end_buffer[FRAME_HEADER_BYTES + FRAME_MAX_END_BYTES];

void psb_emit_own(bool copies)
{
	own_pid = copies ? getpid() : 0;
}

static bool is_copy(void)
{
	return own_pid != 0 && getpid() != own_pid;
}

static void put_u32(uint8_t *out, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(value >> (8 * i));
}

/* Drops what has been written from the front of the two pieces. */
static void advance(struct iovec pieces[2], size_t done)
{
	for (int i = 0; i < 2; i++) {
		size_t part = done < pieces[i].iov_len ? done : pieces[i].iov_len;

		pieces[i].iov_base = (uint8_t *)pieces[i].iov_base + part;
		pieces[i].iov_len -= part;
		done -= part;
	}
}

static int write_all(struct iovec pieces[2])
{
	while (pieces[0].iov_len + pieces[1].iov_len > 0) {
		ssize_t done = writev(PSB_RESULT_FD, pieces, 2);

		if (done >= 0) {
			advance(pieces, (size_t)done);
		} else if (errno == EAGAIN) {
			struct pollfd wait = {.fd = PSB_RESULT_FD, .events = POLLOUT};

			(void)poll(&wait, 1, -1);
		} else if (errno != EINTR) {
			return -1;
		}
	}
	return 0;
}

/* `frame` has room for the header in front of its len payload bytes. */
static void put_header(uint8_t *frame, uint32_t type, size_t len)
{
	memcpy(frame, psb_token, sizeof(psb_token));
	put_u32(frame + 16, type);
	put_u32(frame + 20, (uint32_t)len);
}

/* Sends what was held back, and the frame after it. */
static int send_frame(uint8_t *frame, uint32_t type, size_t len)
{
	struct iovec pieces[2] = {{result_buffer, held}, {frame, FRAME_HEADER_BYTES + len}};

	held = 0;
	if (is_copy())
		return 0;
	put_header(frame, type, len);
	return write_all(pieces);
}

void sink_open(struct sink *sink, enum sink_mode mode)
{
	bool end = mode == SINK_END;

	*sink = (struct sink){.mode = mode};
	sink->data = (end ? end_buffer : result_buffer) + FRAME_HEADER_BYTES;
	sink->room = end ? FRAME_MAX_END_BYTES : RESULT_FRAME_BYTES;
}

static int flush_result(struct sink *sink)
{
	int rc = 0;

	if (sink->mode == SINK_RESULT && sink->used > 0) {
		rc = send_frame(result_buffer, FRAME_RESULT, sink->used);
		sink->sent += sink->used;
		sink->over = rc != 0 || sink->sent > psb_result_cap;
	}
	sink->used = 0;
	return sink->over ? -1 : 0;
}

int sink_put_slow(struct sink *sink, const void *data, size_t len)
{
	const uint8_t *from = data;

	while (len > 0) {
		size_t part = sink->room - sink->used;

		part = part < len ? part : len;
		memcpy(sink->data + sink->used, from, part);
		sink->used += part;
		from += part;
		len -= part;
		if (sink->used < sink->room)
			continue;
		if (sink->mode == SINK_END) {
			sink->over = true;
			return -1;
		}
		if (flush_result(sink) != 0)
			return -1;
	}
	return 0;
}

int sink_close(struct sink *sink)
{
	if (sink->mode == SINK_END)
		return send_frame(end_buffer, FRAME_END, sink->used);
	sink->sent += sink->used;
	sink->over |= sink->sent > psb_result_cap;
	if (sink->mode == SINK_NOWHERE || sink->used == 0)
		return 0;
	put_header(result_buffer, FRAME_RESULT, sink->used);
	held = FRAME_HEADER_BYTES + sink->used;
	return 0;
}

void sink_overflow(struct sink *sink)
{
	static const char filler[4096];

	while (!sink->over && sink->mode == SINK_RESULT)
		if (sink_put(sink, filler, sizeof(filler)) != 0)
			break;
	sink->over = true;
}

static PyObject *emit(enum sink_mode mode, PyObject *args)
{
	struct sink sink;
	PyObject *value;
	PyObject *convert;

	if (!PyArg_ParseTuple(args, "OO", &value, &convert))
		return NULL;
	sink_open(&sink, mode);
	if (psb_encode(&sink, value, convert, false) != 0 && !sink.over)
		return NULL;
	PyErr_Clear();
	if (!sink.over)
		(void)sink_close(&sink);
	return PyBool_FromLong(!sink.over);
}

/* emit_result(value, convert) -> bool: False when the cap was passed. */
PyObject *psb_emit_result(PyObject *module, PyObject *args)
{
	(void)module;
	return emit(SINK_RESULT, args);
}

/* The same work without a byte sent: touches the pages that a real result will need. */
PyObject *psb_emit_nowhere(PyObject *module, PyObject *args)
{
	(void)module;
	return emit(SINK_NOWHERE, args);
}

/* Used when even the outcome's texts cannot be had, for want of memory as a rule. */
static void emit_end_bare(const char *type)
{
	char text[256];
	int len = snprintf(text, sizeof(text),
			   "{\"status\":\"error\",\"exit_code\":1,\"error\":{\"type\":\"%s\","
			   "\"message\":\"the outcome could not be built\",\"traceback\":\"\","
			   "\"line\":0},\"limits_hit\":[%s],\"denied_imports\":[],"
			   "\"has_result\":false}",
			   type, strcmp(type, "MemoryError") == 0 ? "\"memory\"" : "");
	struct sink sink;

	sink_open(&sink, SINK_END);
	(void)sink_put(&sink, text, (size_t)len);
	(void)sink_close(&sink);
}

/* emit_end(dict): always sends exactly one end frame, then ends the process. */
PyObject *psb_emit_end(PyObject *module, PyObject *args)
{
	struct sink sink;
	PyObject *value;

	(void)module;
	if (!PyArg_ParseTuple(args, "O", &value))
		return NULL;
	sink_open(&sink, SINK_END);
	if (psb_encode(&sink, value, Py_None, true) == 0) {
		(void)sink_close(&sink);
	} else {
		emit_end_bare(PyErr_ExceptionMatches(PyExc_MemoryError) ? "MemoryError"
									: "RunnerError");
		PyErr_Clear();
	}
	psb_await_stop();
	_exit(0);
}
