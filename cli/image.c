/* image: builds, lists, verifies and removes the microVM engine's images. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

struct image_args {
	const char *word;
	const char *python;
	const char *preload;
	bool again;
};

static const struct cli_option image_options[] = {
	{"--python", "PATH", "the interpreter [/usr/bin/python3]", OPTION_TEXT,
	 offsetof(struct image_args, python)},
	{"--preload", "MODULES", "modules to import ahead, comma-separated", OPTION_TEXT,
	 offsetof(struct image_args, preload)},
	{"--again", NULL, "build: also if it is there already", OPTION_FLAG,
	 offsetof(struct image_args, again)},
};

static const struct cli_syntax image_syntax = {
	.usage = "image build|list|verify|prune [options]",
	.about =
		"The microVM engine boots from an image: an interpreter with its packages, packed, "
		"started and stored. It is built on first use; here it can be built ahead. prune\n"
		"removes what was not used for a month, and all but the newest for each\n"
		"interpreter and list of modules.",
	.options = image_options,
	.option_count = sizeof(image_options) / sizeof(image_options[0]),
	.word_offset = offsetof(struct image_args, word),
	.takes_word = true,
};

static void show_line(void *context, const char *text)
{
	(void)context;
	printf("%s\n", text);
}

/* Here it is what was asked for: every step is worth a line. */
static void complain_line(void *context, const char *text)
{
	(void)context;
	complain("%s", text);
}

static int build(const struct image_args *args, const struct psb_options *options)
{
	struct psb_error err = {0};
	enum psb_image_action action = args->again ? PSB_IMAGE_REBUILD : PSB_IMAGE_BUILD;
	psb_progress_fn show = isatty(STDERR_FILENO) ? progress_show : complain_line;
	int rc = psb_image(options, action, show, NULL, &err);

	progress_end();
	return rc ? call_failed(&err) : CLI_OK;
}

static int list(const struct psb_options *options, enum psb_image_action action)
{
	struct psb_error err = {0};

	return psb_image(options, action, show_line, NULL, &err) ? call_failed(&err) : CLI_OK;
}

int cmd_image(int argc, char **argv)
{
	struct image_args args = {0};
	struct psb_options options;
	int rc = cli_parse(&image_syntax, argc, argv, &args);

	if (rc)
		return rc == PARSE_HELP ? CLI_OK : rc;
	psb_options_init(&options);
	options.python = args.python;
	options.preload = args.preload;
	if (args.word && strcmp(args.word, "build") == 0)
		return build(&args, &options);
	if (args.word && strcmp(args.word, "list") == 0)
		return list(&options, PSB_IMAGE_LIST);
	if (args.word && strcmp(args.word, "verify") == 0)
		return list(&options, PSB_IMAGE_VERIFY);
	if (args.word && strcmp(args.word, "prune") == 0)
		return list(&options, PSB_IMAGE_PRUNE);
	return usage_error("image: build, list, verify or prune; see pysandbox image --help");
}
