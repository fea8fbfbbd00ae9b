/* The static list of engines. */
#ifndef PSB_CORE_REGISTRY_H
#define PSB_CORE_REGISTRY_H

#include "engines/engine.h"

/* NULL-terminated, in order of preference at equal level. */
extern const struct engine_ops *const registry_engines[];

#endif
