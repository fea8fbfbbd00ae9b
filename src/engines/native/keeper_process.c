/*
 * The library's side of the keeper's life: it is started as an orphan (engines/orphan.h) and ends
 * with our end of its socket.
 * Trust boundary: none; the keeper is ours.
 */
#include <string.h>

#include "core/error.h"
#include "engines/orphan.h"
#include "ipc/fdpass.h"
#include "native.h"

int keeper_start(const struct keeper_config *config, const char *libexec, int *control_fd,
		 struct psb_error *err)
{
	return orphan_start(libexec, "pysandbox-keeper", "native", config, sizeof(*config),
			    control_fd, err);
}

int keeper_send(const struct engine_template *tmpl, const struct host_message *message,
		const int fds[HOST_FDS], struct psb_error *err)
{
	int rc = fdpass_send(tmpl->control_fd, message, sizeof(*message), fds, fds ? HOST_FDS : 0);

	if (rc < 0)
		return psb_fail(err, PSB_E_ENGINE, -rc, "native: the keeper is gone: %s",
				strerror(-rc));
	return 0;
}
