/*
 * The import list: advice, not a wall (the kernel's wall holds without it).
 *
 * builtins.__import__ and importlib.import_module become C functions, so that no frame of ours
 * shows in the program's tracebacks and ordinary imports cost one set look-up more. Only names that
 * the lists speak of reach the Python function decide(), which judges by who asks.
 */
#include "psb_json.h"

#include <string.h>

static PyObject *original_import;
static PyObject *original_import_module;
static PyObject *listed;  /* set of top-level names */
static PyObject *decide;  /* (name, fromlist, globals) -> refusal or None */
static int refuse_listed; /* 1: deny list, 0: allow list */

static PyObject *first_argument(PyObject *args, PyObject *kwargs)
{
	if (PyTuple_Size(args) > 0)
		return PyTuple_GetItem(args, 0);
	return kwargs ? PyDict_GetItemString(kwargs, "name") : NULL;
}

/* 1: the lists speak of it, 0: they do not, -1: exception. */
static int is_listed(PyObject *name)
{
	Py_ssize_t dot = PyUnicode_FindChar(name, '.', 0, PyUnicode_GetLength(name), 1);
	PyObject *top = name;
	int found;

	if (dot == -2)
		return -1;
	if (dot >= 0)
		top = PyUnicode_Substring(name, 0, dot);
	if (!top)
		return -1;
	found = PySet_Contains(listed, top);
	if (dot >= 0)
		Py_DECREF(top);
	return found < 0 ? -1 : found == refuse_listed;
}

static int raise_refusal(PyObject *name, PyObject *text)
{
	PyObject *args = PyTuple_Pack(1, text);
	PyObject *kwargs = PyDict_New();
	PyObject *error = NULL;

	if (args && kwargs && PyDict_SetItemString(kwargs, "name", name) == 0)
		error = PyObject_Call(PyExc_ImportError, args, kwargs);
	if (error)
		PyErr_SetObject(PyExc_ImportError, error);
	Py_XDECREF(error);
	Py_XDECREF(kwargs);
	Py_XDECREF(args);
	return -1;
}

static int judge(PyObject *name, PyObject *fromlist)
{
	PyObject *globals = PyEval_GetGlobals();
	PyObject *text;
	int rc = is_listed(name);

	if (rc != 1)
		return rc;
	text = PyObject_CallFunctionObjArgs(decide, name, fromlist ? fromlist : Py_None,
					    globals ? globals : Py_None, NULL);
	if (!text)
		return -1;
	rc = text == Py_None ? 0 : raise_refusal(name, text);
	Py_DECREF(text);
	return rc;
}

/* Named as the function that it stands for: pickle, say, looks it up under its module's name. */
static PyObject *stand_in(PyObject *module, const char *name, const char *home)
{
	PyObject *function = PyObject_GetAttrString(module, name);
	PyObject *text = PyUnicode_FromString(home);

	if (function && (!text || PyObject_SetAttrString(function, "__module__", text) != 0))
		Py_CLEAR(function);
	Py_XDECREF(text);
	return function;
}

/* importlib is not loaded at start; it is patched when it comes. */
static int patch_importlib(PyObject *module)
{
	PyObject *name = PyUnicode_FromString("importlib");
	PyObject *importlib = name ? PyImport_GetModule(name) : NULL;
	PyObject *guarded = importlib ? stand_in(module, "import_module", "importlib") : NULL;
	int rc = PyErr_Occurred() ? -1 : 0;

	if (guarded && PyObject_HasAttrString(importlib, "import_module")) {
		original_import_module = PyObject_GetAttrString(importlib, "import_module");
		rc = PyObject_SetAttrString(importlib, "import_module", guarded);
	}
	Py_XDECREF(guarded);
	Py_XDECREF(importlib);
	Py_XDECREF(name);
	return rc;
}

static int is_importlib(PyObject *name)
{
	const char *text = PyUnicode_AsUTF8AndSize(name, NULL);

	PyErr_Clear();
	return text && strncmp(text, "importlib", 9) == 0;
}

static long level_of(PyObject *args, PyObject *kwargs)
{
	PyObject *level = kwargs ? PyDict_GetItemString(kwargs, "level") : NULL;
	long number;

	if (PyTuple_Size(args) > 4)
		level = PyTuple_GetItem(args, 4);
	number = level && PyLong_Check(level) ? PyLong_AsLong(level) : 0;
	PyErr_Clear();
	return number;
}

PyObject *psb_guard_import(PyObject *module, PyObject *args, PyObject *kwargs)
{
	PyObject *name = first_argument(args, kwargs);
	PyObject *fromlist = kwargs ? PyDict_GetItemString(kwargs, "fromlist") : NULL;
	PyObject *imported;
	bool plain = name && PyUnicode_Check(name) && level_of(args, kwargs) == 0;

	if (PyTuple_Size(args) > 3)
		fromlist = PyTuple_GetItem(args, 3);
	if (plain && judge(name, fromlist) != 0)
		return NULL;
	imported = PyObject_Call(original_import, args, kwargs);
	if (imported && !original_import_module && plain && is_importlib(name) &&
	    patch_importlib(module) != 0)
		PyErr_Clear();
	return imported;
}

PyObject *psb_guard_import_module(PyObject *module, PyObject *args, PyObject *kwargs)
{
	PyObject *name = first_argument(args, kwargs);

	(void)module;
	if (name && PyUnicode_Check(name) && PyUnicode_GetLength(name) > 0 &&
	    PyUnicode_ReadChar(name, 0) != '.' && judge(name, NULL) != 0)
		return NULL;
	return PyObject_Call(original_import_module, args, kwargs);
}

/* Of a deny list the first part of each name: what is beneath is for decide(). Of an allow list the
 * names without a dot: all else is. */
static int list_name(PyObject *set, PyObject *name)
{
	Py_ssize_t dot;
	PyObject *top;
	int rc;

	if (!PyUnicode_Check(name))
		return 0;
	dot = PyUnicode_FindChar(name, '.', 0, PyUnicode_GetLength(name), 1);
	if (dot < 0)
		return dot == -1 ? PySet_Add(set, name) : -1;
	if (!refuse_listed)
		return 0;
	top = PyUnicode_Substring(name, 0, dot);
	rc = top ? PySet_Add(set, top) : -1;
	Py_XDECREF(top);
	return rc;
}

static PyObject *list_names(PyObject *names)
{
	PyObject *set = PySet_New(NULL);
	Py_ssize_t count = PySequence_Size(names);

	if (!set || count < 0) {
		Py_XDECREF(set);
		return NULL;
	}
	for (Py_ssize_t i = 0; i < count; i++) {
		PyObject *name = PySequence_GetItem(names, i);
		int rc = name ? list_name(set, name) : -1;

		Py_XDECREF(name);
		if (rc != 0) {
			Py_DECREF(set);
			return NULL;
		}
	}
	return set;
}

static int put_in_place(PyObject *module, PyObject *builtins)
{
	PyObject *guarded = stand_in(module, "__import__", "builtins");
	int rc = -1;

	original_import = PyObject_GetAttrString(builtins, "__import__");
	if (original_import && guarded)
		rc = PyObject_SetAttrString(builtins, "__import__", guarded);
	Py_XDECREF(guarded);
	return rc != 0 ? rc : patch_importlib(module);
}

/* guard(builtins_module, names, refuse_listed, decide): from now on imports are judged, by these
 * names. */
PyObject *psb_guard(PyObject *module, PyObject *args)
{
	PyObject *builtins;
	PyObject *names;
	PyObject *judge_by;
	PyObject *set;

	if (!PyArg_ParseTuple(args, "OOiO", &builtins, &names, &refuse_listed, &judge_by))
		return NULL;
	set = list_names(names);
	if (!set)
		return NULL;
	Py_XDECREF(listed);
	listed = set;
	Py_INCREF(judge_by);
	Py_XDECREF(decide);
	decide = judge_by;
	if (!original_import && put_in_place(module, builtins) != 0)
		return NULL;
	Py_RETURN_NONE;
}

/* unguard(builtins_module): as if guard() had not been called. */
PyObject *psb_unguard(PyObject *module, PyObject *args)
{
	PyObject *builtins;
	PyObject *name = PyUnicode_FromString("importlib");
	PyObject *importlib = name ? PyImport_GetModule(name) : NULL;
	int rc = PyErr_Occurred() ? -1 : 0;

	(void)module;
	Py_XDECREF(name);
	if (rc == 0 && !PyArg_ParseTuple(args, "O", &builtins))
		rc = -1;
	if (rc == 0 && original_import)
		rc = PyObject_SetAttrString(builtins, "__import__", original_import);
	if (rc == 0 && original_import_module && importlib)
		rc = PyObject_SetAttrString(importlib, "import_module", original_import_module);
	Py_CLEAR(original_import);
	Py_CLEAR(original_import_module);
	Py_XDECREF(importlib);
	if (rc != 0)
		return NULL;
	Py_RETURN_NONE;
}
