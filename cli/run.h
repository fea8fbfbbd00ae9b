/* The arguments of `run`, made ready for the API. */
#ifndef PSB_CLI_RUN_H
#define PSB_CLI_RUN_H

#include "cli.h"

struct run_args {
	struct psb_options options;
	struct psb_request request;
	const char *word; /* FILE.py or "-" */
	const char *code;
	const char *input;
	const char *policy;
	const char *on_output_limit;
	struct psb_audit audit;
	const char *audit_sync;
	bool audit_code;
	bool audit_optional;
	bool verbose;
	struct text_list files;
	struct text_list env;
	bool json;
	struct text source;
	struct text input_text;
	struct text policy_text;
	struct psb_file *file_list;
};

struct run_output {
	psb_sandbox *sandbox;
	int failed;       /* 0 or -errno of the first write that failed */
	bool mid_line[3]; /* by stream: what the guest wrote does not end with a newline */
};

int run_args_read(struct run_args *args, int argc, char **argv); /* as cli_parse() */
void run_args_free(struct run_args *args);

/* run_watch.c: --audit and what belongs to it, --verbose. 0 or CLI_USAGE. */
int run_args_watch(struct run_args *args);

/* report.c: what the person is told about an end that Python did not explain. */
bool needs_report(const psb_outcome *outcome);
void report_end(const struct run_args *args, const psb_outcome *outcome);

#endif
