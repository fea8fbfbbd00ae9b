/*
 * A whole application that embeds pysandbox: it opens a sandbox, runs a program that it does not
 * trust with some inputs, shows the output as it comes, and acts on the one outcome. Build it with
 *
 *     cc embed.c -o embed $(pkg-config --cflags --libs pysandbox)
 *
 * Nothing that the program does can reach this process except through the outcome, and everything
 * in the outcome that the program wrote (result, output, error texts) is to be treated as input
 * from a stranger.
 */
#include <stdio.h>
#include <string.h>

#include <pysandbox.h>

static const char program[] = "print('adding', len(numbers), 'numbers')\n"
			      "result = {'sum': sum(numbers)}\n";

static void on_output(void *context, int stream, const char *data, size_t len)
{
	FILE *to = stream == PSB_STDOUT ? stdout : stderr;

	(void)context;
	(void)fwrite(data, 1, len, to);
}

/* One sandbox can run many programs; each run starts from the same clean state. */
static int run(psb_sandbox *sandbox, const char *source, const char *inputs)
{
	struct psb_error err = {0};
	struct psb_request request;
	psb_outcome *outcome;
	const char *result;
	int status;

	psb_request_init(&request);
	request.source = source;
	request.source_len = strlen(source);
	request.inputs = inputs;
	request.inputs_len = strlen(inputs);
	request.on_output = on_output;
	if (psb_execute(sandbox, &request, &outcome, &err)) {
		(void)fprintf(stderr, "the call was refused: %s\n", err.message);
		return 1;
	}
	status = psb_outcome_status(outcome);
	result = psb_outcome_result(outcome, NULL);
	printf("status %s, result %s, %llu us on engine %s\n", psb_status_name(status),
	       result ? result : "not set", (unsigned long long)psb_outcome_wall_us(outcome),
	       psb_outcome_engine(outcome) ? psb_outcome_engine(outcome) : "none");
	psb_outcome_free(outcome);
	return status == PSB_OK ? 0 : 1;
}

int main(void)
{
	struct psb_error err = {0};
	struct psb_options options;
	psb_sandbox *sandbox;
	int failed;

	psb_options_init(&options);
	psb_limits_init(&options.limits);
	options.limits.wall_ms = 5000;
	options.limits.memory_bytes = 128u << 20;
	options.pool_size = 1;
	if (psb_open(&options, &sandbox, &err)) {
		(void)fprintf(stderr, "no sandbox: %s\n", err.message);
		return 1;
	}
	failed = run(sandbox, program, "{\"numbers\": [1, 2, 3]}");
	failed += run(sandbox, program, "{\"numbers\": []}");
	psb_close(sandbox);
	return failed ? 1 : 0;
}
