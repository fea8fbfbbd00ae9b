/*
 * Theory of operation: a head of eight bytes, then as many as it says. Streams are passed on piece
 * by piece as they come; the few other events are small and gathered first.
 * Trust boundary: a worker's bytes may be a guest's that has taken it over. Types and lengths are
 * checked before use; what is held is bounded by this struct; the first nonsense ends it.
 */
#include "events.h"

#include <string.h>

static bool is_stream(uint32_t type)
{
	return type == VM_STDOUT || type == VM_STDERR || type == VM_RESULT || type == VM_FILES;
}

static bool is_sound(const struct vm_event *event)
{
	if (is_stream(event->type))
		return event->bytes <= VM_EVENT_MAX_BYTES;
	return event->type >= VM_READY && event->type <= VM_BROKEN &&
	       event->bytes <= EVENTS_SMALL_BYTES;
}

static void finish(struct events *events, const struct events_sink *sink)
{
	uint32_t type = events->event.type;

	events->head_bytes = 0;
	if (!is_stream(type))
		sink->on_event(sink->context, type, events->small, events->small_bytes);
	events->small_bytes = 0;
}

static size_t take_head(struct events *events, const uint8_t *data, size_t len)
{
	size_t missing = sizeof(events->head) - events->head_bytes;
	size_t taken = len < missing ? len : missing;

	memcpy(events->head + events->head_bytes, data, taken);
	events->head_bytes += (uint32_t)taken;
	if (events->head_bytes == sizeof(events->head)) {
		memcpy(&events->event, events->head, sizeof(events->event));
		events->left = events->event.bytes;
		events->broken = !is_sound(&events->event);
	}
	return taken;
}

static size_t take_bytes(struct events *events, const uint8_t *data, size_t len,
			 const struct events_sink *sink)
{
	size_t taken = len < events->left ? len : events->left;

	if (is_stream(events->event.type) && taken > 0) {
		sink->on_data(sink->context, events->event.type, data, taken);
	} else {
		memcpy(events->small + events->small_bytes, data, taken);
		events->small_bytes += (uint32_t)taken;
	}
	events->left -= (uint32_t)taken;
	return taken;
}

bool events_feed(struct events *events, const uint8_t *data, size_t len,
		 const struct events_sink *sink)
{
	while (len > 0 && !events->broken) {
		size_t taken;

		if (events->head_bytes < sizeof(events->head))
			taken = take_head(events, data, len);
		else
			taken = take_bytes(events, data, len, sink);
		data += taken;
		len -= taken;
		if (!events->broken && events->head_bytes == sizeof(events->head) &&
		    events->left == 0)
			finish(events, sink);
	}
	return !events->broken;
}
