/*
 * Theory of operation: see outbox.h. A write may be interrupted by a timer, whose turn the caller
 * then takes: the wall limit holds while the host application does not read.
 * Trust boundary: the data are the guest's and are passed on as they are.
 */
#include "outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../protocol.h"

int outbox_open(struct outbox *outbox, int fd)
{
	*outbox = (struct outbox){.fd = fd, .buffer = malloc(OUTBOX_BYTES)};
	return outbox->buffer ? 0 : -ENOMEM;
}

int outbox_flush(struct outbox *outbox)
{
	while (outbox->start < outbox->end) {
		ssize_t n = write(outbox->fd, outbox->buffer + outbox->start,
				  outbox->end - outbox->start);

		if (n < 0)
			return errno == EINTR ? -EINTR : -EPIPE;
		outbox->start += (size_t)n;
	}
	outbox->start = outbox->end = 0;
	return 0;
}

int outbox_add(struct outbox *outbox, uint32_t type, const void *data, uint32_t bytes)
{
	const struct vm_event event = {.type = type, .bytes = bytes};

	if (sizeof(event) + bytes > OUTBOX_BYTES - outbox->end) {
		int rc = outbox_flush(outbox);

		if (rc < 0)
			return rc;
	}
	memcpy(outbox->buffer + outbox->end, &event, sizeof(event));
	memcpy(outbox->buffer + outbox->end + sizeof(event), data, bytes);
	outbox->end += sizeof(event) + bytes;
	return 0;
}
