/*
 * SIGINT, SIGTERM and SIGHUP end the run, not the command: the outcome (status cancelled) is still
 * reported and the guest is gone when the command returns. A second signal ends the command at
 * once; the keeper then cleans up by itself.
 */
#include <signal.h>
#include <unistd.h>

#include "cli.h"

static psb_sandbox *volatile current;
static volatile sig_atomic_t seen;

static void on_signal(int number)
{
	if (seen)
		_exit(128 + number);
	seen = 1;
	if (current)
		psb_cancel_current(current);
}

void cancel_on_signals(psb_sandbox *sandbox)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	current = sandbox;
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGHUP, &action, NULL);
}

void cancel_forget(void)
{
	current = NULL;
}

bool cancel_seen(void)
{
	return seen != 0;
}
