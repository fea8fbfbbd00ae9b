/* engines: what this build and this host offer. Reads only what the library reports. */
#include <stdio.h>

#include "cli.h"
#include "engines.h"

struct engines_args {
	bool json;
	bool metrics;
};

static const struct cli_option engines_options[] = {
	{"--json", NULL, "print a JSON array", OPTION_FLAG, offsetof(struct engines_args, json)},
	{"--metrics", NULL, "run a small probe on each engine and print Prometheus text",
	 OPTION_FLAG, offsetof(struct engines_args, metrics)},
};

static const struct cli_syntax engines_syntax = {
	.usage = "engines [--json | --metrics]",
	.about = "Lists the engines, the level each reaches on this host and what is missing.",
	.options = engines_options,
	.option_count = sizeof(engines_options) / sizeof(engines_options[0]),
};

static void print_json(const struct psb_engine_info *info, size_t index)
{
	printf("%s{\"name\":", index ? "," : "[");
	print_json_text(info->name);
	printf(",\"available\":%s,\"level\":%d,\"rung\":", info->available ? "true" : "false",
	       info->level);
	print_json_text(info->rung);
	printf(",\"missing\":");
	print_json_text(info->missing);
	printf("}");
}

static void print_line(const struct psb_engine_info *info, size_t index)
{
	if (!index)
		printf("%-10s %-10s %-6s %-5s %s\n", "ENGINE", "AVAILABLE", "LEVEL", "RUNG",
		       "MISSING");
	printf("%-10s %-10s %-6d %-5s %s\n", info->name, info->available ? "yes" : "no",
	       info->level, info->rung[0] ? info->rung : "-",
	       info->missing[0] ? info->missing : "-");
}

int cmd_engines(int argc, char **argv)
{
	struct engines_args args = {0};
	struct psb_engine_info info = {.size = sizeof(info)};
	struct psb_error err = {0};
	size_t index = 0;
	int rc = cli_parse(&engines_syntax, argc, argv, &args);

	if (rc)
		return rc == PARSE_HELP ? CLI_OK : rc;
	if (args.json && args.metrics)
		return usage_error("--json and --metrics are two forms; give one");
	if (args.metrics)
		return print_engine_metrics();
	for (; !(rc = psb_engine_at(index, &info, &err)); index++)
		if (args.json)
			print_json(&info, index);
		else
			print_line(&info, index);
	if (args.json)
		printf("%s]\n", index ? "" : "[");
	return rc == PSB_E_NOT_FOUND ? CLI_OK : call_failed(&err);
}
