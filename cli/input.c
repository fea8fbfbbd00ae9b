/*
 * Reads what the person named: source files, JSON for --input, policy files. The bytes are passed
 * on as they are, NUL bytes and bad UTF-8 included; Python says what is wrong with them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "core/cleanup.h"

#define FIRST_BYTES 65536u
#define INPUT_MAX_BYTES (256u << 20)

void text_free(struct text *text)
{
	free(text->data);
	*text = (struct text){0};
}

static int open_input(const char *path, int *out)
{
	struct stat st;

	if (!strcmp(path, "-")) {
		*out = dup(STDIN_FILENO);
		return *out < 0 ? usage_error("stdin: %s", strerror(errno)) : 0;
	}
	*out = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (*out < 0)
		return usage_error("%.300s: %s", path, strerror(errno));
	if (!fstat(*out, &st) && S_ISDIR(st.st_mode))
		return usage_error("%.300s: is a directory, not a file", path);
	return 0;
}

static int grow(struct text *text, size_t *room, size_t max)
{
	size_t wanted = *room ? *room * 2 : FIRST_BYTES;
	char *grown;

	if (wanted > max + 2)
		wanted = max + 2;
	grown = realloc(text->data, wanted);
	if (!grown)
		return usage_error("out of memory");
	text->data = grown;
	*room = wanted;
	return 0;
}

/* One byte over `max` is read on purpose: it tells "exactly at the limit" from "over it". */
static int read_fd(int fd, const char *path, size_t max, struct text *text)
{
	size_t room = 0;

	for (;;) {
		ssize_t n;

		if (text->len + 1 >= room && grow(text, &room, max))
			return CLI_USAGE;
		n = read(fd, text->data + text->len, room - text->len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return usage_error("%.300s: %s", path, strerror(errno));
		if (!n)
			break;
		text->len += (size_t)n;
		if (text->len > max)
			return usage_error("%.300s: larger than %zu MiB", path, max >> 20);
	}
	text->data[text->len] = '\0';
	return 0;
}

int read_file(const char *path, size_t max, struct text *out)
{
	struct text text = {0};
	auto_fd fd = -1;
	int rc = open_input(path, &fd);

	if (!rc)
		rc = read_fd(fd, strcmp(path, "-") ? path : "stdin", max, &text);
	if (rc) {
		text_free(&text);
		return rc;
	}
	*out = text;
	return 0;
}

int read_input(const char *option, struct text *text, struct psb_request *request)
{
	if (!option)
		return 0;
	if (option[0] == '@') {
		if (read_file(option + 1, INPUT_MAX_BYTES, text))
			return CLI_USAGE;
		request->inputs = text->data;
		request->inputs_len = text->len;
		return 0;
	}
	request->inputs = option;
	request->inputs_len = strlen(option);
	return 0;
}
