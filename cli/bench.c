/*
 * bench: figures for one engine through the public API, as an application would see them. Latency
 * with one run in flight and the pool full; throughput with several in flight, recycling included.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define FIELD(field) offsetof(struct bench_args, field)

static const struct cli_option bench_options[] = {
	{"--engine", "NAME", "auto or one of `pysandbox engines` [auto]", OPTION_TEXT,
	 FIELD(options.engine)},
	{"-n", "N", "executions of the latency phase [1000]", OPTION_COUNT, FIELD(count)},
	{"-c", "CODE", "what to run [result = sum(range(10))]", OPTION_TEXT, FIELD(code)},
	{"--input", "JSON|@FILE", "an object whose members become variables", OPTION_TEXT,
	 FIELD(input)},
	{"--inflight", "K", "sandboxes at work in the throughput phase [2 per core]", OPTION_COUNT,
	 FIELD(inflight)},
	{"--pool", "N", "instances kept ready in each sandbox [2]", OPTION_COUNT, FIELD(pool)},
	{"--duration", "S", "of the throughput phase, in seconds [5]", OPTION_SECONDS,
	 FIELD(duration_ms)},
	{"--phase", "NAME", "latency or throughput only [both]", OPTION_TEXT, FIELD(phase)},
	{"--preload", "MODULES", "modules to import beforehand, with commas", OPTION_TEXT,
	 FIELD(options.preload)},
	{"--policy", "NAME|FILE", "a policy's name, or a JSON file [default]", OPTION_TEXT,
	 FIELD(policy)},
	{"--python", "PATH", "the interpreter [/usr/bin/python3]", OPTION_TEXT,
	 FIELD(options.python)},
	{"--reference", NULL, "alternate with /usr/bin/python3 -I -S -c pass", OPTION_FLAG,
	 FIELD(reference)},
	{"--json", NULL, "print one JSON object", OPTION_FLAG, FIELD(json)},
	{"--rung", "A-D", NULL, OPTION_TEXT, FIELD(options.rung)},
};

static const struct cli_syntax bench_syntax = {
	.usage = "bench [options]",
	.about = "Measures latency (one in flight, instances ready) and throughput (several in\n"
		 "flight, recycling included).",
	.options = bench_options,
	.option_count = sizeof(bench_options) / sizeof(bench_options[0]),
};

int bench_open(const struct bench_args *args, psb_sandbox **out)
{
	struct psb_error err = {0};

	struct psb_options options = args->options;
	int rc;

	progress_watch(&options);
	if (psb_open(&options, out, &err))
		return call_failed(&err);
	rc = psb_warm(*out, (uint32_t)args->pool, PROGRESS_WAIT_MS, &err);
	progress_end();
	if (!rc)
		return 0;
	psb_close(*out);
	*out = NULL;
	return call_failed(&err);
}

/* A figure of runs that failed would mean nothing: the first such run ends the benchmark. */
int bench_execute(psb_sandbox *sandbox, const struct bench_args *args, psb_outcome **out)
{
	struct psb_error err = {0};

	if (psb_execute(sandbox, &args->request, out, &err))
		return call_failed(&err);
	if (psb_outcome_status(*out) == PSB_OK)
		return 0;
	complain("bench: a run ended with %s", psb_outcome_json(*out, NULL));
	psb_outcome_free(*out);
	return CLI_FAILED;
}

static void print_latency(const struct bench_args *args, const struct latency *latency)
{
	printf("\"engine\":\"%s\",\"n\":%llu,\"p50_us\":%llu,\"p90_us\":%llu,\"p99_us\":%llu,"
	       "\"recycle_us\":%llu",
	       latency->engine, (unsigned long long)args->count,
	       (unsigned long long)latency->p50_us, (unsigned long long)latency->p90_us,
	       (unsigned long long)latency->p99_us, (unsigned long long)latency->recycle_us);
	if (args->reference)
		printf(",\"reference_us\":%llu,\"reference_ratio\":%.1f",
		       (unsigned long long)latency->reference_us,
		       (double)latency->reference_us / (double)latency->p50_us);
}

static int run_phases(const struct bench_args *args)
{
	bool latency_too = strcmp(args->phase, "throughput") != 0;
	struct latency latency = {0};
	double per_second = 0;
	int rc = latency_too ? bench_latency(args, &latency) : 0;

	if (!rc && strcmp(args->phase, "latency") != 0)
		rc = bench_throughput(args, &per_second);
	if (rc)
		return rc;
	printf("{");
	if (latency_too)
		print_latency(args, &latency);
	if (strcmp(args->phase, "latency") != 0)
		printf("%s\"inflight\":%llu,\"pool\":%llu,\"per_second\":%.1f",
		       latency_too ? "," : "", (unsigned long long)args->inflight,
		       (unsigned long long)args->pool, per_second);
	printf("}\n");
	return CLI_OK;
}

static int check(const struct bench_args *args)
{
	if (args->pool > 64 || args->inflight > 1024 || args->count > 100000000u)
		return usage_error("bench: --pool goes to 64, --inflight to 1024, -n to 100000000");
	if (strcmp(args->phase, "both") && strcmp(args->phase, "latency") &&
	    strcmp(args->phase, "throughput"))
		return usage_error("--phase: '%.60s' is neither latency nor throughput",
				   args->phase);
	return 0;
}

int cmd_bench(int argc, char **argv)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	struct bench_args args = {
		.code = "result = sum(range(10))",
		.phase = "both",
		.count = 1000,
		.inflight = cores > 0 ? 2 * (uint64_t)cores : 2,
		.pool = 2,
		.duration_ms = 5000,
	};
	int rc;

	psb_options_init(&args.options);
	rc = cli_parse(&bench_syntax, argc, argv, &args);
	if (!rc)
		rc = check(&args);
	if (rc)
		return rc == PARSE_HELP ? CLI_OK : rc;
	args.options.pool_size = (uint32_t)args.pool;
	psb_request_init(&args.request);
	args.request.source = args.code;
	args.request.source_len = strlen(args.code);
	rc = read_input(args.input, &args.input_text, &args.request);
	if (!rc)
		rc = read_policy(args.policy, &args.policy_text, &args.options);
	if (!rc)
		rc = run_phases(&args);
	text_free(&args.input_text);
	text_free(&args.policy_text);
	return rc;
}
