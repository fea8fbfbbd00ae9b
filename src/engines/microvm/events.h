/* Reads a worker's events: the library's decoder for bytes that a guest may have made. */
#ifndef PSB_MICROVM_EVENTS_H
#define PSB_MICROVM_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol.h"

#define EVENTS_SMALL_BYTES 512u

struct events {
	uint8_t head[sizeof(struct vm_event)];
	uint32_t head_bytes;
	struct vm_event event; /* valid when the head is whole */
	uint32_t left;         /* of the event's bytes */
	uint8_t small[EVENTS_SMALL_BYTES];
	uint32_t small_bytes;
	bool broken; /* the bytes made no sense: nothing is delivered any more */
};

struct events_sink {
	/* A piece of VM_STDOUT, VM_STDERR, VM_RESULT or VM_FILES. */
	void (*on_data)(void *context, uint32_t type, const uint8_t *data, size_t len);
	/* Any other event, whole. */
	void (*on_event)(void *context, uint32_t type, const uint8_t *data, size_t len);
	void *context;
};

/* Feeds bytes in pieces of any size. False: they are no events. */
bool events_feed(struct events *events, const uint8_t *data, size_t len,
		 const struct events_sink *sink);

#endif
