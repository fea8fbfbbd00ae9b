/*
 * The JSON checker: RFC 8259, strictly, and narrower where readers disagree: depth at most 200, no
 * duplicate keys within an object (compared after unescaping), no lone surrogate escapes, valid
 * UTF-8 throughout, and with JSON_PORTABLE no number that a reader would round to infinity or
 * refuse.
 *
 * The text is the guest's or the caller's. One pass, an explicit stack, no recursion; time is
 * linear: keys are compared through a hash table per object, built when the object closes, with a
 * hash keyed by the process's random bytes so that collisions cannot be prepared. Memory is at
 * most eight bytes per open key plus the table.
 */
#include "core/json_check.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "core/json_text.h"
#include "core/utf8.h"
#include "pysandbox.h"

struct key {
	uint32_t hash;
	uint32_t offset; /* of the byte after the opening quote */
};

struct level {
	bool is_object;
	size_t first_key; /* index of the object's first key in checker.keys */
};

struct checker {
	const uint8_t *text;
	size_t len;
	size_t at;
	unsigned int flags;
	const char *reason;
	bool no_memory;
	uint64_t seed;
	struct level levels[JSON_MAX_DEPTH];
	size_t depth;
	struct key *keys;
	size_t key_count;
	size_t key_capacity;
	uint32_t *table; /* indexes into keys, plus one */
	size_t table_capacity;
};

static bool fail(struct checker *c, size_t at, const char *reason)
{
	c->at = at;
	c->reason = reason;
	return false;
}

static bool fail_memory(struct checker *c)
{
	c->no_memory = true;
	return fail(c, c->at, "out of memory");
}

static void skip_space(struct checker *c)
{
	while (c->at < c->len && json_is_space(c->text[c->at]))
		c->at++;
}

static bool check_escape(struct checker *c)
{
	size_t used = 0;
	uint32_t code_point;

	if (!json_unescape(c->text + c->at, c->len - c->at, &used, &code_point))
		return fail(c, c->at, "a bad escape, or a lone surrogate");
	c->at += used;
	return true;
}

/* The first byte from `at` on that ends a run of plain ASCII string contents. */
static size_t plain_run(const struct checker *c, size_t at)
{
	while (at < c->len && c->text[at] >= 0x20 && c->text[at] < 0x80 && c->text[at] != '"' &&
	       c->text[at] != '\\')
		at++;
	return at;
}

static bool check_string(struct checker *c)
{
	size_t start = c->at++;

	for (;;) {
		int n;

		c->at = plain_run(c, c->at);
		if (c->at >= c->len)
			return fail(c, start, "a string without its closing quote");
		if (c->text[c->at] == '"')
			break;
		if (c->text[c->at] == '\\') {
			if (!check_escape(c))
				return false;
			continue;
		}
		if (c->text[c->at] < 0x20)
			return fail(c, c->at, "a control character in a string");
		n = utf8_char(c->text + c->at, c->len - c->at);
		if (n <= 0)
			return fail(c, c->at, "invalid UTF-8");
		c->at += (size_t)n;
	}
	c->at++;
	return true;
}

static bool check_number(struct checker *c)
{
	size_t start = c->at;
	struct json_number number;
	size_t used = json_scan_number(c->text + c->at, c->len - c->at, &number);

	if (used == 0)
		return fail(c, start, "a malformed number");
	if ((c->flags & JSON_PORTABLE) && !json_number_portable(&number))
		return fail(c, start, "a number beyond 64 bits or a finite double");
	c->at += used;
	return true;
}

static bool check_word(struct checker *c, const char *word)
{
	size_t n = strlen(word);

	if (c->len - c->at < n || memcmp(c->text + c->at, word, n) != 0)
		return fail(c, c->at, "not a JSON value");
	c->at += n;
	return true;
}

static bool check_scalar(struct checker *c)
{
	switch (c->text[c->at]) {
	case '"': return check_string(c);
	case 't': return check_word(c, "true");
	case 'f': return check_word(c, "false");
	case 'n': return check_word(c, "null");
	default: return check_number(c);
	}
}

static uint32_t hash_key(const struct checker *c, size_t offset)
{
	struct json_chars chars = {c->text + offset, c->len - offset};
	uint64_t hash = c->seed;
	uint32_t code_point;

	while (json_next_char(&chars, &code_point)) {
		hash = (hash ^ code_point) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 29;
	}
	hash *= UINT64_C(0xbf58476d1ce4e5b9);
	return (uint32_t)(hash >> 32);
}

static bool keys_equal(const struct checker *c, size_t a, size_t b)
{
	struct json_chars left = {c->text + a, c->len - a};
	struct json_chars right = {c->text + b, c->len - b};

	for (;;) {
		uint32_t x = 0;
		uint32_t y = 0;
		bool more_left = json_next_char(&left, &x);
		bool more_right = json_next_char(&right, &y);

		if (more_left != more_right || x != y)
			return false;
		if (!more_left)
			return true;
	}
}

static bool check_key(struct checker *c)
{
	size_t offset = c->at + 1;

	if (c->at >= c->len || c->text[c->at] != '"')
		return fail(c, c->at, "a key (a string) was expected");
	if (!check_string(c))
		return false;
	if (c->key_count == c->key_capacity) {
		size_t wanted = c->key_capacity ? c->key_capacity * 2 : 64;
		struct key *grown = reallocarray(c->keys, wanted, sizeof(*grown));

		if (!grown)
			return fail_memory(c);
		c->keys = grown;
		c->key_capacity = wanted;
	}
	c->keys[c->key_count++] = (struct key){hash_key(c, offset), (uint32_t)offset};
	skip_space(c);
	if (c->at >= c->len || c->text[c->at] != ':')
		return fail(c, c->at, "':' was expected");
	c->at++;
	return true;
}

static bool same_key(const struct checker *c, const struct key *a, const struct key *b)
{
	return a->hash == b->hash && keys_equal(c, a->offset, b->offset);
}

static bool unique_few(struct checker *c, const struct key *keys, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (same_key(c, &keys[i], &keys[j]))
				return fail(c, keys[i].offset - 1, "a duplicate key");
		}
	}
	return true;
}

static bool table_ready(struct checker *c, size_t size)
{
	if (size > c->table_capacity) {
		uint32_t *grown = reallocarray(c->table, size, sizeof(*grown));

		if (!grown)
			return fail_memory(c);
		c->table = grown;
		c->table_capacity = size;
	}
	memset(c->table, 0, size * sizeof(*c->table));
	return true;
}

static bool unique_many(struct checker *c, const struct key *keys, size_t count)
{
	size_t size = 16;

	while (size < count * 2)
		size *= 2;
	if (!table_ready(c, size))
		return false;
	for (size_t i = 0; i < count; i++) {
		size_t slot = keys[i].hash & (size - 1);

		while (c->table[slot] != 0) {
			if (same_key(c, &keys[i], &keys[c->table[slot] - 1]))
				return fail(c, keys[i].offset - 1, "a duplicate key");
			slot = (slot + 1) & (size - 1);
		}
		c->table[slot] = (uint32_t)i + 1;
	}
	return true;
}

static bool close_level(struct checker *c)
{
	const struct level *level = &c->levels[--c->depth];
	size_t count = c->key_count - level->first_key;
	bool unique = true;

	c->at++;
	if (level->is_object && count > 1)
		unique = count <= 8 ? unique_few(c, c->keys + level->first_key, count)
				    : unique_many(c, c->keys + level->first_key, count);
	c->key_count = level->first_key;
	return unique;
}

/* At '{' or '['. *empty tells that it closed at once. */
static bool open_level(struct checker *c, bool *empty)
{
	bool is_object = c->text[c->at] == '{';

	if (c->depth == JSON_MAX_DEPTH - ((c->flags & JSON_NESTED) ? 1 : 0))
		return fail(c, c->at, "nested too deeply");
	c->levels[c->depth++] = (struct level){is_object, c->key_count};
	c->at++;
	skip_space(c);
	*empty = c->at < c->len && c->text[c->at] == (is_object ? '}' : ']');
	if (*empty)
		return close_level(c);
	return is_object ? check_key(c) : true;
}

/* After a value: closes what closes here, then takes ',' (and a key). *done at the very end. */
static bool after_value(struct checker *c, bool *done)
{
	for (;;) {
		bool is_object;

		skip_space(c);
		*done = c->depth == 0;
		if (*done)
			return c->at == c->len ? true : fail(c, c->at, "text after the value");
		is_object = c->levels[c->depth - 1].is_object;
		if (c->at >= c->len)
			return fail(c, c->at, "the text ends within a value");
		if (c->text[c->at] == ',')
			break;
		if (c->text[c->at] != (is_object ? '}' : ']'))
			return fail(c, c->at, "',' or a closing bracket was expected");
		if (!close_level(c))
			return false;
	}
	c->at++;
	skip_space(c);
	return c->levels[c->depth - 1].is_object ? check_key(c) : true;
}

static bool check_text(struct checker *c)
{
	bool done = false;

	skip_space(c);
	if ((c->flags & JSON_OBJECT_ONLY) && (c->at >= c->len || c->text[c->at] != '{'))
		return fail(c, c->at, "an object was expected");
	while (!done) {
		bool complete = true;

		skip_space(c);
		if (c->at >= c->len)
			return fail(c, c->at, "a value was expected");
		if (c->text[c->at] == '{' || c->text[c->at] == '[') {
			if (!open_level(c, &complete))
				return false;
		} else if (!check_scalar(c)) {
			return false;
		}
		if (complete && !after_value(c, &done))
			return false;
	}
	return true;
}

static uint64_t process_seed(void)
{
	const void *random = (const void *)getauxval(AT_RANDOM);
	uint64_t seed = UINT64_C(0x243f6a8885a308d3);

	if (random)
		memcpy(&seed, random, sizeof(seed));
	return seed;
}

int json_check(const uint8_t *text, size_t len, unsigned int flags, struct json_fault *fault)
{
	struct checker c;
	bool good;

	c.text = text;
	c.len = len;
	c.at = 0;
	c.flags = flags;
	c.reason = NULL;
	c.no_memory = false;
	c.seed = process_seed();
	c.depth = 0;
	c.keys = NULL;
	c.key_count = c.key_capacity = 0;
	c.table = NULL;
	c.table_capacity = 0;
	good = len <= JSON_MAX_BYTES ? check_text(&c) : fail(&c, 0, "over the size limit");
	free(c.keys);
	free(c.table);
	if (good)
		return 0;
	if (fault)
		*fault = (struct json_fault){c.at, c.reason};
	return c.no_memory ? PSB_E_MEMORY : PSB_E_INVALID;
}
