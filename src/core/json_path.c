/*
 * A walk over the text up to the byte in question (a key that begins there counts), with a small stack of open containers. It is
 * used on text that the checker refused, so it relies on nothing: strings and brackets are followed
 * as they come, within the bounds of the text. Keys are shown as they are written; whoever prints
 * the path replaces control bytes (psb_fail() does).
 */
#include "core/json_path.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAX_DEPTH 8
#define MAX_KEY 40u

struct place {
	bool is_object;
	const uint8_t *key; /* behind its quote; NULL before the first */
	size_t key_len;
	size_t index;
};

struct walk {
	struct place places[MAX_DEPTH];
	size_t depth; /* may be more than MAX_DEPTH */
	bool expects_key;
};

static size_t string_end(const uint8_t *text, size_t len, size_t at)
{
	for (at++; at < len && text[at] != '"'; at++) {
		if (text[at] == '\\')
			at++;
	}
	return at < len ? at : len;
}

static void open_place(struct walk *walk, bool is_object)
{
	if (walk->depth < MAX_DEPTH)
		walk->places[walk->depth] = (struct place){.is_object = is_object};
	walk->depth++;
	walk->expects_key = is_object;
}

static struct place *top(struct walk *walk)
{
	return walk->depth > 0 && walk->depth <= MAX_DEPTH ? &walk->places[walk->depth - 1] : NULL;
}

static void next_item(struct walk *walk)
{
	struct place *place = top(walk);

	if (!place)
		return;
	place->index++;
	walk->expects_key = place->is_object;
}

static void take_key(struct walk *walk, const uint8_t *text, size_t from, size_t to)
{
	struct place *place = top(walk);

	walk->expects_key = false;
	if (!place)
		return;
	place->key = text + from + 1;
	place->key_len = to > from ? to - from - 1 : 0;
}

static void walk_to(struct walk *walk, const uint8_t *text, size_t len, size_t offset)
{
	for (size_t at = 0; at < len && at <= offset; at++) {
		size_t start = at;

		if (at == offset && text[at] != '"')
			return;
		switch (text[at]) {
		case '{': open_place(walk, true); break;
		case '[': open_place(walk, false); break;
		case '}':
		case ']':
			walk->depth -= walk->depth > 0;
			walk->expects_key = false;
			break;
		case ',': next_item(walk); break;
		case '"':
			at = string_end(text, len, at);
			if (walk->expects_key)
				take_key(walk, text, start, at);
			break;
		default: break;
		}
	}
}

void json_path_at(const uint8_t *text, size_t len, size_t offset, char *out, size_t size)
{
	struct walk walk = {.depth = 0};
	size_t used = 0;

	out[0] = '\0';
	walk_to(&walk, text, len, offset);
	for (size_t i = 0; i < walk.depth && i < MAX_DEPTH; i++) {
		const struct place *place = &walk.places[i];
		int shown = place->key_len < MAX_KEY ? (int)place->key_len : (int)MAX_KEY;
		int n = 0;

		if (!place->is_object)
			n = snprintf(out + used, size - used, "[%zu]", place->index);
		else if (place->key)
			n = snprintf(out + used, size - used, "%s%.*s", used ? "." : "", shown,
				     (const char *)place->key);
		if (n < 0 || (size_t)n >= size - used) {
			out[0] = '\0';
			return;
		}
		used += (size_t)n;
	}
}
