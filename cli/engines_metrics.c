/*
 * engines --metrics: a probe from outside, for a monitoring system that runs commands. Each engine
 * that this host has is opened and runs one small program; what the library counted meanwhile is
 * printed, behind a few facts about build and host. An engine that cannot run it shows that in its
 * status; the exit code is 0 as long as there is a text to print.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engines.h"

#define MOST_ENGINES 8

struct probe {
	struct psb_engine_info info[MOST_ENGINES];
	size_t count;
	psb_sandbox *sandboxes[MOST_ENGINES];
	size_t opened;
};

/* Which sandbox is which engine's shows in the tenant: there is one probe for each. */
static void probe_engine(struct probe *probe, const struct psb_engine_info *info)
{
	struct psb_options options;
	struct psb_request request;
	struct psb_error err = {0};
	psb_outcome *outcome;
	psb_sandbox *sandbox;
	char tenant[32];

	(void)snprintf(tenant, sizeof(tenant), "probe-%s", info->name);
	psb_options_init(&options);
	options.engine = info->name;
	options.tenant = tenant;
	options.single_use = 1;
	progress_watch(&options);
	if (psb_open(&options, &sandbox, &err)) {
		complain("%s: %s", info->name, err.message);
		return;
	}
	psb_request_init(&request);
	request.source = "result = 1";
	request.source_len = strlen(request.source);
	if (psb_execute(sandbox, &request, &outcome, &err) == 0)
		psb_outcome_free(outcome);
	else
		complain("%s: %s", info->name, err.message);
	progress_end();
	probe->sandboxes[probe->opened++] = sandbox;
}

static void probe_all(struct probe *probe)
{
	struct psb_engine_info info = {.size = sizeof(info)};

	while (probe->count < MOST_ENGINES && !psb_engine_at(probe->count, &info, NULL)) {
		probe->info[probe->count++] = info;
		if (info.available)
			probe_engine(probe, &info);
	}
}

static void print_host(const struct probe *probe)
{
	printf("# HELP pysandbox_build_info The library's version.\n"
	       "# TYPE pysandbox_build_info gauge\n"
	       "pysandbox_build_info{version=\"%s\"} 1\n"
	       "# HELP pysandbox_host_engine_available Whether an engine can run on this host.\n"
	       "# TYPE pysandbox_host_engine_available gauge\n",
	       psb_version());
	for (size_t i = 0; i < probe->count; i++)
		printf("pysandbox_host_engine_available{engine=\"%s\"} %d\n", probe->info[i].name,
		       probe->info[i].available);
	printf("# HELP pysandbox_host_engine_level Level that an engine reaches on this host.\n"
	       "# TYPE pysandbox_host_engine_level gauge\n");
	for (size_t i = 0; i < probe->count; i++)
		printf("pysandbox_host_engine_level{engine=\"%s\"} %d\n", probe->info[i].name,
		       probe->info[i].level);
}

static int print_counters(const struct probe *probe)
{
	struct psb_error err = {0};
	size_t needed = 0;
	char *text = NULL;
	int rc;

	if (probe->opened == 0)
		return CLI_OK;
	(void)psb_metrics(probe->sandboxes, probe->opened, NULL, 0, &needed, &err);
	text = malloc(needed + 1);
	if (!text)
		return usage_error("out of memory");
	rc = psb_metrics(probe->sandboxes, probe->opened, text, needed, &needed, &err);
	if (!rc)
		fputs(text, stdout);
	free(text);
	return rc ? call_failed(&err) : CLI_OK;
}

int print_engine_metrics(void)
{
	struct probe probe = {.count = 0};
	int rc;

	probe_all(&probe);
	print_host(&probe);
	rc = print_counters(&probe);
	for (size_t i = 0; i < probe.opened; i++)
		psb_close(probe.sandboxes[i]);
	return rc;
}
