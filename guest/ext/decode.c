/*
 * JSON text to Python values. The text comes from the host, which has checked it; this side checks
 * it again, because a wrong byte must end in an exception and not in a crash of the guest.
 *
 * No recursion: open containers live on a stack of PSB_DECODE_DEPTH levels. Objects that have a key
 * "$type" are handed to revive(), which makes bytes, dates, arrays and so on of them.
 */
#include "psb_json.h"

#include <stdlib.h>
#include <string.h>

struct open_value {
	PyObject *container; /* owned */
	PyObject *key;       /* objects: the key whose value comes next; owned */
	bool typed;          /* an object with a key "$type" */
};

struct decoder {
	const char *start;
	const char *at;
	const char *end; /* *end is NUL */
	PyObject *revive;
	size_t used;
	struct open_value stack[PSB_DECODE_DEPTH];
};

static void *wrong(const struct decoder *decoder, const char *what)
{
	if (!PyErr_Occurred())
		PyErr_Format(PyExc_ValueError, "inputs: %s at byte %zd", what,
			     (Py_ssize_t)(decoder->at - decoder->start));
	return NULL;
}

static void skip_space(struct decoder *decoder)
{
	while (*decoder->at == ' ' || *decoder->at == '\n' || *decoder->at == '\t' ||
	       *decoder->at == '\r')
		decoder->at++;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static long read_hex4(const char *at)
{
	long code = 0;

	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(at[i]);

		if (digit < 0)
			return -1;
		code = code << 4 | digit;
	}
	return code;
}

/* at: behind "\u". Joins surrogate pairs; advances *at. */
static long read_unicode(const char **at)
{
	long code = read_hex4(*at);
	long low;

	if (code < 0)
		return -1;
	*at += 4;
	if (code < 0xd800 || code > 0xdbff || (*at)[0] != '\\' || (*at)[1] != 'u')
		return code;
	low = read_hex4(*at + 2);
	if (low < 0xdc00 || low > 0xdfff)
		return code;
	*at += 6;
	return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
}

static char *put_utf8(char *out, long code)
{
	if (code < 0x80) {
		*out++ = (char)code;
		return out;
	}
	if (code < 0x800) {
		*out++ = (char)(0xc0 | code >> 6);
	} else {
		if (code < 0x10000) {
			*out++ = (char)(0xe0 | code >> 12);
		} else {
			*out++ = (char)(0xf0 | code >> 18);
			*out++ = (char)(0x80 | (code >> 12 & 0x3f));
		}
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
	}
	*out++ = (char)(0x80 | (code & 0x3f));
	return out;
}

static char *put_unescaped(char *out, const char **at)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	char c = *(*at)++;
	const char *found = c ? strchr(from, c) : NULL;
	long code;

	if (found) {
		*out++ = to[found - from];
		return out;
	}
	code = c == 'u' ? read_unicode(at) : -1;
	return code < 0 ? NULL : put_utf8(out, code);
}

/* The text between the quotes, with escapes; never longer when unescaped. */
static PyObject *read_escaped(const struct decoder *decoder, const char *from, const char *to)
{
	char *buffer = malloc((size_t)(to - from));
	char *out = buffer;
	PyObject *value;

	if (!buffer)
		return PyErr_NoMemory();
	while (out && from < to) {
		if (*from != '\\') {
			*out++ = *from++;
		} else {
			from++;
			out = put_unescaped(out, &from);
		}
	}
	value = out ? PyUnicode_DecodeUTF8(buffer, out - buffer, "surrogatepass")
		    : wrong(decoder, "bad escape");
	free(buffer);
	return value;
}

static PyObject *read_string(struct decoder *decoder)
{
	const char *from = ++decoder->at;
	bool escaped = false;
	const char *to;
	PyObject *value;

	for (to = from; *to != '"'; to++) {
		if ((unsigned char)*to < 0x20)
			return wrong(decoder, "unterminated string");
		if (*to == '\\') {
			escaped = true;
			if (*++to == '\0')
				return wrong(decoder, "unterminated string");
		}
	}
	value = escaped ? read_escaped(decoder, from, to)
			: PyUnicode_DecodeUTF8(from, to - from, NULL);
	decoder->at = to + 1;
	return value;
}

static PyObject *read_big(const struct decoder *decoder, const char *from, size_t len)
{
	char *copy = malloc(len + 1);
	PyObject *value;

	if (!copy)
		return PyErr_NoMemory();
	memcpy(copy, from, len);
	copy[len] = '\0';
	value = PyLong_FromString(copy, NULL, 10);
	free(copy);
	return value ? value : wrong(decoder, "bad number");
}

static const char *skip_digits(const char *at)
{
	while (*at >= '0' && *at <= '9')
		at++;
	return at;
}

static PyObject *read_real(struct decoder *decoder, const char *from)
{
	char *stop = NULL;
	double number = PyOS_string_to_double(from, &stop, NULL);

	if (PyErr_Occurred() || stop != decoder->at)
		return wrong(decoder, "bad number");
	return PyFloat_FromDouble(number);
}

static PyObject *read_number(struct decoder *decoder)
{
	const char *from = decoder->at;
	const char *digits = from + (*from == '-');
	const char *at = skip_digits(digits);
	bool real = false;

	if (at == digits || (*digits == '0' && at > digits + 1))
		return wrong(decoder, "bad value");
	if (at[0] == '.' && at[1] >= '0' && at[1] <= '9') {
		real = true;
		at = skip_digits(at + 1);
	}
	if (*at == 'e' || *at == 'E') {
		real = true;
		at++;
		at = skip_digits(at + (*at == '+' || *at == '-'));
	}
	decoder->at = at;
	if (real)
		return read_real(decoder, from);
	if (at - digits > 18)
		return read_big(decoder, from, (size_t)(at - from));
	return PyLong_FromLongLong(strtoll(from, NULL, 10));
}

static PyObject *read_word(struct decoder *decoder)
{
	static const struct {
		const char *text;
		size_t len;
	} words[] = { { "null", 4 }, { "true", 4 }, { "false", 5 } };
	PyObject *const values[] = { Py_None, Py_True, Py_False };

	for (size_t i = 0; i < 3; i++) {
		if (strncmp(decoder->at, words[i].text, words[i].len) != 0)
			continue;
		decoder->at += words[i].len;
		Py_INCREF(values[i]);
		return values[i];
	}
	return wrong(decoder, "bad value");
}

static PyObject *read_scalar(struct decoder *decoder)
{
	if (*decoder->at == '"')
		return read_string(decoder);
	if (*decoder->at == '-' || (*decoder->at >= '0' && *decoder->at <= '9'))
		return read_number(decoder);
	return read_word(decoder);
}

static int open_container(struct decoder *decoder)
{
	bool object = *decoder->at == '{';
	PyObject *container;

	if (decoder->used == PSB_DECODE_DEPTH) {
		wrong(decoder, "nested deeper than 200 levels");
		return -1;
	}
	container = object ? PyDict_New() : PyList_New(0);
	if (!container)
		return -1;
	decoder->at++;
	decoder->stack[decoder->used++] = (struct open_value){ .container = container };
	return 0;
}

static int read_key(struct decoder *decoder, struct open_value *top)
{
	skip_space(decoder);
	if (*decoder->at != '"') {
		wrong(decoder, "expected a key");
		return -1;
	}
	Py_XDECREF(top->key);
	top->key = read_string(decoder);
	if (!top->key)
		return -1;
	if (PyUnicode_GetLength(top->key) == 5 &&
	    PyUnicode_CompareWithASCIIString(top->key, "$type") == 0)
		top->typed = true;
	skip_space(decoder);
	if (*decoder->at != ':') {
		wrong(decoder, "expected ':'");
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

		skip_space(decoder);
		object = *decoder->at == '{';
		if (!object && *decoder->at != '[')
			return read_scalar(decoder);
		if (open_container(decoder) != 0)
			return NULL;
		skip_space(decoder);
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

	skip_space(decoder);
	if (*decoder->at == (top->key ? '}' : ']'))
		return 1;
	if (*decoder->at != ',') {
		wrong(decoder, "expected ',' or an end");
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
	struct decoder decoder = { .start = text, .at = text, .end = text + len, .revive = revive };
	PyObject *value = read_document(&decoder);

	skip_space(&decoder);
	if (value && decoder.at != decoder.end) {
		Py_DECREF(value);
		value = wrong(&decoder, "bytes after the end");
	}
	while (decoder.used > 0) {
		struct open_value *left = &decoder.stack[--decoder.used];

		Py_XDECREF(left->key);
		Py_DECREF(left->container);
	}
	return value;
}
