/*
 * Floors: a level, controls by name, or both. A named control counts only if the kernel or the
 * hypervisor keeps it; one kept by the guest's own runtime counts where it only divides what such a
 * wall already bounds (a workspace inside a guest's memory costs the host no more than that
 * memory), and one that is advisory never does.
 *
 * Trust: floors are the operator's text, checked like foreign input. A floor that nothing can ever
 * meet is refused when it is read, not discovered when nothing runs.
 */
#include "core/floor.h"

#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "core/level.h"

#define MAX_NAME_BYTES 32u

static int add_level(const char *what, int64_t level, struct floor *floor, struct psb_error *err)
{
	if (level < 1 || level > 10)
		return psb_fail(err, PSB_E_POLICY, 0, "%s: %lld is no level; levels are 1 to 10",
				what, (long long)level);
	if (floor->level > 0)
		return psb_fail(err, PSB_E_POLICY, 0,
				"%s: states two levels, %d and %lld; keep the higher one", what,
				floor->level, (long long)level);
	floor->level = (int)level;
	return 0;
}

static int add_control(const char *what, const char *name, struct floor *floor,
		       struct psb_error *err)
{
	int index = control_index(name);

	if (index < 0)
		return psb_fail(err, PSB_E_POLICY, 0,
				"%s: \"%s\" is neither a level (1 to 10) nor the name of a control "
				"(such as memory, network or syscalls)",
				what, name);
	if (index == CONTROL_imports)
		return psb_fail(err, PSB_E_POLICY, 0,
				"%s: \"imports\" is advisory on every engine and can never be "
				"required; require syscalls and filesystem instead",
				what);
	if (floor->controls & (1u << index))
		return psb_fail(err, PSB_E_POLICY, 0, "%s: \"%s\" is named twice; name it once",
				what, name);
	floor->controls |= 1u << index;
	return 0;
}

/* 1..10 written plainly; 0 if the word is all digits but no level; -1 if it is no number. */
static int word_level(const char *word)
{
	size_t digits = strspn(word, "0123456789");

	if (digits == 0 || word[digits] != '\0')
		return -1;
	if (strcmp(word, "10") == 0)
		return 10;
	return digits == 1 ? word[0] - '0' : 0;
}

static int add_word(const char *what, const char *word, struct floor *floor, struct psb_error *err)
{
	int level = word_level(word);

	if (level == 0)
		return psb_fail(err, PSB_E_POLICY, 0, "%s: %s is no level; levels are 1 to 10",
				what, word);
	return level > 0 ? add_level(what, level, floor, err) : add_control(what, word, floor, err);
}

int floor_read(const char *what, const char *text, struct floor *out, struct psb_error *err)
{
	struct floor floor = {.level = 0};
	const char *at = text;
	int error = 0;

	do {
		size_t len = strcspn(at, ",");
		char word[MAX_NAME_BYTES];

		(void)snprintf(word, sizeof(word), "%.*s", len < 31 ? (int)len : 31, at);
		error = add_word(what, word, &floor, err);
		at += len;
	} while (!error && *at++ == ',');
	if (!error)
		*out = floor;
	return error;
}

static int add_value(const char *what, struct json_value value, struct floor *floor,
		     struct psb_error *err)
{
	int shown = value.len < 40 ? (int)value.len : 40;
	char name[MAX_NAME_BYTES];
	int64_t level = 0;

	if (json_int(value, &level))
		return add_level(what, level, floor, err);
	if (json_type(value) != JSON_STRING)
		return psb_fail(err, PSB_E_POLICY, 0,
				"%s: %.*s is %s; a level from 1 to 10 or a control's name is "
				"expected",
				what, shown, (const char *)value.at,
				json_type_name(json_type(value)));
	for (int i = 0; i < CONTROL_COUNT; i++) {
		if (json_equals(value, control_name((enum plan_control)i)))
			return add_control(what, control_name((enum plan_control)i), floor, err);
	}
	(void)snprintf(name, sizeof(name), "%.*s", value.len < 33 ? (int)value.len - 2 : 31,
		       (const char *)value.at + 1);
	return add_control(what, name, floor, err);
}

static int add_items(const char *what, struct json_value list, struct floor *floor,
		     struct psb_error *err)
{
	struct json_iter iter = json_iterate(list);
	struct json_value item;
	size_t count = 0;
	int error = 0;

	while (!error && json_next_item(&iter, &item)) {
		char path[64];

		(void)snprintf(path, sizeof(path), "%.40s[%zu]", what, count++);
		error = add_value(path, item, floor, err);
	}
	if (!error && count == 0)
		return psb_fail(err, PSB_E_POLICY, 0,
				"%s: an empty list requires nothing; leave it out or name a level "
				"or a control",
				what);
	return error;
}

int floor_read_json(const char *what, struct json_value value, struct floor *out,
		    struct psb_error *err)
{
	struct floor floor = {.level = 0};
	int error = json_type(value) == JSON_ARRAY ? add_items(what, value, &floor, err)
						   : add_value(what, value, &floor, err);

	if (!error)
		*out = floor;
	return error;
}

void floor_join(struct floor *floor, const struct floor *more)
{
	if (more->level > floor->level)
		floor->level = more->level;
	floor->controls |= more->controls;
}

static bool control_kept(const struct plan *plan, int control)
{
	enum control_by by = plan->controls[control].by;
	bool divides = control == CONTROL_workspace || control == CONTROL_processes;

	if (by == BY_RUNTIME && divides)
		return plan->controls[CONTROL_memory].by >= BY_KERNEL &&
		       plan->controls[CONTROL_cpu].by >= BY_KERNEL;
	return by >= BY_KERNEL;
}

int floor_met(const struct plan *plan, const struct floor *floor, struct psb_error *err)
{
	if (plan->level < floor->level)
		return psb_fail(err, PSB_E_UNSUPPORTED, 0,
				"%s reaches level %d here, the floor is %d; lower the floor "
				"(--require, or the policy's require) or run on a host with more "
				"isolation",
				plan->engine, plan->level, floor->level);
	for (int i = 0; i < CONTROL_COUNT; i++) {
		if (!(floor->controls & (1u << i)) || control_kept(plan, i))
			continue;
		return psb_fail(err, PSB_E_UNSUPPORTED, 0,
				"%s keeps the control \"%s\" as %s here%s%s%s, the floor wants "
				"kernel or hypervisor",
				plan->engine, control_name((enum plan_control)i),
				control_by_name(plan->controls[i].by),
				plan->controls[i].how[0] ? " (" : "", plan->controls[i].how,
				plan->controls[i].how[0] ? ")" : "");
	}
	return 0;
}

void floor_write(struct json_writer *writer, const struct floor *floor)
{
	if (floor->controls == 0) {
		json_put_int(writer, floor->level);
		return;
	}
	json_open(writer, '[');
	if (floor->level > 0)
		json_put_int(writer, floor->level);
	for (int i = 0; i < CONTROL_COUNT; i++) {
		if (floor->controls & (1u << i))
			json_put_text(writer, control_name((enum plan_control)i));
	}
	json_close(writer, ']');
}
