/*
 * What a microVM worker may say to the library: events, and in them the files of a workspace. The
 * first byte picks the piece size. Whatever comes, the caps hold and no file is made whose name
 * leads out of the directory.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engines/microvm/events.h"
#include "engines/microvm/files_in.h"
#include "fuzz.h"

#define ALLOWED_BYTES 4096u

struct counts {
	struct files_in files;
};

static void on_data(void *context, uint32_t type, const uint8_t *data, size_t len)
{
	struct counts *counts = context;

	if (len == 0 || len > VM_EVENT_MAX_BYTES)
		abort();
	if (type == VM_FILES)
		files_in_feed(&counts->files, data, len);
}

static void on_event(void *context, uint32_t type, const uint8_t *data, size_t len)
{
	(void)context;
	(void)data;
	if (len > EVENTS_SMALL_BYTES || type < VM_READY || type > VM_BROKEN)
		abort();
}

/* A closed descriptor stands for the directory: no walk can begin, all checks before it run. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct counts counts = {.files = {.dir_fd = -1,
					  .bytes_allowed = ALLOWED_BYTES,
					  .entries_allowed = 16,
					  .fd = -1}};
	const struct events_sink sink = {on_data, on_event, &counts};
	struct events events = {0};
	size_t piece = size > 0 ? data[0] % 61u + 1 : 1;

	for (size_t at = 1; at < size; at += piece)
		if (!events_feed(&events, data + at, size - at < piece ? size - at : piece, &sink))
			break;
	if (events.small_bytes > EVENTS_SMALL_BYTES ||
	    counts.files.name_bytes > FILES_IN_NAME_BYTES ||
	    counts.files.bytes_allowed > ALLOWED_BYTES)
		abort();
	files_in_close(&counts.files);
	return 0;
}
