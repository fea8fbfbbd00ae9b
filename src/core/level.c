/*
 * The floor of a policy against what a plan really offers. An engine computes its level from its
 * controls; here the number or the single control that the policy demands is compared. A control
 * that is only advisory or kept by the guest's own runtime never counts.
 */
#include "core/level.h"

#include <string.h>

#include "core/error.h"

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

/* 1..10, or 0 if text is no level. */
static int level_number(const char *text)
{
	if (strcmp(text, "10") == 0)
		return 10;
	return text[0] >= '1' && text[0] <= '9' && text[1] == '\0' ? text[0] - '0' : 0;
}

static int control_index(const char *text)
{
	for (int i = 0; i < CONTROL_COUNT; i++) {
		if (strcmp(control_names[i], text) == 0)
			return i;
	}
	return -1;
}

int floor_check(const char *text, struct psb_error *err)
{
	if (level_number(text) > 0 || control_index(text) >= 0)
		return 0;
	return psb_fail(err, PSB_E_POLICY, 0,
			"require: \"%s\" is neither a level (1 to 10) nor the name of a control "
			"(such as memory, network or syscalls)",
			text);
}

int floor_met(const struct plan *plan, const char *text, struct psb_error *err)
{
	int level = level_number(text);
	int index = control_index(text);

	if (level > 0 && plan->level >= level)
		return 0;
	if (level > 0)
		return psb_fail(err, PSB_E_UNSUPPORTED, 0,
				"%s reaches level %d here, the floor is %d; lower --require or "
				"run on a host with more isolation",
				plan->engine, plan->level, level);
	if (index >= 0 && plan->controls[index].by >= BY_KERNEL)
		return 0;
	return psb_fail(err, PSB_E_UNSUPPORTED, 0,
			"%s keeps the control \"%s\" as %s here, the floor wants kernel or "
			"hypervisor",
			plan->engine, text,
			control_by_name(index >= 0 ? plan->controls[index].by : BY_ABSENT));
}
