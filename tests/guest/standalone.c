/*
 * A test build of `_psb` without zygote and cage: serve() returns at once, ready() does nothing,
 * so that the runner can be tested as an ordinary process.
 */
#include "../../guest/ext/psb_ext.h"

PyObject *psb_serve(PyObject *module, PyObject *args)
{
	(void)module;
	(void)args;
	Py_RETURN_NONE;
}

PyObject *psb_ready(PyObject *module, PyObject *args)
{
	(void)module;
	(void)args;
	Py_RETURN_NONE;
}
