/*
 * Which engines this build has: a plain array, so that nothing registers itself and nothing is
 * loaded at run time. Also psb_engine_at(), the public view of it.
 */
#include "core/registry.h"

#include <stdio.h>
#include <string.h>

#include "core/error.h"

#ifdef PSB_HAVE_NATIVE
extern const struct engine_ops native_engine;
#endif
#ifdef PSB_HAVE_MICROVM
extern const struct engine_ops microvm_engine;
#endif

/* Of two that reach the same level the first is taken. */
const struct engine_ops *const registry_engines[] = {
#ifdef PSB_HAVE_MICROVM
	&microvm_engine,
#endif
#ifdef PSB_HAVE_NATIVE
	&native_engine,
#endif
	NULL,
};

static void fill_info(const struct engine_ops *ops, struct psb_engine_info *info)
{
	struct engine_probe probe = {.available = false};

	ops->probe(NULL, &probe);
	(void)snprintf(info->name, sizeof(info->name), "%s", ops->name);
	info->available = probe.available;
	info->level = probe.available ? probe.level : 0;
	(void)snprintf(info->rung, sizeof(info->rung), "%s", probe.rung);
	(void)snprintf(info->missing, sizeof(info->missing), "%s", probe.missing);
}

int registry_check(size_t index, const struct psb_engine_info *out, struct psb_error *err)
{
	if (!out)
		return psb_fail(err, PSB_E_INVALID, 0, "engine info: `out` is NULL");
	for (size_t i = 0; i <= index; i++) {
		if (!registry_engines[i])
			return psb_fail(err, PSB_E_NOT_FOUND, 0, "there is no engine %zu", index);
	}
	return 0;
}

void registry_copy_info(struct psb_engine_info *info, struct psb_engine_info *out)
{
	size_t room = out->size >= sizeof(size_t) && out->size < sizeof(*info) ? out->size
									       : sizeof(*info);

	info->size = room;
	memcpy(out, info, room);
}

int psb_engine_at(size_t index, struct psb_engine_info *out, struct psb_error *err)
{
	struct psb_engine_info info;
	int error = registry_check(index, out, err);

	if (error)
		return error;
	memset(&info, 0, sizeof(info));
	fill_info(registry_engines[index], &info);
	registry_copy_info(&info, out);
	return 0;
}
