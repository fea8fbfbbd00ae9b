/* Limits: defaults, ranges, and the rule that a narrower scope only tightens. */
#ifndef PSB_CORE_LIMITS_H
#define PSB_CORE_LIMITS_H

#include "core/json_write.h"
#include "pysandbox.h"

/* The names under which outcomes speak of limits; a bit each in `limits_hit`. */
#define LIMIT_NAME_MAP(X)                                                                          \
	X(memory)                                                                                  \
	X(cpu) X(wall) X(stdout) X(stderr) X(result) X(processes) X(open_files) X(workspace)

enum limit_name {
	LIMIT_NONE = -1,
#define X(name) LIMIT_##name,
	LIMIT_NAME_MAP(X)
#undef X
		LIMIT_COUNT
};

const char *limit_name(enum limit_name limit); /* NULL for LIMIT_NONE */
enum limit_name limit_by_name(const char *name);

/* One number of struct psb_limits. */
struct limit_spec {
	const char *name; /* the member's name, also the key in a policy */
	size_t offset;
	uint64_t standard; /* 0: see limits_complete() */
	uint64_t min;
	uint64_t max;
};

#define LIMIT_SPEC_COUNT 10

extern const struct limit_spec limit_specs[LIMIT_SPEC_COUNT];
extern const size_t limit_spec_count;

uint64_t limits_get(const struct psb_limits *limits, const struct limit_spec *spec);
void limits_set(struct psb_limits *limits, const struct limit_spec *spec, uint64_t value);

/* Copies the caller's struct of whatever size into `out` (NULL or size 0: all unset) and checks
 * ranges. PSB_E_INVALID, PSB_E_POLICY. */
int limits_read(const struct psb_limits *given, struct psb_limits *out, struct psb_error *err);
/* out = wide, tightened by the set members of `wanted`. A wider wish is PSB_E_POLICY; a member
 * that `wide` leaves unset bounds nothing. on_output_limit is not a number and stays wide's. */
int limits_tighten(const struct psb_limits *wide, const struct psb_limits *wanted,
		   struct psb_limits *out, struct psb_error *err);
/* As limits_tighten() on complete limits, for one call: a CPU budget that was not asked for follows
 * a tighter wall limit, and output may be cut off instead of ending the run only if it may be for
 * the sandbox. */
int limits_tighten_call(const struct psb_limits *wide, const struct psb_limits *wanted,
			struct psb_limits *out, struct psb_error *err);
/* Fills what is unset with the defaults. */
void limits_complete(struct psb_limits *limits);

/* The set members as one JSON object; on_output_limit if it is truncate, or always. */
void limits_write(struct json_writer *writer, const struct psb_limits *limits);
void limits_write_all(struct json_writer *writer, const struct psb_limits *limits);

#endif
