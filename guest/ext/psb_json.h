/*
 * What the parts of `_psb` share among themselves: the frame writer, the JSON encoder and decoder.
 */
#ifndef PSB_JSON_H
#define PSB_JSON_H

#include "psb_ext.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* The outcome nests the result one level down and promises at most 200 levels in all. */
#define PSB_ENCODE_DEPTH 199
#define PSB_DECODE_DEPTH 200

/* Since 3.10 in the limited API, but exported by 3.9 as well. */
#if Py_LIMITED_API + 0 < 0x030a0000
extern PyAPI_FUNC(const char *) PyUnicode_AsUTF8AndSize(PyObject *text, Py_ssize_t *size);
#endif

extern PyObject *psb_result_error; /* the value cannot be returned; the message names its path */
extern PyObject *psb_result_limit; /* raised by convert(): encoded, it would be over the cap */

enum sink_mode { SINK_RESULT, SINK_END, SINK_NOWHERE };

/* Where encoded bytes go. SINK_RESULT streams frames, SINK_END collects one frame. */
struct sink {
	enum sink_mode mode;
	bool over; /* the cap is passed: nothing more is worth encoding */
	uint8_t *data;
	size_t used;
	size_t room;
	uint64_t sent;
};

void sink_open(struct sink *sink, enum sink_mode mode);
int sink_put_slow(struct sink *sink, const void *data, size_t len);

/* 0, or -1 when there is no use in going on: the cap is passed or the pipe is gone. */
static inline int sink_put(struct sink *sink, const void *data, size_t len)
{
	if (len >= sink->room - sink->used)
		return sink_put_slow(sink, data, len);
	memcpy(sink->data + sink->used, data, len);
	sink->used += len;
	return 0;
}

/* The same returns; len bytes of UTF-8, escaped and in quotes. */
int psb_put_quoted(struct sink *sink, const char *text, size_t len);
int psb_put_long(struct sink *sink, long long number);
int psb_put_double(struct sink *sink, double number);
int sink_close(struct sink *sink);
/* Sends filler until the host must see that the cap is exceeded. */
void sink_overflow(struct sink *sink);

/* Encodes value; lenient: strings that are not valid Unicode are escaped instead of refused.
 * Returns 0, or -1 with a Python exception, or -1 without one when sink->over. */
int psb_encode(struct sink *sink, PyObject *value, PyObject *convert, bool lenient);

/* `text` must be followed by a NUL. revive(dict) is called for objects with a key "$type"; NULL
 * leaves them alone. Returns a new reference or NULL with ValueError. */
PyObject *psb_decode(const char *text, size_t len, PyObject *revive);

/* guard.c */
PyObject *psb_guard(PyObject *module, PyObject *args);
PyObject *psb_unguard(PyObject *module, PyObject *args);
PyObject *psb_guard_import(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *psb_guard_import_module(PyObject *module, PyObject *args, PyObject *kwargs);

/* emit.c */
PyObject *psb_emit_nowhere(PyObject *module, PyObject *args);
void psb_emit_own(bool copies); /* this process speaks; can it have copies? */

#endif
