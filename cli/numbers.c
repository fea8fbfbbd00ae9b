/*
 * Strict numbers for the command line. The text comes from whoever types the command; a value
 * that is not wholly understood, is zero or does not fit is refused rather than guessed at.
 */
#include <string.h>

#include "cli.h"

/* Reads digits; *end is the first byte that is none. -1 without digits or on overflow. */
static int read_digits(const char *text, uint64_t *out, const char **end)
{
	uint64_t value = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return -1;
	if (p == text)
		return -1;
	*out = value;
	*end = p;
	return 0;
}

static int unit_shift(const char *unit)
{
	static const struct {
		const char *name;
		int shift;
	} units[] = {
		{"", 0},    {"B", 0},    {"k", 10},  {"K", 10},   {"KiB", 10}, {"kB", 10},
		{"KB", 10}, {"M", 20},   {"m", 20},  {"MiB", 20}, {"MB", 20},  {"G", 30},
		{"g", 30},  {"GiB", 30}, {"GB", 30}, {"T", 40},   {"TiB", 40},
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(units[i].name, unit))
			return units[i].shift;
	return -1;
}

int parse_size(const char *text, uint64_t *out)
{
	const char *unit;
	uint64_t value;
	int shift;

	if (read_digits(text, &value, &unit))
		return -1;
	shift = unit_shift(unit);
	if (shift < 0 || !value || value > (UINT64_MAX >> 1) >> shift)
		return -1;
	*out = value << shift;
	return 0;
}

/* Up to three decimals count; more are accepted and rounded up, so that 0.0001 is not "none". */
int parse_milliseconds(const char *text, uint64_t *out)
{
	const char *p = text;
	uint64_t value = 0;
	uint64_t scale = 100;
	bool more = false;

	if (*p != '.' && read_digits(text, &value, &p))
		return -1;
	if (value > UINT64_MAX / 10000 || (*p == '.' && !p[1]))
		return -1;
	value *= 1000;
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++, scale /= 10) {
			value += scale * (uint64_t)(*p - '0');
			more = more || (!scale && *p != '0');
		}
	if (*p == 's')
		p++;
	value += more;
	if (*p || !value)
		return -1;
	*out = value;
	return 0;
}

int parse_count(const char *text, uint64_t *out)
{
	const char *end;
	uint64_t value;

	if (read_digits(text, &value, &end) || *end || !value)
		return -1;
	*out = value;
	return 0;
}
