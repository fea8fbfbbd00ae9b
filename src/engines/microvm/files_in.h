/* Writes a guest's workspace, as its kernel describes it, into a directory. */
#ifndef PSB_MICROVM_FILES_IN_H
#define PSB_MICROVM_FILES_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../../guest/kernel/abi.h"

#define FILES_IN_NAME_BYTES 4096u
#define FILES_IN_DEPTH 16u

struct files_in {
	int dir_fd;             /* borrowed */
	uint64_t bytes_allowed; /* that may still come */
	uint64_t entries_allowed;
	uint8_t head[sizeof(struct file_record)];
	size_t head_bytes;
	struct file_record record; /* valid when the head is whole */
	char name[FILES_IN_NAME_BYTES + 1];
	size_t name_bytes;
	uint64_t left; /* of the data */
	int fd;        /* file that is being written, or -1 */
	int error;     /* errno of the first failure; nothing is taken after it */
};

/* Feeds bytes in pieces of any size. Names that could lead elsewhere end it with EBADMSG; what is
 * over the allowance with ENOSPC. Links and what lies too deep are left out. */
void files_in_feed(struct files_in *in, const uint8_t *data, size_t len);
/* All that came was whole. */
bool files_in_complete(const struct files_in *in);
void files_in_close(struct files_in *in);

#endif
