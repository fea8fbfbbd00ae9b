/*
 * run: one program, one outcome. The cold path of the product: nothing is read, parsed or started
 * here that this one execution does not need.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "run.h"

/* 128 + SIGPIPE, what a shell reports for a program whose reader went away. */
#define EXIT_READER_GONE 141

static int descriptor(int stream)
{
	return stream == PSB_STDOUT ? STDOUT_FILENO : STDERR_FILENO;
}

/* Remembers the first failure; a reader that has gone is no news to anybody. */
static int put(struct run_output *out, int stream, const char *data, size_t len)
{
	int rc;

	progress_end();
	rc = write_all(descriptor(stream), data, len);
	if (len)
		out->mid_line[stream] = data[len - 1] != '\n';
	if (!rc)
		return 0;
	out->failed = rc;
	if (rc != -EPIPE)
		complain("%s: %s", stream == PSB_STDOUT ? "stdout" : "stderr", strerror(-rc));
	return rc;
}

static void on_output(void *context, int stream, const char *data, size_t len)
{
	struct run_output *out = context;

	if (!out->failed && put(out, stream, data, len))
		psb_cancel_current(out->sandbox);
}

/* What we add begins on a line of its own, even after print(..., end=""). */
static int end_line(struct run_output *out, int stream)
{
	return out->mid_line[stream] ? put(out, stream, "\n", 1) : 0;
}

static void show(const struct run_args *args, const psb_outcome *outcome, struct run_output *out)
{
	size_t len;
	const char *text =
		args->json ? psb_outcome_json(outcome, &len) : psb_outcome_result(outcome, &len);

	if (out->failed)
		return;
	if (!args->json && needs_report(outcome) && !end_line(out, PSB_STDERR))
		report_end(args, outcome);
	if (text && !end_line(out, PSB_STDOUT) && !put(out, PSB_STDOUT, text, len))
		(void)put(out, PSB_STDOUT, "\n", 1);
}

static int execute(struct run_args *args, psb_sandbox *sandbox)
{
	struct run_output out = {.sandbox = sandbox};
	struct psb_error err = {0};
	psb_outcome *outcome;
	int code;

	if (!args->json) {
		args->request.on_output = on_output;
		args->request.context = &out;
	}
	cancel_on_signals(sandbox);
	if (psb_execute(sandbox, &args->request, &outcome, &err)) {
		cancel_forget();
		return call_failed(&err);
	}
	cancel_forget();
	show(args, outcome, &out);
	code = psb_status_exit_code(psb_outcome_status(outcome), psb_outcome_exit_code(outcome));
	psb_outcome_free(outcome);
	if (out.failed)
		return out.failed == -EPIPE ? EXIT_READER_GONE : CLI_FAILED;
	return code;
}

int cmd_run(int argc, char **argv)
{
	struct run_args args;
	struct psb_error err = {0};
	psb_sandbox *sandbox;
	int rc = run_args_read(&args, argc, argv);

	if (!rc && psb_open(&args.options, &sandbox, &err))
		rc = call_failed(&err);
	else if (!rc)
		/* Not closed: the end of this process is the keeper's word to end, and nobody waits
		 * for the dead guest's memory to be freed. */
		rc = execute(&args, sandbox);
	run_args_free(&args);
	return rc == PARSE_HELP ? CLI_OK : rc;
}
