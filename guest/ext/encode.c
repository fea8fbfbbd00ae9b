/*
 * Python values to JSON text, as docs/values.md says.
 *
 * The walk keeps its own stack of at most PSB_ENCODE_DEPTH levels: no C recursion, a cycle shows
 * as an ancestor met again, and the stack spells the path of whatever is refused. Bytes stream into
 * the sink as they come; structures that share themselves exponentially end at the result's cap.
 *
 * The values are the program's and may change under the walk (daemon threads run while convert()
 * does): every reference is owned while in use and every index is checked at each step.
 */
#include "psb_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum level_kind { LEVEL_LIST, LEVEL_TUPLE, LEVEL_DICT, LEVEL_PAIRS };

struct level {
	PyObject *identity;  /* the program's object: what cycles are judged by; owned */
	PyObject *container; /* what is walked: the same or a plain replacement; owned */
	PyObject *key;       /* dict kinds: of the value in progress; owned */
	Py_ssize_t position;
	Py_ssize_t count; /* members begun */
	enum level_kind kind;
};

struct encoder {
	struct sink *sink;
	PyObject *convert;
	bool lenient;
	size_t used;
	size_t depth; /* of the JSON text: a pairs level counts three */
	struct level levels[PSB_ENCODE_DEPTH];
};

PyObject *psb_result_error;
PyObject *psb_result_limit;

static size_t add_step(const struct level *level, char *out, size_t room)
{
	const char *name;
	int len;

	if (level->kind == LEVEL_LIST || level->kind == LEVEL_TUPLE) {
		len = snprintf(out, room, "[%zd]", level->count - 1);
	} else {
		name = level->key && PyUnicode_Check(level->key)
			       ? PyUnicode_AsUTF8AndSize(level->key, NULL)
			       : NULL;
		PyErr_Clear();
		if (name && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					 "0123456789_") == strlen(name))
			len = snprintf(out, room, ".%.100s", name);
		else
			len = snprintf(out, room, "[\"%.100s\"]", name ? name : "?");
	}
	return len < 0 ? 0 : (size_t)len < room ? (size_t)len : room - 1;
}

static void spell_path(const struct encoder *encoder, char *out, size_t room)
{
	size_t len = (size_t)snprintf(out, room, "result");
	size_t shown = encoder->used > 24 ? 20 : encoder->used;

	for (size_t i = 0; i < shown && len + 160 < room; i++)
		len += add_step(&encoder->levels[i], out + len, room - len);
	if (shown < encoder->used)
		(void)snprintf(out + len, room - len, "...");
}

/* A cut in the middle of a character must not spoil the message. */
static void raise_text(const char *text)
{
	PyObject *message = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");

	if (message)
		PyErr_SetObject(psb_result_error, message);
	Py_XDECREF(message);
}

static int refuse(const struct encoder *encoder, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int refuse(const struct encoder *encoder, const char *format, ...)
{
	char text[2048];
	size_t len;
	va_list ap;

	spell_path(encoder, text, sizeof(text) / 2);
	len = strlen(text);
	len += (size_t)snprintf(text + len, sizeof(text) - len, ": ");
	va_start(ap, format);
	(void)vsnprintf(text + len, sizeof(text) - len, format, ap);
	va_end(ap);
	raise_text(text);
	return -1;
}

static inline int put(struct encoder *encoder, const char *text)
{
	return sink_put(encoder->sink, text, strlen(text));
}

static int put_lenient(struct encoder *encoder, PyObject *value)
{
	PyObject *bytes = PyUnicode_AsEncodedString(value, "utf-8", "backslashreplace");
	int rc;

	if (!bytes)
		return -1;
	rc = psb_put_quoted(encoder->sink, PyBytes_AsString(bytes), (size_t)PyBytes_Size(bytes));
	Py_DECREF(bytes);
	return rc;
}

static int put_string(struct encoder *encoder, PyObject *value)
{
	Py_ssize_t len = 0;
	const char *text = PyUnicode_AsUTF8AndSize(value, &len);

	if (text)
		return psb_put_quoted(encoder->sink, text, (size_t)len);
	if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
		return -1;
	PyErr_Clear();
	if (encoder->lenient)
		return put_lenient(encoder, value);
	return refuse(encoder, "a string holds half of a surrogate pair, which JSON cannot carry");
}

static int check_cycle(const struct encoder *encoder, PyObject *value)
{
	for (size_t i = 0; i < encoder->used; i++)
		if (encoder->levels[i].identity == value)
			return refuse(encoder, "the value contains itself");
	return 0;
}

static int push(struct encoder *encoder, PyObject *identity, PyObject *container,
		enum level_kind kind)
{
	size_t weight = kind == LEVEL_PAIRS ? 3 : 1;
	const char *open = kind == LEVEL_DICT    ? "{"
			   : kind == LEVEL_PAIRS ? "{\"$type\":\"dict\",\"value\":["
						 : "[";

	if (encoder->depth + weight > PSB_ENCODE_DEPTH)
		return refuse(encoder, "nested deeper than %d levels", PSB_ENCODE_DEPTH);
	if (put(encoder, open) != 0)
		return -1;
	Py_INCREF(identity);
	Py_INCREF(container);
	encoder->levels[encoder->used++] =
		(struct level){.identity = identity, .container = container, .kind = kind};
	encoder->depth += weight;
	return 0;
}

static int pop(struct encoder *encoder)
{
	struct level *level = &encoder->levels[--encoder->used];
	enum level_kind kind = level->kind;

	encoder->depth -= kind == LEVEL_PAIRS ? 3 : 1;
	Py_XDECREF(level->key);
	Py_DECREF(level->container);
	Py_DECREF(level->identity);
	return put(encoder, kind == LEVEL_DICT ? "}" : kind == LEVEL_PAIRS ? "]}" : "]");
}

enum key_check { KEYS_PLAIN, KEYS_TYPED, KEYS_SUBCLASS, KEYS_BAD };

/* One look at all keys. Only exact str keys are known to be different texts. */
static enum key_check check_keys(PyObject *dict)
{
	enum key_check found = KEYS_PLAIN;
	Py_ssize_t position = 0;
	PyObject *key;

	while (PyDict_Next(dict, &position, &key, NULL)) {
		if (!PyUnicode_Check(key))
			return KEYS_BAD;
		if (!PyUnicode_CheckExact(key))
			found = KEYS_SUBCLASS;
		else if (found == KEYS_PLAIN && PyUnicode_GetLength(key) == 5 &&
			 PyUnicode_CompareWithASCIIString(key, "$type") == 0)
			found = KEYS_TYPED;
	}
	return found;
}

static int put_dict(struct encoder *encoder, PyObject *identity, PyObject *dict, bool raw)
{
	enum key_check keys = check_keys(dict);

	if (keys == KEYS_BAD)
		return refuse(encoder, "a dict has a key that is not a str");
	if (keys == KEYS_SUBCLASS)
		return refuse(encoder, "a dict has a key of a class derived from str");
	return push(encoder, identity, dict, keys == KEYS_TYPED && !raw ? LEVEL_PAIRS : LEVEL_DICT);
}

/* Everything C knows by exact type, and subclasses whose own storage says it all. 1: not known. */
static int put_known(struct encoder *encoder, PyObject *identity, PyObject *value, bool raw)
{
	int overflow = 0;

	if (value == Py_None)
		return put(encoder, "null");
	if (PyBool_Check(value))
		return put(encoder, value == Py_True ? "true" : "false");
	if (PyUnicode_Check(value))
		return put_string(encoder, value);
	if (PyLong_Check(value)) {
		long long number = PyLong_AsLongLongAndOverflow(value, &overflow);

		return overflow ? 1 : psb_put_long(encoder->sink, number);
	}
	if (PyFloat_Check(value))
		return psb_put_double(encoder->sink, PyFloat_AsDouble(value));
	if (!PyList_Check(value) && !PyTuple_Check(value) && !PyDict_CheckExact(value))
		return 1;
	if (check_cycle(encoder, identity) != 0)
		return -1;
	if (PyDict_CheckExact(value) && (raw || check_keys(value) != KEYS_SUBCLASS))
		return put_dict(encoder, identity, value, raw);
	if (PyDict_CheckExact(value))
		return 1;
	return push(encoder, identity, value, PyList_Check(value) ? LEVEL_LIST : LEVEL_TUPLE);
}

/* Gives an exception of convert() its path; MemoryError and the like pass as they are. */
static int conversion_failed(struct encoder *encoder)
{
	PyObject *type;
	PyObject *value;
	PyObject *trace;
	PyObject *text;
	const char *message;

	if (PyErr_ExceptionMatches(psb_result_limit)) {
		PyErr_Clear();
		sink_overflow(encoder->sink);
		return -1;
	}
	if (!PyErr_ExceptionMatches(psb_result_error))
		return -1;
	PyErr_Fetch(&type, &value, &trace);
	text = value ? PyObject_Str(value) : NULL;
	message = text ? PyUnicode_AsUTF8AndSize(text, NULL) : NULL;
	PyErr_Clear();
	(void)refuse(encoder, "%s", message ? message : "the value cannot be converted");
	Py_XDECREF(text);
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(trace);
	return -1;
}

/* convert(obj) -> (raw, plain): raw dicts are "$type" forms and are not escaped again. */
static int put_converted(struct encoder *encoder, PyObject *value)
{
	PyObject *pair;
	PyObject *plain;
	int rc;

	if (encoder->convert == Py_None)
		return refuse(encoder, "not a plain value");
	if (check_cycle(encoder, value) != 0)
		return -1;
	pair = PyObject_CallFunctionObjArgs(encoder->convert, value, NULL);
	if (!pair)
		return conversion_failed(encoder);
	if (!PyTuple_CheckExact(pair) || PyTuple_Size(pair) != 2) {
		Py_DECREF(pair);
		return refuse(encoder, "the value cannot be converted");
	}
	plain = PyTuple_GetItem(pair, 1);
	rc = put_known(encoder, value, plain, PyTuple_GetItem(pair, 0) == Py_True);
	if (rc == 1)
		rc = refuse(encoder, "the value cannot be converted");
	Py_DECREF(pair);
	return rc;
}

static int put_value(struct encoder *encoder, PyObject *value)
{
	int rc = put_known(encoder, value, value, false);

	return rc == 1 ? put_converted(encoder, value) : rc;
}

static int step_sequence(struct encoder *encoder, struct level *level)
{
	bool list = level->kind == LEVEL_LIST;
	Py_ssize_t size = list ? PyList_Size(level->container) : PyTuple_Size(level->container);
	PyObject *item;
	int rc;

	if (level->position >= size)
		return pop(encoder);
	item = list ? PyList_GetItem(level->container, level->position)
		    : PyTuple_GetItem(level->container, level->position);
	if (!item)
		return -1;
	Py_INCREF(item);
	level->position++;
	rc = level->count++ > 0 ? put(encoder, ",") : 0;
	if (rc == 0)
		rc = put_value(encoder, item);
	Py_DECREF(item);
	return rc;
}

static int put_member(struct encoder *encoder, struct level *level, PyObject *value)
{
	bool pairs = level->kind == LEVEL_PAIRS;
	Py_ssize_t length = PyUnicode_Check(level->key) ? PyUnicode_GetLength(level->key) : -1;

	if (length < 0)
		return refuse(encoder, "a dict has a key that is not a str");
	if (level->count++ > 0 && put(encoder, pairs ? "],[" : ",") != 0)
		return -1;
	if (level->count == 1 && pairs && put(encoder, "[") != 0)
		return -1;
	if (put_string(encoder, level->key) != 0 || put(encoder, pairs ? "," : ":") != 0)
		return -1;
	return put_value(encoder, value);
}

static int step_dict(struct encoder *encoder, struct level *level)
{
	PyObject *key;
	PyObject *value;
	PyObject *old = level->key;
	int rc;

	if (!PyDict_Next(level->container, &level->position, &key, &value)) {
		if (level->kind == LEVEL_PAIRS && level->count > 0 && put(encoder, "]") != 0)
			return -1;
		return pop(encoder);
	}
	Py_INCREF(key);
	Py_INCREF(value);
	level->key = key;
	Py_XDECREF(old);
	rc = put_member(encoder, level, value);
	Py_DECREF(value);
	return rc;
}

static int walk(struct encoder *encoder)
{
	int rc = 0;

	while (rc == 0 && encoder->used > 0) {
		struct level *level = &encoder->levels[encoder->used - 1];

		if (level->kind == LEVEL_LIST || level->kind == LEVEL_TUPLE)
			rc = step_sequence(encoder, level);
		else
			rc = step_dict(encoder, level);
	}
	return rc;
}

int psb_encode(struct sink *sink, PyObject *value, PyObject *convert, bool lenient)
{
	struct encoder encoder = {.sink = sink, .convert = convert, .lenient = lenient};
	int rc = put_value(&encoder, value);

	if (rc == 0)
		rc = walk(&encoder);
	while (encoder.used > 0) {
		struct level *level = &encoder.levels[--encoder.used];

		Py_XDECREF(level->key);
		Py_DECREF(level->container);
		Py_DECREF(level->identity);
	}
	return rc;
}
