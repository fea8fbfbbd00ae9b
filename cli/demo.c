/*
 * demo: what a newcomer tries first. Two computations whose results are compared with the known
 * ones, then four attacks (demo_attack.c). The host checks for the effects itself; what the guest
 * says about its failure is only shown.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "demo.h"

struct demo_args {
	const char *engine;
};

static const struct cli_option demo_options[] = {
	{"--engine", "NAME", "auto or one of `pysandbox engines` [auto]", OPTION_TEXT,
	 offsetof(struct demo_args, engine)},
};

static const struct cli_syntax demo_syntax = {
	.usage = "demo [--engine NAME]",
	.about = "Runs three examples and checks what comes out; fails if anything differs.",
	.options = demo_options,
	.option_count = 1,
};

struct example {
	const char *title;
	const char *inputs;
	const char *source;
	const char *expected;
};

static const struct example examples[] = {
	{"Example 1: statistics of a list", "{\"numbers\": [1, 2, 3, 4, 5]}",
	 "result = {\n"
	 "    'count': len(numbers),\n"
	 "    'max': max(numbers),\n"
	 "    'mean': sum(numbers) / len(numbers),\n"
	 "    'min': min(numbers),\n"
	 "    'sum': sum(numbers),\n"
	 "}\n",
	 "{\"count\":5,\"max\":5,\"mean\":3.0,\"min\":1,\"sum\":15}"},
	{"Example 2: a sales report",
	 "{\"products\": [{\"name\": \"Widget A\", \"price\": 10.50, \"quantity\": 100},"
	 " {\"name\": \"Widget B\", \"price\": 25.00, \"quantity\": 50},"
	 " {\"name\": \"Widget C\", \"price\": 5.99, \"quantity\": 200}]}",
	 "prices = [p['price'] for p in products]\n"
	 "result = {\n"
	 "    'average_price': round(sum(prices) / len(prices), 2),\n"
	 "    'most_expensive': max(products, key=lambda p: p['price'])['name'],\n"
	 "    'product_count': len(products),\n"
	 "    'total_sales': round(sum(p['price'] * p['quantity'] for p in products), 2),\n"
	 "}\n",
	 "{\"average_price\":13.83,\"most_expensive\":\"Widget B\",\"product_count\":3,"
	 "\"total_sales\":3498.0}"},
};

const char *demo_colour(const char *code)
{
	const char *no_color = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && !(no_color && no_color[0]) ? code : "";
}

int demo_execute(psb_sandbox *sandbox, const char *source, const char *inputs, psb_outcome **out)
{
	struct psb_request request;
	struct psb_error err = {0};

	psb_request_init(&request);
	request.source = source;
	request.source_len = strlen(source);
	request.inputs = inputs;
	request.inputs_len = strlen(inputs);
	return psb_execute(sandbox, &request, out, &err) ? call_failed(&err) : 0;
}

/* Equal but for white space; the values here hold it only within strings of equal length. */
static bool same_json(const char *a, const char *b)
{
	for (;; a++, b++) {
		a += strspn(a, " \t\r\n");
		b += strspn(b, " \t\r\n");
		if (*a != *b || !*a)
			return *a == *b;
	}
}

static int show_example(psb_sandbox *sandbox, const struct example *example)
{
	psb_outcome *outcome;
	const char *text;
	bool same;
	int rc = demo_execute(sandbox, example->source, example->inputs, &outcome);

	if (rc)
		return rc;
	text = psb_outcome_result(outcome, NULL);
	same = text && psb_outcome_status(outcome) == PSB_OK && same_json(text, example->expected);
	printf("%s%s%s\n", demo_colour("\033[1m"), example->title, demo_colour("\033[0m"));
	printf("  %s\n", text ? text : psb_outcome_json(outcome, NULL));
	if (!same)
		printf("  %sDiffers%s: expected %s\n", demo_colour("\033[31m"),
		       demo_colour("\033[0m"), example->expected);
	printf("\n");
	psb_outcome_free(outcome);
	return same ? CLI_OK : CLI_FAILED;
}

int cmd_demo(int argc, char **argv)
{
	struct demo_args args = {0};
	struct psb_options options;
	struct psb_error err = {0};
	psb_sandbox *sandbox;
	int rc = cli_parse(&demo_syntax, argc, argv, &args);

	if (rc)
		return rc == PARSE_HELP ? CLI_OK : rc;
	psb_options_init(&options);
	options.engine = args.engine;
	options.pool_size = 1;
	progress_watch(&options);
	if (psb_open(&options, &sandbox, &err))
		return call_failed(&err);
	(void)psb_warm(sandbox, 1, PROGRESS_WAIT_MS, NULL); /* why not, the first example says */
	progress_end();
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		int one = show_example(sandbox, &examples[i]);

		rc = one ? one : rc;
	}
	if (!rc)
		rc = demo_attacks(sandbox);
	psb_close(sandbox);
	return rc;
}
