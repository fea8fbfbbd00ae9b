/*
 * Options of `run`. What they mean is the library's business: sizes, names and policies are passed
 * on and refused there, with a message that names the thing, so that an application gets the same.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "run.h"

#define SOURCE_MAX_BYTES (64u << 20)

#define FIELD(field) offsetof(struct run_args, field)
#define LIMIT(field) offsetof(struct run_args, options.limits.field)

static const struct cli_option run_options[] = {
	{"-c", "CODE", "run this text instead of a file", OPTION_TEXT, FIELD(code)},
	{"--json", NULL, "print the outcome, one JSON object, and nothing else", OPTION_FLAG,
	 FIELD(json)},
	{"--input", "JSON|@FILE", "an object whose members become variables", OPTION_TEXT,
	 FIELD(input)},
	{"--file", "GUEST=HOST", "give the guest a copy of HOST as GUEST; repeatable", OPTION_LIST,
	 FIELD(files)},
	{"--output", "DIR", "receive the files the guest leaves in its workspace", OPTION_TEXT,
	 FIELD(request.output_dir)},
	{"--env", "K=V", "set an environment variable; repeatable", OPTION_LIST, FIELD(env)},
	{"--timeout", "S", "wall-clock limit in seconds [30]", OPTION_SECONDS, LIMIT(wall_ms)},
	{"--cpu", "S", "limit of processor time in seconds [--timeout]", OPTION_SECONDS,
	 LIMIT(cpu_ms)},
	{"--memory", "SIZE", "memory limit [256M]", OPTION_SIZE, LIMIT(memory_bytes)},
	{"--processes", "N", "limit of processes and threads [64]", OPTION_COUNT, LIMIT(processes)},
	{"--workspace", "SIZE", "limit of all files together [64M]", OPTION_SIZE,
	 LIMIT(workspace_bytes)},
	{"--stdout-limit", "SIZE", "limit of standard output [1M]", OPTION_SIZE,
	 LIMIT(stdout_bytes)},
	{"--stderr-limit", "SIZE", "limit of standard error [1M]", OPTION_SIZE,
	 LIMIT(stderr_bytes)},
	{"--result-limit", "SIZE", "limit of the result as JSON [16M]", OPTION_SIZE,
	 LIMIT(result_bytes)},
	{"--on-output-limit", "WHAT", "kill or truncate [kill]", OPTION_TEXT,
	 FIELD(on_output_limit)},
	{"--engine", "NAME", "auto or one of `pysandbox engines` [auto]", OPTION_TEXT,
	 FIELD(options.engine)},
	{"--policy", "NAME|FILE", "a policy's name, or a JSON file [default]", OPTION_TEXT,
	 FIELD(policy)},
	{"--require", "FLOOR", "run nothing below this level (1-10) or without these controls",
	 OPTION_TEXT, FIELD(options.require)},
	{"--site-policy", "FILE", "a site policy to bind beside the machine's", OPTION_TEXT,
	 FIELD(options.site_policy)},
	{"--python", "PATH", "the interpreter, also of a venv [/usr/bin/python3]", OPTION_TEXT,
	 FIELD(options.python)},
	{"--preload", "MODULES", "modules to import before the run, with commas", OPTION_TEXT,
	 FIELD(options.preload)},
	{"--tag", "T", "a label, copied into the outcome", OPTION_TEXT, FIELD(request.tag)},
	{"--audit", "FILE", "append what was run, and how it ended, to this log", OPTION_TEXT,
	 FIELD(audit.file)},
	{"--audit-key", "FILE", "seal the log with this key", OPTION_TEXT, FIELD(audit.key_file)},
	{"--audit-rotate", "SIZE", "put the log aside at this size [never]", OPTION_SIZE,
	 FIELD(audit.rotate_bytes)},
	{"--audit-sync", "WHAT", "none, accepted or all records to the disk at once [none]",
	 OPTION_TEXT, FIELD(audit_sync)},
	{"--audit-code", NULL, "keep the program's text too, not its hash only", OPTION_FLAG,
	 FIELD(audit_code)},
	{"--audit-optional", NULL, "run even when the log cannot be written", OPTION_FLAG,
	 FIELD(audit_optional)},
	{"--verbose", NULL, "say on standard error what the library does", OPTION_FLAG,
	 FIELD(verbose)},
	{"--rung", "A-D", NULL, OPTION_TEXT, FIELD(options.rung)},
};

static const struct cli_syntax run_syntax = {
	.usage = "run [options] FILE.py | -c CODE | -",
	.about = "Runs one Python program in the sandbox. Its output comes as it is written; the\n"
		 "value of its variable `result`, if set, follows as one line of JSON.",
	.options = run_options,
	.option_count = sizeof(run_options) / sizeof(run_options[0]),
	.word_offset = FIELD(word),
	.takes_word = true,
};

static int read_source(struct run_args *args)
{
	const char *slash;
	int rc;

	if (!args->code == !args->word)
		return usage_error(args->code ? "both -c and a file were given"
					      : "nothing to run: give FILE.py, -c CODE or -");
	if (args->code) {
		args->request.source = args->code;
		args->request.source_len = strlen(args->code);
		args->request.filename = "<string>";
		return 0;
	}
	rc = read_file(args->word, SOURCE_MAX_BYTES, &args->source);
	if (rc)
		return rc;
	slash = strrchr(args->word, '/');
	args->request.source = args->source.data;
	args->request.source_len = args->source.len;
	args->request.filename =
		strcmp(args->word, "-") ? (slash ? slash + 1 : args->word) : "<stdin>";
	return 0;
}

static int read_files(struct run_args *args)
{
	if (!args->files.count)
		return 0;
	args->file_list = calloc(args->files.count, sizeof(*args->file_list));
	if (!args->file_list)
		return usage_error("out of memory");
	for (size_t i = 0; i < args->files.count; i++) {
		const char *text = args->files.items[i];
		const char *equals = strchr(text, '=');
		char *name;

		if (!equals || equals == text || !equals[1])
			return usage_error("--file: '%.200s' is not GUEST=HOST", text);
		name = strndup(text, (size_t)(equals - text));
		if (!name)
			return usage_error("out of memory");
		args->file_list[i].guest_name = name;
		args->file_list[i].host_path = equals + 1;
	}
	args->request.files = args->file_list;
	args->request.file_count = args->files.count;
	return 0;
}

static int read_rest(struct run_args *args)
{
	for (size_t i = 0; i < args->env.count; i++)
		if (!strchr(args->env.items[i], '=') || args->env.items[i][0] == '=')
			return usage_error("--env: '%.200s' is not K=V", args->env.items[i]);
	args->request.env = args->env.items;
	if (!args->on_output_limit || !strcmp(args->on_output_limit, "kill"))
		args->options.limits.on_output_limit = PSB_OUTPUT_KILL;
	else if (!strcmp(args->on_output_limit, "truncate"))
		args->options.limits.on_output_limit = PSB_OUTPUT_TRUNCATE;
	else
		return usage_error("--on-output-limit: '%.60s' is neither kill nor truncate",
				   args->on_output_limit);
	if (args->request.output_dir && mkdir(args->request.output_dir, 0777) && errno != EEXIST)
		return usage_error("--output: %.300s: %s", args->request.output_dir,
				   strerror(errno));
	return 0;
}

int run_args_read(struct run_args *args, int argc, char **argv)
{
	int rc;

	*args = (struct run_args){0};
	psb_options_init(&args->options);
	psb_limits_init(&args->options.limits);
	psb_request_init(&args->request);
	args->options.single_use = 1;
	rc = cli_parse(&run_syntax, argc, argv, args);
	if (!rc)
		rc = read_source(args);
	if (!rc)
		rc = read_input(args->input, &args->input_text, &args->request);
	if (!rc)
		rc = read_policy(args->policy, &args->policy_text, &args->options);
	if (!rc)
		rc = read_files(args);
	if (!rc)
		rc = run_args_watch(args);
	return rc ? rc : read_rest(args);
}

void run_args_free(struct run_args *args)
{
	for (size_t i = 0; args->file_list && i < args->files.count; i++) {
		char *name;

		memcpy(&name, &args->file_list[i].guest_name, sizeof(name));
		free(name);
	}
	free(args->file_list);
	text_list_free(&args->files);
	text_list_free(&args->env);
	text_free(&args->source);
	text_free(&args->input_text);
	text_free(&args->policy_text);
}
