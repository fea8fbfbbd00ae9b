/* The floor: the least that a plan must offer, or nothing runs. */
#ifndef PSB_CORE_FLOOR_H
#define PSB_CORE_FLOOR_H

#include "core/json_read.h"
#include "core/json_write.h"
#include "core/plan.h"

#define FLOOR_STANDARD_LEVEL 5

struct floor {
	int level;             /* 1..10; 0: not stated */
	unsigned int controls; /* bits by enum plan_control */
};

/* "7", "memory", "7,memory,network": PSB_E_POLICY for anything else, `what` names the place. */
int floor_read(const char *what, const char *text, struct floor *out, struct psb_error *err);
/* A number, a name, or an array of them. */
int floor_read_json(const char *what, struct json_value value, struct floor *out,
		    struct psb_error *err);

/* `floor` also demands what `more` does. */
void floor_join(struct floor *floor, const struct floor *more);

/* 0 if the plan meets the floor. PSB_E_UNSUPPORTED, saying what is short, otherwise. */
int floor_met(const struct plan *plan, const struct floor *floor, struct psb_error *err);

/* A number if only a level is stated, else an array; an unstated level is left out. */
void floor_write(struct json_writer *writer, const struct floor *floor);

#endif
