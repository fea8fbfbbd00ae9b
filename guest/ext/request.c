/*
 * Reads the one request of this instance (src/ipc/request.h) and closes the pipe.
 *
 * The host wrote it, yet every length is checked before use: a torn request ends in an exception.
 * Files go from the pipe to the workspace piece by piece, so that their size does not count
 * against the program's memory.
 */
#include "psb_json.h"

#include "ipc/request.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REQUEST_MAX_OPTIONS_BYTES (4u << 20)
#define REQUEST_MAX_FILES 256u
#define REQUEST_MAX_NAME_BYTES 4096u
#define KEPT_SOURCE_BYTES (1 << 20)

struct reader {
	uint64_t left; /* of the request, not yet taken */
	size_t start;
	size_t filled;
	uint8_t buffer[64u << 10];
};

static struct reader reader;

static uint64_t get_uint(const uint8_t *data, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)data[i] << (8 * i);
	return value;
}

static int torn(const char *what)
{
	PyErr_Format(PyExc_EOFError, "request: %s", what);
	return -1;
}

static ssize_t read_some(uint8_t *data, size_t len)
{
	ssize_t got;

	Py_BEGIN_ALLOW_THREADS do got = read(PSB_REQUEST_FD, data, len);
	while (got < 0 && errno == EINTR)
		;
	Py_END_ALLOW_THREADS return got;
}

/* Exactly len bytes; what the buffer lacks is read straight to its place. */
static int take(uint8_t *data, uint64_t len)
{
	if (len > reader.left)
		return torn("a part is longer than the whole");
	reader.left -= len;
	while (len > 0) {
		size_t ready = reader.filled - reader.start;
		ssize_t got;

		if (ready > 0) {
			ready = ready < len ? ready : (size_t)len;
			memcpy(data, reader.buffer + reader.start, ready);
			reader.start += ready;
			data += ready;
			len -= ready;
			continue;
		}
		if (len >= sizeof(reader.buffer)) {
			got = read_some(data, (size_t)len);
			if (got > 0) {
				data += got;
				len -= (uint64_t)got;
			}
		} else {
			got = read_some(reader.buffer, sizeof(reader.buffer));
			reader.start = 0;
			reader.filled = got > 0 ? (size_t)got : 0;
		}
		if (got <= 0)
			return torn("it ends too early");
	}
	return 0;
}

/* len bytes and a NUL; the caller frees. */
static char *take_text(uint64_t len)
{
	char *text = len < SIZE_MAX ? malloc((size_t)len + 1) : NULL;

	if (!text) {
		PyErr_NoMemory();
		return NULL;
	}
	if (take((uint8_t *)text, len) != 0) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	return text;
}

static PyObject *take_bytes(uint64_t len)
{
	PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)len);

	if (bytes && take((uint8_t *)PyBytes_AsString(bytes), len) != 0)
		Py_CLEAR(bytes);
	return bytes;
}

static PyObject *take_json(uint64_t len, PyObject *revive)
{
	char *text = take_text(len);
	PyObject *value = text ? psb_decode(text, (size_t)len, revive) : NULL;

	free(text);
	return value;
}

/* The options of a request that brings the expected import list and asks for nothing else; what they
 * decode to, with `true` in the list's place; and where that member begins. */
static char *expected;
static size_t expected_len;
static PyObject *expected_options;
#define EXPECTED_LIST (sizeof(REQUEST_PLAIN_OPTIONS) - sizeof("\"imports\":"))

static PyObject *decode_expected(void)
{
	static const char text[] = REQUEST_PLAIN_OPTIONS "true}";

	return psb_decode(text, sizeof(text) - 1, NULL);
}

/* expect(bytes) -> dict: the import list, as text, that requests are expected to bring. */
PyObject *psb_expect(PyObject *module, PyObject *args)
{
	static const char head[] = REQUEST_PLAIN_OPTIONS;
	const char *text;
	Py_ssize_t len;
	char *copy;

	(void)module;
	if (!PyArg_ParseTuple(args, "y#", &text, &len))
		return NULL;
	copy = malloc(sizeof(head) + (size_t)len);
	if (!copy)
		return PyErr_NoMemory();
	memcpy(copy, head, sizeof(head) - 1);
	memcpy(copy + sizeof(head) - 1, text, (size_t)len);
	copy[sizeof(head) - 1 + (size_t)len] = '}';
	free(expected);
	expected = copy;
	expected_len = sizeof(head) + (size_t)len;
	Py_XDECREF(expected_options);
	expected_options = decode_expected();
	return expected_options ? psb_decode(text, (size_t)len, NULL) : NULL;
}

/* Quotes within a string are escaped, so nothing but the member itself can match. */
static void replace_expected(char *text, size_t len)
{
	static const char known[] = "\"imports\":true";
	size_t list_len = expected_len - EXPECTED_LIST - 1;
	char *found = memmem(text, len, expected + EXPECTED_LIST, list_len);

	if (!found || list_len < sizeof(known))
		return;
	memset(found, ' ', list_len);
	memcpy(found, known, sizeof(known) - 1);
}

/* Reading a list of names and making a set of them takes longer than a small program. Where the
 * list is the expected one, `true` stands in its place. */
static PyObject *take_options(uint64_t len)
{
	char *text = take_text(len);
	PyObject *value = NULL;

	if (text && expected_options && len == expected_len && memcmp(text, expected, len) == 0) {
		Py_INCREF(expected_options);
		value = expected_options;
	} else if (text) {
		if (expected)
			replace_expected(text, (size_t)len);
		value = psb_decode(text, (size_t)len, NULL);
	}
	free(text);
	return value;
}

/* Relative, beneath the workspace. */
static bool name_is_safe(const char *name)
{
	if (*name == '\0' || *name == '/')
		return false;
	for (const char *part = name; part; part = strchr(part, '/')) {
		part += *part == '/';
		if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
			return false;
	}
	return true;
}

static int open_target(char *name)
{
	int fd;

	for (char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(name, 0777) != 0 && errno != EEXIST) {
			PyErr_SetFromErrnoWithFilename(PyExc_OSError, name);
			return -1;
		}
		*slash = '/';
	}
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd < 0)
		PyErr_SetFromErrnoWithFilename(PyExc_OSError, name);
	return fd;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t done = write(fd, data, len);

		if (done < 0 && errno != EINTR)
			return -1;
		if (done > 0) {
			data += done;
			len -= (size_t)done;
		}
	}
	return 0;
}

static int copy_file(int fd, const char *name, uint64_t len)
{
	static uint8_t piece[64u << 10];

	while (len > 0) {
		size_t part = len < sizeof(piece) ? (size_t)len : sizeof(piece);

		if (take(piece, part) != 0)
			return -1;
		if (write_all(fd, piece, part) != 0) {
			PyErr_SetFromErrnoWithFilename(PyExc_OSError, name);
			return -1;
		}
		len -= part;
	}
	return 0;
}

static int take_file(void)
{
	uint8_t head[16];
	uint64_t name_len;
	char *name;
	int fd;
	int rc = -1;

	if (take(head, sizeof(head)) != 0)
		return -1;
	name_len = get_uint(head, 4);
	if (name_len > REQUEST_MAX_NAME_BYTES)
		return torn("a file name is too long");
	name = take_text(name_len);
	if (!name)
		return -1;
	if (strlen(name) != name_len || !name_is_safe(name)) {
		free(name);
		return torn("a file name is not beneath the workspace");
	}
	fd = open_target(name);
	if (fd >= 0) {
		rc = copy_file(fd, name, get_uint(head + 8, 8));
		(void)close(fd);
	}
	free(name);
	return rc;
}

/* The program as the file that its __file__ names, so that open(__file__), linecache and the
 * interpreter's own displays find it. For convenience only: a file of the request that has the name
 * goes first, a workspace without room has none. */
static void keep_source(PyObject *options, PyObject *source)
{
	bool wanted = PyDict_GetItemString(options, "keep_source") == Py_True;
	PyObject *filename = wanted ? PyDict_GetItemString(options, "filename") : NULL;
	const char *name = filename ? PyUnicode_AsUTF8AndSize(filename, NULL) : NULL;
	Py_ssize_t len = PyBytes_Size(source);
	int fd = -1;

	PyErr_Clear();
	if (name && name[0] != '<' && !strchr(name, '/') && name_is_safe(name) &&
	    len <= KEPT_SOURCE_BYTES)
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd < 0)
		return;
	if (write_all(fd, (const uint8_t *)PyBytes_AsString(source), (size_t)len) != 0)
		(void)unlink(name);
	(void)close(fd);
}

static PyObject *take_parts(const uint8_t *head, PyObject *revive)
{
	uint64_t file_count = get_uint(head + 36, 4);
	PyObject *source = take_bytes(get_uint(head + 24, 4));
	PyObject *inputs = NULL;
	PyObject *options = NULL;
	PyObject *parts = NULL;

	if (source && get_uint(head + 28, 4) > 0) {
		inputs = take_json(get_uint(head + 28, 4), revive);
	} else if (source) {
		Py_INCREF(Py_None);
		inputs = Py_None;
	}
	if (inputs)
		options = take_options(get_uint(head + 32, 4));
	while (options && file_count > 0 && take_file() == 0)
		file_count--;
	if (options && file_count == 0 && PyDict_Check(options)) {
		keep_source(options, source);
		parts = Py_BuildValue("(OOOK)", source, inputs, options,
				      (unsigned long long)psb_result_cap);
	}
	Py_XDECREF(source);
	Py_XDECREF(inputs);
	Py_XDECREF(options);
	return parts;
}

static int check_head(const uint8_t *head)
{
	if (get_uint(head, 4) != REQUEST_MAGIC || get_uint(head + 4, 4) != REQUEST_VERSION)
		return torn("not a request of this version");
	if (get_uint(head + 24, 4) > REQUEST_MAX_SOURCE_BYTES ||
	    get_uint(head + 28, 4) > REQUEST_MAX_INPUTS_BYTES ||
	    get_uint(head + 32, 4) > REQUEST_MAX_OPTIONS_BYTES ||
	    get_uint(head + 36, 4) > REQUEST_MAX_FILES)
		return torn("a part is over its limit");
	if (get_uint(head + 40, 8) < REQUEST_HEADER_BYTES)
		return torn("the total is too small");
	return 0;
}

/* read_request(revive, machine) -> (source, inputs or None, options, result_bytes) */
PyObject *psb_read_request(PyObject *module, PyObject *args)
{
	uint8_t head[REQUEST_HEADER_BYTES];
	PyObject *revive;
	PyObject *parts = NULL;
	int machine;

	(void)module;
	if (!PyArg_ParseTuple(args, "Op", &revive, &machine))
		return NULL;
	psb_emit_own(!machine);
	reader.left = sizeof(head);
	if (take(head, sizeof(head)) == 0 && check_head(head) == 0) {
		memcpy(psb_token, head + 8, sizeof(psb_token));
		psb_result_cap = get_uint(head + 48, 8);
		reader.left = get_uint(head + 40, 8) - REQUEST_HEADER_BYTES;
		parts = take_parts(head, revive);
	}
	(void)close(PSB_REQUEST_FD);
	return parts;
}
