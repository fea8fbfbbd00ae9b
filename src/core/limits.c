/*
 * One table describes every limit: its name in C and in policies, default and range. All numbers
 * come from the caller or a policy file; none from the guest.
 */
#include "core/limits.h"

#include <stddef.h>
#include <string.h>

#include "core/error.h"
#include "core/options.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define DAY_MS UINT64_C(86400000)
#define SPEC(name, standard, min, max)                                                             \
	{                                                                                          \
#name, offsetof(struct psb_limits, name), standard, min, max                       \
	}

const struct limit_spec limit_specs[LIMIT_SPEC_COUNT] = {
	SPEC(wall_ms, 30000, 1, DAY_MS),
	SPEC(cpu_ms, 0, 10, 1024 * DAY_MS),
	SPEC(memory_bytes, 256 * MIB, 16 * MIB, 1024 * GIB),
	SPEC(stdout_bytes, MIB, 1, GIB),
	SPEC(stderr_bytes, MIB, 1, GIB),
	SPEC(result_bytes, 16 * MIB, 16, GIB),
	SPEC(workspace_bytes, 64 * MIB, 4096, 64 * GIB),
	SPEC(workspace_files, 1024, 1, 1000000),
	SPEC(open_files, 128, 16, 200),
	SPEC(processes, 64, 1, 1024),
};
const size_t limit_spec_count = LIMIT_SPEC_COUNT;

static const char *const names[LIMIT_COUNT] = {
#define X(name) #name,
	LIMIT_NAME_MAP(X)
#undef X
};

const char *limit_name(enum limit_name limit)
{
	return limit > LIMIT_NONE && limit < LIMIT_COUNT ? names[limit] : NULL;
}

enum limit_name limit_by_name(const char *name)
{
	for (int i = 0; i < LIMIT_COUNT; i++) {
		if (strcmp(names[i], name) == 0)
			return (enum limit_name)i;
	}
	return LIMIT_NONE;
}

void psb_limits_init(struct psb_limits *limits)
{
	memset(limits, 0, sizeof(*limits));
	limits->size = sizeof(*limits);
}

uint64_t limits_get(const struct psb_limits *limits, const struct limit_spec *spec)
{
	uint64_t value;

	memcpy(&value, (const char *)limits + spec->offset, sizeof(value));
	return value;
}

void limits_set(struct psb_limits *limits, const struct limit_spec *spec, uint64_t value)
{
	memcpy((char *)limits + spec->offset, &value, sizeof(value));
}

static int check_ranges(const struct psb_limits *limits, struct psb_error *err)
{
	for (size_t i = 0; i < limit_spec_count; i++) {
		const struct limit_spec *spec = &limit_specs[i];
		uint64_t value = limits_get(limits, spec);

		if (value != 0 && (value < spec->min || value > spec->max))
			return psb_fail(err, PSB_E_POLICY, 0,
					"limits.%s: %llu is not between %llu and %llu", spec->name,
					(unsigned long long)value, (unsigned long long)spec->min,
					(unsigned long long)spec->max);
	}
	if (limits->on_output_limit > PSB_OUTPUT_TRUNCATE)
		return psb_fail(err, PSB_E_POLICY, 0,
				"limits.on_output_limit: %u is neither PSB_OUTPUT_KILL (0) nor "
				"PSB_OUTPUT_TRUNCATE (1)",
				limits->on_output_limit);
	return 0;
}

int limits_read(const struct psb_limits *given, struct psb_limits *out, struct psb_error *err)
{
	struct psb_limits copy;
	int error;

	psb_limits_init(&copy);
	if (given && given->size != 0) {
		error = options_copy("struct psb_limits", given, given->size, &copy, sizeof(copy),
				     err);
		if (error)
			return error;
		error = check_ranges(&copy, err);
		if (error)
			return error;
	}
	*out = copy;
	return 0;
}

int limits_tighten(const struct psb_limits *wide, const struct psb_limits *wanted,
		   struct psb_limits *out, struct psb_error *err)
{
	struct psb_limits result = *wide;

	for (size_t i = 0; i < limit_spec_count; i++) {
		const struct limit_spec *spec = &limit_specs[i];
		uint64_t bound = limits_get(wide, spec);
		uint64_t wish = limits_get(wanted, spec);

		if (wish == 0)
			continue;
		if (bound != 0 && wish > bound)
			return psb_fail(err, PSB_E_POLICY, 0,
					"limits.%s: %llu is wider than the sandbox's %llu; open "
					"the sandbox with wider limits or ask for less",
					spec->name, (unsigned long long)wish,
					(unsigned long long)bound);
		limits_set(&result, spec, wish);
	}
	*out = result;
	return 0;
}

int limits_tighten_call(const struct psb_limits *wide, const struct psb_limits *wanted,
			struct psb_limits *out, struct psb_error *err)
{
	struct psb_limits result = *wide;
	int error = limits_tighten(wide, wanted, &result, err);

	if (error)
		return error;
	if (wanted->on_output_limit == PSB_OUTPUT_TRUNCATE &&
	    wide->on_output_limit == PSB_OUTPUT_KILL)
		return psb_fail(err, PSB_E_POLICY, 0,
				"limits.on_output_limit: truncate is wider than the sandbox's "
				"kill; open the sandbox with truncate");
	result.on_output_limit |= wanted->on_output_limit;
	if (wanted->cpu_ms == 0 && result.wall_ms < wide->wall_ms && result.cpu_ms > result.wall_ms)
		result.cpu_ms = result.wall_ms < 10 ? 10 : result.wall_ms;
	*out = result;
	return 0;
}

void limits_complete(struct psb_limits *limits)
{
	for (size_t i = 0; i < limit_spec_count; i++) {
		const struct limit_spec *spec = &limit_specs[i];

		if (limits_get(limits, spec) == 0)
			limits_set(limits, spec, spec->standard);
	}
	if (limits->cpu_ms == 0)
		limits->cpu_ms = limits->wall_ms < 10 ? 10 : limits->wall_ms;
}

static void write_limits(struct json_writer *writer, const struct psb_limits *limits, bool mode)
{
	json_open(writer, '{');
	for (size_t i = 0; i < limit_spec_count; i++) {
		if (limits_get(limits, &limit_specs[i]) == 0)
			continue;
		json_key(writer, limit_specs[i].name);
		json_put_uint(writer, limits_get(limits, &limit_specs[i]));
	}
	if (mode) {
		json_key(writer, "on_output_limit");
		json_put_text(writer,
			      limits->on_output_limit == PSB_OUTPUT_TRUNCATE ? "truncate" : "kill");
	}
	json_close(writer, '}');
}

void limits_write(struct json_writer *writer, const struct psb_limits *limits)
{
	write_limits(writer, limits, limits->on_output_limit == PSB_OUTPUT_TRUNCATE);
}

void limits_write_all(struct json_writer *writer, const struct psb_limits *limits)
{
	write_limits(writer, limits, true);
}
