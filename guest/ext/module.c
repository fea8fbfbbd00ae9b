/*
 * `_psb`: the C part of the inner runner, one stable-ABI module for every CPython >= 3.9. It is
 * loaded by psb_start.py, never put into sys.modules, and is guest: untrusted once user code runs.
 */
#include "psb_json.h"

#include <sys/mman.h>

/* compile_source(bytes, filename: bytes): as the interpreter compiles its main script. Unlike the
 * built-in compile() it does not make the types of the ast module first, which takes longer than
 * a small program. The source must hold no NUL. */
static PyObject *compile_source(PyObject *module, PyObject *args)
{
	PyObject *source;
	PyObject *filename;

	(void)module;
	if (!PyArg_ParseTuple(args, "SS", &source, &filename))
		return NULL;
	return Py_CompileString(PyBytes_AsString(source), PyBytes_AsString(filename),
				Py_file_input);
}

/* room_for(bytes): is there address space for a mapping of that size, such as a thread's stack? */
static PyObject *room_for(PyObject *module, PyObject *args)
{
	Py_ssize_t bytes;
	void *place;

	(void)module;
	if (!PyArg_ParseTuple(args, "n", &bytes))
		return NULL;
	place = mmap(NULL, (size_t)bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		     -1, 0);
	if (place == MAP_FAILED)
		Py_RETURN_FALSE;
	(void)munmap(place, (size_t)bytes);
	Py_RETURN_TRUE;
}

/* Sixty-four calls of a small function: without the call's ceremony they take a sixth. */
static PyObject *call_with(PyObject *function, PyObject *argument)
{
	if (PyCFunction_Check(function) && PyCFunction_GetFlags(function) == METH_O)
		return PyCFunction_GetFunction(function)(PyCFunction_GetSelf(function), argument);
	return PyObject_CallFunctionObjArgs(function, argument, NULL);
}

/* Ignores the signal if it has a handler in Python, other than the spared one. 0, or -1: exception. */
static int ignore_handled(PyObject *const given[4], long number)
{
	PyObject *boxed = PyLong_FromLong(number);
	PyObject *handler = boxed ? call_with(given[0], boxed) : NULL;
	PyObject *before = NULL;
	int rc = handler ? 0 : -1;

	if (handler && handler != given[3] && PyCallable_Check(handler)) {
		before = PyObject_CallFunctionObjArgs(given[1], boxed, given[2], NULL);
		rc = before ? 0 : -1;
	}
	Py_XDECREF(before);
	Py_XDECREF(handler);
	Py_XDECREF(boxed);
	return rc;
}

/* ignore_handled(getsignal, signal, SIG_IGN, spared, last): no handler of the program's from here
 * on, but for `spared`. */
static PyObject *ignore_all_handled(PyObject *module, PyObject *args)
{
	PyObject *given[4];
	long last;

	(void)module;
	if (!PyArg_ParseTuple(args, "OOOOl", &given[0], &given[1], &given[2], &given[3], &last))
		return NULL;
	for (long number = 1; number <= last; number++)
		if (ignore_handled(given, number) != 0)
			return NULL;
	Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
	{"serve", psb_serve, METH_VARARGS, "Be a template; returns in instances only."},
	{"ready", psb_ready, METH_VARARGS, "Tell the keeper that this instance can be used."},
	{"is_populated", psb_is_populated, METH_NOARGS, "Are the pages of a request there?"},
	{"is_scout", psb_is_scout, METH_NOARGS, "Does this instance run nobody's program?"},
	{"read_request", psb_read_request, METH_VARARGS, "Read the one request."},
	{"emit_result", psb_emit_result, METH_VARARGS, "Send the result, streamed."},
	{"emit_nowhere", psb_emit_nowhere, METH_VARARGS, "Encode a value and send nothing."},
	{"emit_end", psb_emit_end, METH_VARARGS, "Send the end frame."},
	{"compile", compile_source, METH_VARARGS, "Compile a program."},
	{"run_between", psb_run_between, METH_VARARGS, "What run() calls before and after."},
	{"run", psb_run, METH_VARARGS, "Run the program; the hook for an uncaught exception."},
	{"ignore_handled", ignore_all_handled, METH_VARARGS, "Ignore signals that have handlers."},
	{"room_for", room_for, METH_VARARGS, "Is there address space for so many bytes?"},
	{"expect", psb_expect, METH_VARARGS, "The import list to expect."},
	{"guard", psb_guard, METH_VARARGS, "Judge imports from now on."},
	{"unguard", psb_unguard, METH_VARARGS, "Judge no imports any more."},
	{"__import__", (PyCFunction)(void (*)(void))psb_guard_import, METH_VARARGS | METH_KEYWORDS,
	 "Import a module."},
	{"import_module", (PyCFunction)(void (*)(void))psb_guard_import_module,
	 METH_VARARGS | METH_KEYWORDS, "Import a module."},
	{NULL, NULL, 0, NULL},
};

static int add_error(PyObject *module, const char *name, const char *qualified, PyObject **slot)
{
	*slot = PyErr_NewException(qualified, PyExc_Exception, NULL);
	if (!*slot)
		return -1;
	return PyObject_SetAttrString(module, name, *slot);
}

static int module_exec(PyObject *module)
{
	if (add_error(module, "ResultError", "pysandbox.ResultError", &psb_result_error) != 0)
		return -1;
	return add_error(module, "ResultLimit", "pysandbox.ResultLimit", &psb_result_limit);
}

static PyModuleDef_Slot slots[] = {
	{Py_mod_exec, (void *)module_exec},
	{0, NULL},
};

static PyModuleDef definition = {
	PyModuleDef_HEAD_INIT, .m_name = "_psb", .m_doc = "The C part of pysandbox's inner runner.",
	.m_methods = methods,  .m_slots = slots,
};

PyMODINIT_FUNC PyInit__psb(void);

PyMODINIT_FUNC PyInit__psb(void)
{
	return PyModuleDef_Init(&definition);
}
