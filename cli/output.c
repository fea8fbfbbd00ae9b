/*
 * Output of the commands. Guest text goes through write_all() untouched; messages of our own are
 * one line each, prefixed, on stderr. A reader that went away is reported to the caller, never by
 * a signal: main() has replaced SIGPIPE's default action.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* The descriptor may be somebody's non-blocking pipe: wait for room instead of spinning. */
int write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd room = {.fd = fd, .events = POLLOUT};

			(void)poll(&room, 1, -1);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static __attribute__((format(printf, 1, 0))) void complain_va(const char *format, va_list args)
{
	char line[1024] = "pysandbox: ";
	size_t start = strlen(line);
	int n = vsnprintf(line + start, sizeof(line) - start - 1, format, args);

	progress_end();
	if (n < 0)
		return;
	start = strlen(line);
	line[start] = '\n';
	(void)write_all(STDERR_FILENO, line, start + 1);
}

void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain_va(format, args);
	va_end(args);
}

int usage_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain_va(format, args);
	va_end(args);
	return CLI_USAGE;
}

/* What the caller can mend is exit code 2; a host that fails is the code of "unavailable". */
int call_failed(const struct psb_error *err)
{
	switch (err->code) {
	case PSB_E_INVALID:
	case PSB_E_POLICY:
	case PSB_E_TOO_LARGE:
	case PSB_E_NOT_FOUND: return usage_error("%s", err->message);
	default: complain("%s", err->message); return psb_status_exit_code(PSB_UNAVAILABLE, 0);
	}
}

void print_json_text(const char *text)
{
	putchar('"');
	for (const char *p = text; *p; p++) {
		unsigned char byte = (unsigned char)*p;

		if (byte == '"' || byte == '\\')
			printf("\\%c", byte);
		else if (byte < 0x20)
			printf("\\u%04x", byte);
		else
			putchar(byte);
	}
	putchar('"');
}
