/*
 * Resource limits: the wall where there is no cgroup, a second one where there is. Hard and soft
 * are set alike, so that the guest cannot raise them again. A limit above the inherited hard one
 * is cut to that: stricter than asked is no failure. Invariant: a limit asked for is in force, or
 * the step fails.
 */
#include "jail/jail.h"

#include <errno.h>
#include <sys/resource.h>

struct limit {
	const char *name;
	jail_resource resource;
	uint64_t value;
};

static int limit_apply(const struct limit *limit, struct jail_fault *fault)
{
	struct rlimit set = {limit->value, limit->value};
	struct rlimit held;

	if (setrlimit(limit->resource, &set) == 0)
		return 0;
	if (errno != EPERM || getrlimit(limit->resource, &held) < 0)
		return jail_fail(fault, errno, "rlimit %s", limit->name);
	if (held.rlim_max < set.rlim_max)
		set.rlim_cur = set.rlim_max = held.rlim_max;
	if (setrlimit(limit->resource, &set) < 0)
		return jail_fail(fault, errno, "rlimit %s", limit->name);
	return 0;
}

int jail_rlimits_apply(const struct jail_rlimits *limits, struct jail_fault *fault)
{
	const struct limit table[] = {
		{"address space", RLIMIT_AS, limits->address_space_bytes},
		{"file size", RLIMIT_FSIZE, limits->file_size_bytes},
		{"open files", RLIMIT_NOFILE, limits->open_files},
		{"processes", RLIMIT_NPROC, limits->processes},
		{"stack", RLIMIT_STACK, limits->stack_bytes},
	};
	const struct limit no_core = {"core", RLIMIT_CORE, 0};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].value && limit_apply(&table[i], fault) < 0)
			return -1;
	}
	return limit_apply(&no_core, fault);
}
