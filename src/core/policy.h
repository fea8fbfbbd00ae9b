/* Policies: a template's name or JSON text, compiled into limits, import list and floor. */
#ifndef PSB_CORE_POLICY_H
#define PSB_CORE_POLICY_H

#include <stdbool.h>

#include "core/plan.h"
#include "pysandbox.h"

#define POLICY_MAX_BYTES (256u << 10)
#define POLICY_MAX_IMPORTS 1024u
#define POLICY_MAX_IMPORT_BYTES 128u

struct policy {
	char name[64];
	struct psb_limits limits; /* members the policy leaves open are 0 */
	enum import_mode import_mode;
	char *import_list;  /* owned; comma-separated dotted names */
	char require[24];   /* the floor: "1".."10" or a control's name */
	bool require_fixed; /* the policy itself states it: options may only add to it */
	char sha256[65];    /* of the canonical text */
};

/* text: NULL or a template's name or JSON text. PSB_E_POLICY names the path, the value and the
 * remedy; PSB_E_MEMORY. policy_free() takes a zeroed struct too. */
int policy_read(const char *text, struct policy *out, struct psb_error *err);
void policy_free(struct policy *policy);

/* The JSON text of template `index`, and its name; NULL past the end. */
const char *policy_template(size_t index, const char **name);

#endif
