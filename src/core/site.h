/* The site policy: rules of the machine's administrator that no caller can exceed. */
#ifndef PSB_CORE_SITE_H
#define PSB_CORE_SITE_H

#include <sys/types.h>

#include "core/policy.h"

#define SITE_POLICY_PATH "/etc/pysandbox/site.json"
#define SITE_MAX_MESSAGE_BYTES 200u

struct site {
	char path[128]; /* for messages; a longer one is cut */
	char message[SITE_MAX_MESSAGE_BYTES + 1];
	struct psb_limits maxima; /* 0: none */
	struct policy locked;     /* its stated members bind */
	struct floor floor;
};

/* Reads and checks the file. *found is false, and the result 0, if there is none. A file that
 * cannot be relied on (owner, mode, kind, contents) is PSB_E_POLICY: nothing runs. The file must
 * belong to root or to `other_owner`. */
int site_load(const char *path, uid_t other_owner, bool *found, struct site *out,
	      struct psb_error *err);
int site_parse(const char *path, const uint8_t *text, size_t len, struct site *out,
	       struct psb_error *err);
void site_free(struct site *site);

/* Binds the policy. PSB_E_POLICY if it states what the site does not permit. */
int site_apply(struct site *site, struct policy *policy, struct psb_error *err);

/* "; site policy PATH: message" of the site that bound this part. */
const char *site_note(const struct policy *policy, unsigned int part);

#endif
