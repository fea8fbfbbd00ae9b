/*
 * The readers of policies and site policies: each refuses with a message, or gives rules whose every
 * member is in range, whose canonical text is JSON and reads as the same policy again, and which a
 * site can bind without a wider limit coming out.
 */
#include <stdlib.h>
#include <string.h>

#include "core/json_check.h"
#include "core/policy.h"
#include "core/site.h"
#include "fuzz.h"

static void demand(bool holds)
{
	if (!holds)
		abort();
}

/* The canonical text must be one that the reader takes, and mean the same. */
static void read_again(const struct policy *policy)
{
	struct json_writer writer;
	struct policy again;
	struct buffer text;

	buffer_init(&text, 4 * POLICY_MAX_BYTES);
	json_writer_init(&writer, &text);
	policy_write(&writer, policy, NULL);
	demand(writer.error == 0);
	demand(json_check(text.data, text.len, JSON_OBJECT_ONLY, NULL) == 0);
	if (text.len <= POLICY_MAX_BYTES) {
		demand(policy_read(buffer_text(&text), &again, NULL) == 0);
		demand(strcmp(again.sha256, policy->sha256) == 0);
		policy_free(&again);
	}
	buffer_free(&text);
}

static void check_policy(const struct policy *policy)
{
	struct psb_limits limits;

	demand(limits_read(&policy->limits, &limits, NULL) == 0);
	demand(policy->floor.level >= 0 && policy->floor.level <= 10);
	demand(strlen(policy->sha256) == 64 && policy->import_list);
	demand(policy_check_whole(policy, NULL) == 0);
	read_again(policy);
}

static void fuzz_policy(const char *text)
{
	struct psb_error err = {.message = ""};
	struct policy policy;

	if (policy_read(text, &policy, &err)) {
		demand(err.message[0] != '\0');
		return;
	}
	check_policy(&policy);
	policy_free(&policy);
}

/* No limit that a site bounds may come out wider, whatever the policy said. */
static void bind_template(struct site *site, const char *name)
{
	struct policy policy;

	demand(policy_read(name, &policy, NULL) == 0);
	if (site_apply(site, &policy, NULL) == 0) {
		for (size_t i = 0; i < limit_spec_count; i++) {
			uint64_t most = limits_get(&site->maxima, &limit_specs[i]);

			demand(most == 0 || limits_get(&policy.limits, &limit_specs[i]) <= most);
		}
		demand(policy_digest(&policy, NULL) == 0);
	}
	policy_free(&policy);
}

static void fuzz_site(const uint8_t *data, size_t size)
{
	struct psb_error err = {.message = ""};
	struct site site;

	if (site_parse("fuzzed", data, size, &site, &err)) {
		demand(strstr(err.message, "site policy fuzzed") != NULL);
		return;
	}
	bind_template(&site, "strict");
	site_free(&site);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	fuzz_policy(text);
	fuzz_site(data, size);
	free(text);
	return 0;
}
