/* The policy reader: refuses with a message, or gives a policy whose every member is in range. */
#include <stdlib.h>
#include <string.h>

#include "core/level.h"
#include "core/limits.h"
#include "core/policy.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct psb_error err = {.message = ""};
	struct psb_limits limits;
	struct policy policy;
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (policy_read(text, &policy, &err) == 0) {
		if (limits_read(&policy.limits, &limits, NULL) != 0 ||
		    floor_check(policy.require, NULL) != 0 || strlen(policy.sha256) != 64 ||
		    !policy.import_list)
			abort();
		policy_free(&policy);
	} else if (err.message[0] == '\0') {
		abort();
	}
	free(text);
	return 0;
}
