/*
 * JSON text to Python values. The text comes from the host, which has checked it; this side checks
 * it again, because a wrong byte must end in an exception and not in a crash of the guest.
 *
 * No recursion: open containers live on a stack of PSB_DECODE_DEPTH levels. Objects that have a key
 * "$type" are handed to revive(), which makes bytes, dates, arrays and so on of them.
 */
#include "psb_decode.h"

static int open_container(struct decoder *decoder)
{
	bool object = *decoder->at == '{';
	PyObject *container;

	if (decoder->used == PSB_DECODE_DEPTH) {
		decode_wrong(decoder, "nested deeper than 200 levels");
		return -1;
	}
	container = object ? PyDict_New() : PyList_New(0);
	if (!container)
		return -1;
	decoder->at++;
	decoder->stack[decoder->used++] = (struct open_value){.container = container};
	return 0;
}

static int read_key(struct decoder *decoder, struct open_value *top)
{
	decode_space(decoder);
	if (*decoder->at != '"') {
		decode_wrong(decoder, "expected a key");
		return -1;
	}
	Py_XDECREF(top->key);
	top->key = decode_key(decoder);
	if (!top->key)
		return -1;
	if (PyUnicode_GetLength(top->key) == 5 &&
	    PyUnicode_CompareWithASCIIString(top->key, "$type") == 0)
		top->typed = true;
	decode_space(decoder);
	if (*decoder->at != ':') {
		decode_wrong(decoder, "expected ':'");
		return -1;
	}
	decoder->at++;
	return 0;
}

/* Takes the finished top container off the stack; revives it if it is typed. */
static PyObject *close_container(struct decoder *decoder)
{
	struct open_value *top = &decoder->stack[--decoder->used];
	PyObject *value = top->container;
	PyObject *revived;

	Py_XDECREF(top->key);
	decoder->at++;
	if (!top->typed || !decoder->revive)
		return value;
	revived = PyObject_CallFunctionObjArgs(decoder->revive, value, NULL);
	Py_DECREF(value);
	return revived;
}

static int add_value(struct open_value *top, PyObject *value)
{
	if (top->key)
		return PyDict_SetItem(top->container, top->key, value);
	return PyList_Append(top->container, value);
}

/* Reads up to the next finished value: a scalar, or a container just closed. */
static PyObject *read_value(struct decoder *decoder)
{
	for (;;) {
		bool object;

		decode_space(decoder);
		object = *decoder->at == '{';
		if (!object && *decoder->at != '[')
			return decode_scalar(decoder);
		if (open_container(decoder) != 0)
			return NULL;
		decode_space(decoder);
		if (*decoder->at == (object ? '}' : ']'))
			return close_container(decoder);
		if (object && read_key(decoder, &decoder->stack[decoder->used - 1]) != 0)
			return NULL;
	}
}

/* After a value in a container: 1 when the container ended, 0 when another value follows. */
static int after_value(struct decoder *decoder)
{
	struct open_value *top = &decoder->stack[decoder->used - 1];

	decode_space(decoder);
	if (*decoder->at == (top->key ? '}' : ']'))
		return 1;
	if (*decoder->at != ',') {
		decode_wrong(decoder, "expected ',' or an end");
		return -1;
	}
	decoder->at++;
	return top->key ? read_key(decoder, top) : 0;
}

static PyObject *read_document(struct decoder *decoder)
{
	PyObject *value = read_value(decoder);

	while (value && decoder->used > 0) {
		int rc = add_value(&decoder->stack[decoder->used - 1], value);

		Py_DECREF(value);
		value = NULL;
		if (rc == 0)
			rc = after_value(decoder);
		if (rc >= 0)
			value = rc == 1 ? close_container(decoder) : read_value(decoder);
	}
	return value;
}

PyObject *psb_decode(const char *text, size_t len, PyObject *revive)
{
	struct decoder decoder = {.start = text, .at = text, .end = text + len, .revive = revive};
	PyObject *value = read_document(&decoder);

	decode_space(&decoder);
	if (value && decoder.at != decoder.end) {
		Py_DECREF(value);
		value = decode_wrong(&decoder, "bytes after the end");
	}
	while (decoder.used > 0) {
		struct open_value *left = &decoder.stack[--decoder.used];

		Py_XDECREF(left->key);
		Py_DECREF(left->container);
	}
	for (size_t i = 0; i < KNOWN_KEYS; i++)
		Py_XDECREF(decoder.known[i].key);
	return value;
}
