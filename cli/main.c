/*
 * pysandbox: the command. Thin on purpose: it turns arguments into one call of the public API and
 * the outcome into output and an exit code. It trusts its arguments and the library; guest text is
 * passed on, never interpreted.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const struct cli_command commands[] = {
	{"run", "run Python in the sandbox", cmd_run},
	{"engines", "list the engines and what this host lacks for them", cmd_engines},
	{"policy", "show a policy, or check it against this host", cmd_policy},
	{"doctor", "look at the host and attack the cages it offers", cmd_doctor},
	{"audit", "verify an audit log", cmd_audit},
	{"demo", "three examples: a computation, a report, an attack", cmd_demo},
	{"image", "build, list and verify images of the microVM engine", cmd_image},
	{"bench", "measure latency and throughput", cmd_bench},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_help(void)
{
	printf("usage: pysandbox COMMAND [options]\n\n"
	       "Runs untrusted Python and reports exactly one outcome.\n\ncommands:\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].summary);
	printf("\npysandbox COMMAND --help shows a command's options; pysandbox --version the "
	       "version.\n");
}

/* A handler, unlike SIG_IGN, is not inherited by the programs the library starts. */
static void on_sigpipe(int number)
{
	(void)number;
}

int main(int argc, char **argv)
{
	struct sigaction quiet = {.sa_handler = on_sigpipe, .sa_flags = SA_RESTART};

	(void)sigaction(SIGPIPE, &quiet, NULL);
	if (argc < 2)
		return usage_error("no command given; see pysandbox --help");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 2, argv + 2);
	if (!strcmp(argv[1], "--version")) {
		printf("pysandbox %s\n", psb_version());
		return CLI_OK;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_help();
		return CLI_OK;
	}
	return usage_error("unknown command '%.60s'; see pysandbox --help", argv[1]);
}
