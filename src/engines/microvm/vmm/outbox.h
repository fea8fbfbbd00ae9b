/* Events on their way to the library: gathered, so that a small execution needs one write. */
#ifndef PSB_VMM_OUTBOX_H
#define PSB_VMM_OUTBOX_H

#include <stddef.h>
#include <stdint.h>

#define OUTBOX_BYTES (1u << 19)

struct outbox {
	int fd;
	uint8_t *buffer; /* OUTBOX_BYTES */
	size_t start;
	size_t end;
};

int outbox_open(struct outbox *outbox, int fd);
/* Adds one event of at most VM_EVENT_MAX_BYTES, writing what is there first if there is no room.
 * 0, -EINTR (nothing was added: call again), or -EPIPE. */
int outbox_add(struct outbox *outbox, uint32_t type, const void *data, uint32_t bytes);
int outbox_flush(struct outbox *outbox); /* 0, -EINTR (call again), -EPIPE */

#endif
