/* The static list of engines. */
#ifndef PSB_CORE_REGISTRY_H
#define PSB_CORE_REGISTRY_H

#include "engines/engine.h"

/* NULL-terminated, in order of preference at equal level. */
extern const struct engine_ops *const registry_engines[];

/* PSB_E_INVALID without `out`, PSB_E_NOT_FOUND past the end. */
int registry_check(size_t index, const struct psb_engine_info *out, struct psb_error *err);
/* As much as the caller's struct has room for. */
void registry_copy_info(struct psb_engine_info *info, struct psb_engine_info *out);

#endif
