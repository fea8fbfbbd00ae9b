/*
 * The texts of JSON's scalars, written into a sink. Nothing here knows Python objects or trusts a
 * length that it was not given.
 */
#include "psb_json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int put_escape(struct sink *sink, unsigned char c)
{
	static const char shorts[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
				      ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};
	char text[8];

	if (c < sizeof(shorts) && shorts[c])
		(void)snprintf(text, sizeof(text), "\\%c", shorts[c]);
	else
		(void)snprintf(text, sizeof(text), "\\u%04x", c);
	return sink_put(sink, text, strlen(text));
}

int psb_put_quoted(struct sink *sink, const char *text, size_t len)
{
	size_t start = 0;

	if (sink_put(sink, "\"", 1) != 0)
		return -1;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		if (sink_put(sink, text + start, i - start) != 0 || put_escape(sink, c) != 0)
			return -1;
		start = i + 1;
	}
	if (sink_put(sink, text + start, len - start) != 0)
		return -1;
	return sink_put(sink, "\"", 1);
}

int psb_put_long(struct sink *sink, long long number)
{
	char text[24];
	char *at = text + sizeof(text);
	unsigned long long rest =
		number < 0 ? 0 - (unsigned long long)number : (unsigned long long)number;

	do
		*--at = (char)('0' + rest % 10);
	while (rest /= 10);
	if (number < 0)
		*--at = '-';
	return sink_put(sink, at, (size_t)(text + sizeof(text) - at));
}

static int put_not_finite(struct sink *sink, const char *name)
{
	char text[48];
	int len = snprintf(text, sizeof(text), "{\"$type\":\"float\",\"value\":\"%s\"}", name);

	return sink_put(sink, text, (size_t)len);
}

int psb_put_double(struct sink *sink, double number)
{
	char *text;
	int rc;

	if (isnan(number))
		return put_not_finite(sink, "nan");
	if (isinf(number))
		return put_not_finite(sink, number > 0 ? "inf" : "-inf");
	text = PyOS_double_to_string(number, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
	if (!text)
		return -1;
	rc = sink_put(sink, text, strlen(text));
	PyMem_Free(text);
	return rc;
}
