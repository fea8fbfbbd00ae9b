/*
 * Runs the program with no Python frame below its own, as the interpreter runs a script: a stack
 * that is walked, printed or counted looks as it does outside.
 *
 * run() is the interpreter's hook for an uncaught exception, which psb_start.py raises at its end:
 * C calls it when all frames of the runner are gone. It never returns: end() leaves the process.
 *
 * A handler of the program's signals runs between two bytecodes, of the runner's too, and may raise.
 * So what has to be done before such handlers can be taken away is called from here one by one: what
 * one raises does not keep the next from being called.
 * Guest code: trusted by nobody.
 */
#include "psb_json.h"

/* Up to 3.11 the hook's own call counts against the program's recursion limit. */
#define LAST_COUNTED 0x030c0000

#define MOST_TRIES 20

static PyObject *begin;
static PyObject *raised;
static PyObject *closing; /* a tuple of functions */
static PyObject *settle;  /* after it no handler of the program is left */
static PyObject *end;
static PyObject *tracers[2]; /* sys.settrace and sys.setprofile */

/* run_between(begin, raised, closing, settle, end, settrace, setprofile) */
PyObject *psb_run_between(PyObject *module, PyObject *args)
{
	(void)module;
	if (!PyArg_ParseTuple(args, "OOO!OOOO", &begin, &raised, &PyTuple_Type, &closing, &settle,
			      &end, &tracers[0], &tracers[1]))
		return NULL;
	Py_INCREF(args); /* and so all that is in it */
	Py_RETURN_NONE;
}

/* The exception that is set, or NULL. */
static PyObject *take_exception(void)
{
	PyObject *type = NULL;
	PyObject *value = NULL;
	PyObject *trace = NULL;

	PyErr_Fetch(&type, &value, &trace);
	if (!type)
		return NULL;
	PyErr_NormalizeException(&type, &value, &trace);
	if (value && trace)
		(void)PyException_SetTraceback(value, trace);
	Py_XDECREF(type);
	Py_XDECREF(trace);
	return value;
}

/* Did it return? */
static bool call_alone(PyObject *function)
{
	PyObject *done = PyObject_CallObject(function, NULL);
	bool returned = done != NULL;

	PyErr_Clear();
	Py_XDECREF(done);
	return returned;
}

static void close_program(void)
{
	for (Py_ssize_t i = 0; i < PyTuple_Size(closing); i++)
		(void)call_alone(PyTuple_GetItem(closing, i));
	for (int i = 0; i < MOST_TRIES && !call_alone(settle); i++)
		;
}

/* The program's tracers must not see the runner. A handler of its signals may come in between. */
static void stop_tracing(void)
{
	for (int i = 0; i < 6; i++) {
		PyObject *done = PyObject_CallFunctionObjArgs(tracers[i % 2], Py_None, NULL);

		if (!done)
			PyErr_Clear();
		Py_XDECREF(done);
	}
}

static bool hook_is_counted(void)
{
	PyObject *version = PySys_GetObject("hexversion");

	return version && PyLong_AsLong(version) < LAST_COUNTED;
}

/* `ready` is (code, names). */
static void run_code(PyObject *ready)
{
	PyObject *names = PyTuple_GetItem(ready, 1);
	bool counted = hook_is_counted();
	PyObject *value;

	if (counted)
		Py_LeaveRecursiveCall();
	value = PyEval_EvalCode(PyTuple_GetItem(ready, 0), names, names);
	if (counted && Py_EnterRecursiveCall("") != 0)
		PyErr_Clear();
	Py_XDECREF(value);
}

PyObject *psb_run(PyObject *module, PyObject *args)
{
	PyObject *ready = PyObject_CallObject(begin, NULL);
	PyObject *reported = Py_None;
	PyObject *error;

	(void)module;
	(void)args;
	if (ready && PyTuple_Check(ready))
		run_code(ready);
	error = take_exception();
	stop_tracing();
	Py_XDECREF(ready);
	if (error)
		reported = PyObject_CallFunctionObjArgs(raised, error, NULL);
	PyErr_Clear();
	Py_XDECREF(error); /* and what its frames hold, before the end clears up */
	close_program();
	return PyObject_CallFunctionObjArgs(end, reported ? Py_True : Py_False, NULL);
}
