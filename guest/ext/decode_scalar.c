/*
 * Strings, numbers and words of JSON. Every look ahead stops at the NUL behind the text at the
 * latest, since no token can contain one.
 */
#include "psb_decode.h"

#include <stdlib.h>
#include <string.h>

void *decode_wrong(const struct decoder *decoder, const char *what)
{
	if (!PyErr_Occurred())
		PyErr_Format(PyExc_ValueError, "inputs: %s at byte %zd", what,
			     (Py_ssize_t)(decoder->at - decoder->start));
	return NULL;
}

void decode_space(struct decoder *decoder)
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
		    : decode_wrong(decoder, "bad escape");
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
			return decode_wrong(decoder, "unterminated string");
		if (*to == '\\') {
			escaped = true;
			if (*++to == '\0')
				return decode_wrong(decoder, "unterminated string");
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
	return value ? value : decode_wrong(decoder, "bad number");
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
		return decode_wrong(decoder, "bad number");
	return PyFloat_FromDouble(number);
}

static PyObject *read_number(struct decoder *decoder)
{
	const char *from = decoder->at;
	const char *digits = from + (*from == '-');
	const char *at = skip_digits(digits);
	bool real = false;

	if (at == digits || (*digits == '0' && at > digits + 1))
		return decode_wrong(decoder, "bad value");
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
	} words[] = {{"null", 4}, {"true", 4}, {"false", 5}};
	PyObject *const values[] = {Py_None, Py_True, Py_False};

	for (size_t i = 0; i < 3; i++) {
		if (strncmp(decoder->at, words[i].text, words[i].len) != 0)
			continue;
		decoder->at += words[i].len;
		Py_INCREF(values[i]);
		return values[i];
	}
	return decode_wrong(decoder, "bad value");
}

PyObject *decode_scalar(struct decoder *decoder)
{
	if (*decoder->at == '"')
		return read_string(decoder);
	if (*decoder->at == '-' || (*decoder->at >= '0' && *decoder->at <= '9'))
		return read_number(decoder);
	return read_word(decoder);
}

PyObject *decode_key(struct decoder *decoder)
{
	const char *from = decoder->at + 1;
	const char *quote = strchr(from, '"');
	size_t len = quote ? (size_t)(quote - from) : 0;
	struct known_key *slot;
	PyObject *key;

	if (len == 0 || len > 64 || memchr(from, '\\', len))
		return read_string(decoder);
	slot = &decoder->known[(len * 31 + (size_t)from[0] * 7 + (size_t)from[len - 1]) %
			       KNOWN_KEYS];
	if (slot->key && slot->len == len && memcmp(slot->text, from, len) == 0) {
		decoder->at = quote + 1;
		Py_INCREF(slot->key);
		return slot->key;
	}
	key = read_string(decoder);
	if (!key)
		return NULL;
	Py_XDECREF(slot->key);
	Py_INCREF(key);
	*slot = (struct known_key){.text = from, .len = len, .key = key};
	return key;
}
