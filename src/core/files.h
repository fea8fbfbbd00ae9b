/* Files in (before a run) and out (after it). */
#ifndef PSB_CORE_FILES_H
#define PSB_CORE_FILES_H

#include "core/outcome.h"
#include "ipc/request.h"
#include "pysandbox.h"

#define FILES_MAX_COUNT 256u
#define FILES_MAX_DEPTH 16u
#define FILES_MAX_NAME_BYTES 255u

struct input_files {
	struct request_file *items; /* names and in-memory data are the caller's */
	uint8_t **owned;            /* contents read from the host, NULL for in-memory data */
	size_t count;
};

/* Reads every file of the request into memory. PSB_E_INVALID (names), PSB_E_NOT_FOUND,
 * PSB_E_TOO_LARGE, PSB_E_MEMORY, PSB_E_SYSTEM. */
int files_load(const struct psb_request *request, const struct psb_limits *limits,
	       struct input_files *out, struct psb_error *err);
void files_free(struct input_files *files);
uint64_t files_bytes(const struct input_files *files); /* of all of them together */

/* What a run left. */
struct files_workspace {
	int fd;
	const char *own_name; /* the program's own file there: unchanged, it is no output */
	const void *own_text;
	size_t own_len;
};

/* Copies the workspace's regular files beneath output_fd and lists them in the outcome, with an
 * error where one could not be stored. *over is set when a cap was passed; what was copied before
 * stays. PSB_E_MEMORY. */
int files_collect(const struct files_workspace *workspace, int output_fd,
		  const struct psb_limits *limits, struct psb_outcome *outcome, bool *over);

#endif
