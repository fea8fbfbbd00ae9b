/*
 * The store of images, for the command and for applications that build ahead: psb_image(). The
 * work is the VMM program's; this side starts it and passes on what it tells.
 * Trust boundary: none; the program is ours.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/error.h"
#include "core/libexec.h"
#include "core/limits.h"
#include "engines/orphan.h"
#include "ipc/fdpass.h"
#include "microvm.h"

static uint32_t action_of(enum psb_image_action action)
{
	switch (action) {
	case PSB_IMAGE_BUILD: return VMM_BUILD;
	case PSB_IMAGE_REBUILD: return VMM_REBUILD;
	case PSB_IMAGE_LIST: return VMM_LIST;
	case PSB_IMAGE_VERIFY: return VMM_VERIFY;
	case PSB_IMAGE_PRUNE: return VMM_PRUNE;
	}
	return VMM_SERVE;
}

static int listen_to(int control_fd, psb_progress_fn progress, void *context, struct psb_error *err)
{
	struct pollfd wait = {.fd = control_fd, .events = POLLIN};
	struct vmm_reply reply;
	int rc;

	for (;;) {
		if (poll(&wait, 1, -1) < 0 && errno != EINTR)
			return psb_fail(err, PSB_E_SYSTEM, errno, "image: poll: %s",
					strerror(errno));
		rc = fdpass_receive(control_fd, &reply, sizeof(reply), NULL, 0, MSG_DONTWAIT, NULL);
		if (rc == FDPASS_EMPTY)
			continue;
		if (rc < 0)
			return psb_fail(err, PSB_E_ENGINE, 0, "image: the builder ended early");
		reply.text[sizeof(reply.text) - 1] = '\0';
		if (reply.type == VMM_DONE)
			return 0;
		if (reply.type == VMM_FAILED)
			return psb_fail(err, PSB_E_ENGINE, 0, "%s", reply.text);
		if (reply.type == VMM_PROGRESS && progress)
			progress(context, reply.text);
	}
}

static int configure(const struct psb_options *options, const char *libexec,
		     struct vmm_config *config, struct psb_error *err)
{
	char python[] = "/usr/bin/python3";
	char nothing[] = "";
	struct plan plan = {.pool_size = 1, .single_use = true};
	struct engine_probe probe;
	auto_free char *wished = options->python ? strdup(options->python) : NULL;
	auto_free char *preload = options->preload ? strdup(options->preload) : NULL;
	auto_free char *parts = strdup(libexec);

	/* The process that boots is caged by what the host has; for the other actions it is no matter. */
	microvm_probe(NULL, &probe);
	memcpy(plan.rung, probe.available ? probe.rung : "C", 2);
	plan.python = wished ? wished : python;
	plan.preload = preload ? preload : nothing;
	plan.libexec = parts;
	if (!parts || (options->python && !wished) || (options->preload && !preload))
		return psb_fail(err, PSB_E_MEMORY, ENOMEM, "image: out of memory");
	return microvm_configure(&plan, config, err);
}

int psb_image(const struct psb_options *options, enum psb_image_action action,
	      psb_progress_fn progress, void *context, struct psb_error *err)
{
	auto_free struct vmm_config *config = calloc(1, sizeof(*config));
	auto_free char *libexec = NULL;
	auto_fd control_fd = -1;
	int rc;

	if (!options || action_of(action) == VMM_SERVE)
		return psb_fail(err, PSB_E_INVALID, 0, "image: no options or no such action");
	libexec = libexec_find(options->libexec);
	if (!config || !libexec)
		return psb_fail(err, PSB_E_MEMORY, ENOMEM, "image: out of memory");
	rc = configure(options, libexec, config, err);
	if (rc < 0)
		return rc;
	config->action = action_of(action);
	rc = orphan_start(libexec, "pysandbox-vmm", "image", config, sizeof(*config), &control_fd,
			  err);
	return rc < 0 ? rc : listen_to(control_fd, progress, context, err);
}
