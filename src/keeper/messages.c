/*
 * What the keeper says: to the host library (trusted) and to the zygote (told what to do, never
 * asked). Listening is main.c's.
 */
#include <stdio.h>

#include "ipc/fdpass.h"
#include "keeper/keeper.h"

/* A host that misses a word would wait for it: it is better off with no keeper, which it notices. */
void host_send(struct keeper *keeper, const struct keeper_message *message, const int *fds,
	       size_t count)
{
	if (fdpass_send(keeper->host_fd, message, sizeof(*message), fds, count) < 0)
		keeper->host_gone = true;
}

void host_fail_template(struct keeper *keeper, const char *text)
{
	struct keeper_message message = {.type = KEEPER_TEMPLATE_FAILED};

	if (keeper->template_failed)
		return;
	keeper->template_failed = true;
	(void)snprintf(message.text, sizeof(message.text), "%s", text);
	host_send(keeper, &message, NULL, 0);
}

int spawn_send(struct keeper *keeper, const struct spawn_message *message, const int *fds,
	       size_t count)
{
	return fdpass_send(keeper->zygote_fd, message, sizeof(*message), fds, count);
}
