/*
 * policy: what a policy says once everything is worked in (show), and whether it is valid and an
 * engine of this host may run it (check). Nothing is started. The library reads, judges and words
 * it; this is the frame around its answers.
 */
#include "policy.h"

#include <stdio.h>
#include <string.h>

struct policy_args {
	struct psb_options options;
	const char *policy;
	struct text text;
	bool json;
};

#define FIELD(field) offsetof(struct policy_args, field)

static const struct cli_option policy_options[] = {
	{"--json", NULL, "print one JSON object", OPTION_FLAG, FIELD(json)},
	{"--require", "FLOOR", "the floor that is asked for beside the policy's", OPTION_TEXT,
	 FIELD(options.require)},
	{"--site-policy", "FILE", "a site policy to bind beside the machine's", OPTION_TEXT,
	 FIELD(options.site_policy)},
	{"--engine", "NAME", "look at this engine only [auto]", OPTION_TEXT, FIELD(options.engine)},
	{"--python", "PATH", "the interpreter [/usr/bin/python3]", OPTION_TEXT,
	 FIELD(options.python)},
	{"--preload", "MODULES", "modules that must be there, with commas", OPTION_TEXT,
	 FIELD(options.preload)},
	{"--rung", "A-D", NULL, OPTION_TEXT, FIELD(options.rung)},
};

static const struct cli_syntax both_syntax = {
	.usage = "policy show|check [options] [NAME|FILE]",
	.about = "Shows policies, and checks them against this host; each has --help.",
	.options = policy_options,
	.option_count = sizeof(policy_options) / sizeof(policy_options[0]),
};

static const struct cli_syntax show_syntax = {
	.usage = "policy show [options] [NAME|FILE]",
	.about = "Shows a policy with its template, the site's rules and all limits worked in.\n"
		 "Without a name: the templates there are.",
	.options = policy_options,
	.option_count = 3,
	.word_offset = FIELD(policy),
	.takes_word = true,
};

static const struct cli_syntax check_syntax = {
	.usage = "policy check [options] NAME|FILE",
	.about = "Checks that a policy is valid (exit code 2 if not) and that an engine of this "
		 "host\n"
		 "may run it (exit code 125 if none may).",
	.options = policy_options,
	.option_count = sizeof(policy_options) / sizeof(policy_options[0]),
	.word_offset = FIELD(policy),
	.takes_word = true,
};

static int read_args(const struct cli_syntax *syntax, int argc, char **argv,
		     struct policy_args *args)
{
	int rc;

	*args = (struct policy_args){0};
	psb_options_init(&args->options);
	rc = cli_parse(syntax, argc, argv, args);
	return rc ? rc : read_policy(args->policy, &args->text, &args->options);
}

static int list_templates(bool json)
{
	const char *name;

	for (size_t i = 0; (name = psb_policy_name(i)); i++)
		printf(json ? "%s\"%s\"" : "%s%s\n", !json ? "" : i ? "," : "[", name);
	if (json)
		printf("]\n");
	return CLI_OK;
}

static int show(const struct policy_args *args)
{
	struct psb_error err = {0};
	char *text = NULL;

	if (!args->policy)
		return list_templates(args->json);
	if (psb_policy_text(&args->options, 0, &text, &err))
		return call_failed(&err);
	if (args->json)
		printf("%s\n", text);
	else
		print_indented(text);
	psb_text_free(text);
	return CLI_OK;
}

/* How many engines fit, or a negative PSB_E_*; prints one line each if asked to. */
static int look_at_engines(const struct policy_args *args, bool print, struct psb_error *err)
{
	struct psb_engine_info info = {.size = sizeof(info)};
	int fitting = 0;
	int rc;

	for (size_t i = 0; !(rc = psb_engine_fits(&args->options, i, &info, err)); i++) {
		fitting += info.available;
		if (print && !i)
			printf("%-10s %-5s %-6s %-5s %s\n", "ENGINE", "FITS", "LEVEL", "RUNG",
			       "MISSING");
		if (print)
			printf("%-10s %-5s %-6d %-5s %s\n", info.name,
			       info.available ? "yes" : "no", info.level,
			       info.rung[0] ? info.rung : "-",
			       info.missing[0] ? info.missing : "-");
	}
	return rc == PSB_E_NOT_FOUND ? fitting : rc;
}

static int check(const struct policy_args *args)
{
	struct psb_error err = {0};
	char *text = NULL;
	int fitting;

	if (!args->policy)
		return usage_error("policy check: nothing to check: give NAME or FILE");
	if (psb_policy_text(&args->options, 1, &text, &err))
		return call_failed(&err);
	if (args->json)
		printf("%s\n", text);
	else
		printf("%s: valid\n", args->policy);
	psb_text_free(text);
	fitting = look_at_engines(args, !args->json, &err);
	if (fitting < 0)
		return call_failed(&err);
	if (fitting > 0)
		return CLI_OK;
	complain("no engine of this host may run it");
	return psb_status_exit_code(PSB_UNAVAILABLE, 0);
}

int cmd_policy(int argc, char **argv)
{
	const char *word = argc > 0 ? argv[0] : "";
	bool shows = !strcmp(word, "show");
	struct policy_args args;
	int rc;

	if (!strcmp(word, "--help") || !strcmp(word, "-h"))
		return cli_parse(&both_syntax, 1, argv, &args) == PARSE_HELP ? CLI_OK : CLI_USAGE;
	if (!shows && strcmp(word, "check"))
		return usage_error("policy: say show or check; see pysandbox policy --help");
	rc = read_args(shows ? &show_syntax : &check_syntax, argc - 1, argv + 1, &args);
	if (!rc)
		rc = shows ? show(&args) : check(&args);
	text_free(&args.text);
	return rc == PARSE_HELP ? CLI_OK : rc;
}
