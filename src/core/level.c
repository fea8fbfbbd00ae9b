/*
 * The level of a plan. An engine says which controls it keeps, by what, and which walls it has;
 * the level is computed here, for all engines alike, so that no engine can award itself one. A row
 * is met by its own condition or by a stronger mechanism; the first row that is not met ends the
 * climb, whatever holds above it.
 *
 * Trust: the engine's plan() is ours. Nothing of the guest's comes here.
 */
#include "core/level.h"

#include <stdio.h>
#include <string.h>

#define MAX_LEVEL 10

static const char *const control_names[CONTROL_COUNT] = {
#define X(name) #name,
	PLAN_CONTROL_MAP(X)
#undef X
};

const char *control_name(enum plan_control control)
{
	return control < CONTROL_COUNT ? control_names[control] : NULL;
}

const char *control_by_name(enum control_by by)
{
	static const char *const names[] = {"absent", "advisory", "runtime", "kernel",
					    "hypervisor"};

	return names[by <= BY_HYPERVISOR ? by : BY_ABSENT];
}

int control_index(const char *name)
{
	for (int i = 0; i < CONTROL_COUNT; i++) {
		if (strcmp(control_names[i], name) == 0)
			return i;
	}
	return -1;
}

static bool kept(const struct plan *plan, enum plan_control control)
{
	return plan->controls[control].by >= BY_KERNEL;
}

static bool virtual(const struct plan *plan, enum plan_control control)
{
	return plan->controls[control].by == BY_HYPERVISOR;
}

static bool has(const struct plan *plan, unsigned int walls)
{
	return (plan->walls & walls) == walls;
}

/* What namespaces are for: the guest sees no process, object or file of the host, nor its ids. */
static bool apart(const struct plan *plan)
{
	return has(plan, WALL_NAMESPACES) ||
	       (virtual(plan, CONTROL_processes) && virtual(plan, CONTROL_ipc) &&
		virtual(plan, CONTROL_identity) && virtual(plan, CONTROL_filesystem));
}

static bool row_holds(const struct plan *plan, int row)
{
	switch (row) {
	case 1: return kept(plan, CONTROL_host_memory) && kept(plan, CONTROL_wall);
	case 2: return kept(plan, CONTROL_memory) && kept(plan, CONTROL_cpu);
	case 3: return kept(plan, CONTROL_syscalls);
	case 4: return kept(plan, CONTROL_filesystem);
	case 5: return kept(plan, CONTROL_network) && kept(plan, CONTROL_signals);
	case 6: return apart(plan);
	case 7:
		return has(plan, WALL_CGROUP | WALL_OWN_UID) || has(plan, WALL_WASM) ||
		       has(plan, WALL_HYPERVISOR);
	case 8: return has(plan, WALL_HYPERVISOR | WALL_JAILED_WORKER);
	case 9: return has(plan, WALL_OWN_WORKER | WALL_MITIGATIONS);
	case 10: return has(plan, WALL_FRESH_WORKER | WALL_UNSHARED_PAGES);
	default: return false;
	}
}

int level_by_table(const struct plan *plan)
{
	int level = 0;

	while (level < MAX_LEVEL && row_holds(plan, level + 1))
		level++;
	return level;
}

void level_settle(struct plan *plan, const struct speculation *host)
{
	struct control *control = &plan->controls[CONTROL_hardware_speculation];

	control->by = host->mitigated ? BY_KERNEL : BY_ABSENT;
	(void)snprintf(control->how, sizeof(control->how), "%s",
		       host->mitigated ? "host-mitigations" : host->found);
	plan->walls &= ~(unsigned int)WALL_MITIGATIONS;
	if (host->mitigated)
		plan->walls |= WALL_MITIGATIONS;
	plan->level = level_by_table(plan);
}
