/*
 * The first run of an interpreter on the microVM engine builds its image, which takes seconds: a
 * person should see why nothing happens, and a script's log should not fill up with it.
 */
#include <stdio.h>
#include <unistd.h>

#include "cli.h"

#define PATIENCE_US UINT64_C(1000000)
#define CLEAR_LINE "\r\033[K"

static struct {
	bool on_line; /* the terminal's cursor stands behind our line */
	bool told;
	uint64_t since_us;
} shown;

static void show_on_terminal(const char *text)
{
	char line[120];
	int len = snprintf(line, sizeof(line), CLEAR_LINE "building an image: %.70s", text);

	if (len > 0 && write_all(STDERR_FILENO, line, (size_t)len) == 0)
		shown.on_line = true;
}

void progress_show(void *context, const char *text)
{
	uint64_t now = now_us();

	(void)context;
	if (!shown.since_us)
		shown.since_us = now;
	if (isatty(STDERR_FILENO)) {
		show_on_terminal(text);
	} else if (!shown.told && now - shown.since_us > PATIENCE_US) {
		shown.told = true;
		complain("building an image of this interpreter, which later runs will find (%s)",
			 text);
	}
}

void progress_watch(struct psb_options *options)
{
	options->progress = progress_show;
}

void progress_end(void)
{
	if (shown.on_line)
		(void)write_all(STDERR_FILENO, CLEAR_LINE, sizeof(CLEAR_LINE) - 1);
	shown.on_line = false;
}
