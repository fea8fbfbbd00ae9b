/*
 * Reads the few counters that every execution's end needs. The files stay open between executions:
 * one pread(2) each.
 * Trust: the kernel's text.
 */
#include "cgroup/counters.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t counter_text(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return n;
}

uint64_t counter_keyed(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		if (*line == '\n')
			line++;
		if (strncmp(line, key, len) == 0 && line[len] == ' ')
			return strtoull(line + len, NULL, 10);
	}
	return 0;
}

uint64_t counter_cpu_us(int fd, bool unified)
{
	char text[512];

	if (counter_text(fd, text, sizeof(text)) <= 0)
		return 0;
	return unified ? counter_keyed(text, "usage_usec") : strtoull(text, NULL, 10) / 1000;
}

uint64_t counter_peak_bytes(int fd)
{
	char text[64];

	return fd >= 0 && counter_text(fd, text, sizeof(text)) > 0 ? strtoull(text, NULL, 10) : 0;
}

uint64_t counter_refusals(int fd)
{
	char text[64];

	return counter_text(fd, text, sizeof(text)) > 0 ? counter_keyed(text, "max") : 0;
}
