/*
 * audit verify: is the chain of an audit log whole? The library judges; what a whole chain does
 * not show is said as plainly as what a broken one shows. Exit codes: 0 whole, 1 not, 2 could not
 * be read.
 */
#include <stdio.h>
#include <string.h>

#include "audit.h"

#define FIELD(field) offsetof(struct audit_args, field)

static const struct cli_option verify_options[] = {
	{"--head", "HASH", "a head noted earlier: it must still be in the chain", OPTION_TEXT,
	 FIELD(check.head)},
	{"--key", "FILE", "the key that the log was made with", OPTION_TEXT, FIELD(check.key_file)},
	{"--previous", "HASH", "the head of the file before the first one given", OPTION_TEXT,
	 FIELD(check.previous)},
	{"--json", NULL, "print one JSON object", OPTION_FLAG, FIELD(json)},
};

static const struct cli_syntax verify_syntax = {
	.usage = "audit verify [--head HASH] [--key FILE] [--previous HASH] [--json] FILE...",
	.about =
		"Follows the chain of an audit log through its files, the oldest first, and names\n"
		"every record that was changed, removed or moved. Exits with 0 when it is whole.",
	.options = verify_options,
	.option_count = sizeof(verify_options) / sizeof(verify_options[0]),
	.word_offset = FIELD(files),
	.takes_words = true,
};

static int verify(struct audit_args *args)
{
	struct psb_audit_report report = {.size = sizeof(report)};
	struct psb_error err = {0};

	if (args->files.count == 0)
		return usage_error("audit verify: no file was given");
	if (args->json)
		printf("{\"faults\":[");
	if (psb_audit_verify(args->files.items, args->files.count, &args->check, print_fault, args,
			     &report, &err)) {
		if (args->json)
			printf("],\"error\":\"%s\"}\n", psb_error_name(err.code));
		return usage_error("%s", err.message);
	}
	print_report(args, &report);
	return report.faults ? CLI_FAILED : CLI_OK;
}

int cmd_audit(int argc, char **argv)
{
	struct audit_args args = {.json = false};
	int rc;

	if (argc > 0 && (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h")))
		return cli_parse(&verify_syntax, argc, argv, &args) == PARSE_HELP ? CLI_OK
										  : CLI_USAGE;
	if (argc == 0 || strcmp(argv[0], "verify") != 0)
		return usage_error("audit: '%.60s' is not a word it knows; try pysandbox audit "
				   "verify FILE",
				   argc ? argv[0] : "");
	psb_audit_check_init(&args.check);
	rc = cli_parse(&verify_syntax, argc - 1, argv + 1, &args);
	if (!rc)
		rc = verify(&args);
	text_list_free(&args.files);
	return rc == PARSE_HELP ? CLI_OK : rc;
}
