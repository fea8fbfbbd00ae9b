/*
 * Inside of the guest extension module `_psb` (one stable-ABI module for every CPython >= 3.9).
 * zygote.c makes instances; request.c reads the request; encode.c and decode.c turn values into
 * JSON and back; emit.c writes frames; module.c ties them together. All of it is guest: untrusted
 * once the user's code runs.
 */
#ifndef PSB_EXT_H
#define PSB_EXT_H

#define Py_LIMITED_API 0x03090000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

/* Fixed numbers above any RLIMIT_NOFILE given to a guest, so its own descriptors begin at 3. */
#define PSB_RESULT_FD 250
#define PSB_REQUEST_FD 251
#define PSB_CONTROL_FD 252 /* zygote only; closed before the first request byte */

/* zygote.c */
PyObject *psb_serve(PyObject *module, PyObject *args); /* returns in instances only */
PyObject *psb_is_populated(PyObject *module, PyObject *args);
PyObject *psb_ready(PyObject *module, PyObject *args);
PyObject *psb_is_scout(PyObject *module, PyObject *args);
void psb_await_stop(void);

/* request.c: read_request(revive, machine) -> (source: bytes, inputs: dict|None, options: dict,
 * result_bytes: int). Files are written beneath the current directory; the token stays in C. */
PyObject *psb_read_request(PyObject *module, PyObject *args);
PyObject *psb_expect(PyObject *module, PyObject *args);

/* emit.c: emit_result(value, convert) streams FRAME_RESULT frames; convert(obj) is called for
 * types that C does not know and returns a plain replacement. emit_end(dict) writes FRAME_END and
 * ends the process. */
PyObject *psb_emit_result(PyObject *module, PyObject *args);
PyObject *psb_emit_end(PyObject *module, PyObject *args);

/* run.c */
PyObject *psb_run_between(PyObject *module, PyObject *args);
PyObject *psb_run(PyObject *module, PyObject *args);

/* A keeper ends this instance once its end frame is out; else it ends by itself. */
extern bool psb_kept;

extern uint8_t psb_token[16];
extern uint64_t psb_result_cap;

#endif
