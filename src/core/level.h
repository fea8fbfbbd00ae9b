/* The floor: may a plan run at all? */
#ifndef PSB_CORE_LEVEL_H
#define PSB_CORE_LEVEL_H

#include "core/plan.h"

const char *control_name(enum plan_control control);
const char *control_by_name(enum control_by by);

/* PSB_E_POLICY unless text is "1".."10" or a control's name. */
int floor_check(const char *text, struct psb_error *err);

/* 0 if the plan meets the floor: its level is at least the number, or the named control is by the
 * kernel or the hypervisor. PSB_E_UNSUPPORTED, saying what is short, otherwise. */
int floor_met(const struct plan *plan, const char *text, struct psb_error *err);

#endif
