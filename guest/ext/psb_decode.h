/* The decoder's state, shared by decode.c (containers) and decode_scalar.c (texts and numbers). */
#ifndef PSB_DECODE_H
#define PSB_DECODE_H

#include "psb_json.h"

struct open_value {
	PyObject *container; /* owned */
	PyObject *key;       /* objects: the key whose value comes next; owned */
	bool typed;          /* an object with a key "$type" */
};

#define KNOWN_KEYS 64

/* Records repeat their keys: the same text becomes the same str, whose hash is known. */
struct known_key {
	const char *text; /* within the document */
	size_t len;
	PyObject *key; /* owned */
};

struct decoder {
	const char *start;
	const char *at;
	const char *end; /* *end is NUL */
	PyObject *revive;
	size_t used;
	struct open_value stack[PSB_DECODE_DEPTH];
	struct known_key known[KNOWN_KEYS];
};

/* Raises ValueError with the place, unless an exception is already there. Returns NULL. */
void *decode_wrong(const struct decoder *decoder, const char *what);
void decode_space(struct decoder *decoder);
/* New references or NULL; at: the first byte of the value, or the quote in front of a key. */
PyObject *decode_scalar(struct decoder *decoder);
PyObject *decode_key(struct decoder *decoder);

#endif
