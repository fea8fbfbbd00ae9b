/*
 * Fetches what an ended guest left in its workspace: the supervisor lends a directory of a bounded
 * file system that goes with it, the worker's guest kernel walks the workspace, and its records
 * become files (files_in.c).
 * Trust boundary: the stream is the guest's; what collect.c then reads are files that we made.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/error.h"
#include "files_in.h"
#include "microvm.h"

#define WAIT_US UINT64_C(12000000)
#define READS_PER_TURN 16
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* One fetch, over as many calls of workspace() as it takes. */
struct fetch {
	struct files_in in;
	int dir_fd;
	uint64_t deadline_us;
	bool asked; /* VM_COLLECT was sent */
	bool ended;
	bool failed;
};

static void on_data(void *context, uint32_t type, const uint8_t *data, size_t len)
{
	struct fetch *fetch = context;

	if (type == VM_FILES)
		files_in_feed(&fetch->in, data, len);
}

static void on_event(void *context, uint32_t type, const uint8_t *data, size_t len)
{
	struct fetch *fetch = context;
	uint32_t failed = 1;

	if (type != VM_FILES_END)
		return;
	if (len == sizeof(failed))
		memcpy(&failed, data, sizeof(failed));
	fetch->failed = failed != 0;
	fetch->ended = true;
}

/* 0 when it is there, PSB_E_BUSY while the supervisor was asked for it. */
static int get_file_system(struct engine_instance *instance, struct psb_error *err)
{
	struct engine_template *tmpl = instance->tmpl;

	if (tmpl->files_fd >= 0)
		return 0;
	if (!tmpl->files_seen && !tmpl->dead) {
		(void)vm_ask_files(tmpl, instance->slot);
		return psb_fail(err, PSB_E_BUSY, 0, "microvm: the workspace is not here yet");
	}
	return psb_fail(err, PSB_E_UNSUPPORTED, 0,
			"microvm: without user namespaces there is no place for the guest's files; "
			"allow them or use the native engine");
}

static void name_directory(const struct engine_instance *instance, char name[16])
{
	(void)snprintf(name, 16, "%u", instance->slot);
}

static int make_directory(struct engine_instance *instance, struct psb_error *err)
{
	int root = instance->tmpl->files_fd;
	char name[16];
	int fd = -1;

	name_directory(instance, name);
	if (mkdirat(root, name, 0700) == 0) {
		instance->files_made = true;
		fd = openat(root, name, DIR_FLAGS);
	}
	if (fd < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "microvm: a place for the files: %s",
				strerror(errno));
	return fd;
}

static void remove_entries(int dir_fd, unsigned int depth)
{
	int fd = openat(dir_fd, ".", DIR_FLAGS);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (!dir) {
		close_fd(&fd);
		return;
	}
	while ((entry = readdir(dir))) {
		auto_fd below = -1;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(dir_fd, entry->d_name, 0) == 0 || depth == 0)
			continue;
		below = openat(dir_fd, entry->d_name, DIR_FLAGS);
		if (below >= 0)
			remove_entries(below, depth - 1);
		(void)unlinkat(dir_fd, entry->d_name, AT_REMOVEDIR);
	}
	(void)closedir(dir);
}

void workspace_remove(struct engine_instance *instance)
{
	auto_fd fd = -1;
	char name[16];

	if (!instance->files_made)
		return;
	name_directory(instance, name);
	fd = openat(instance->tmpl->files_fd, name, DIR_FLAGS);
	if (fd >= 0)
		remove_entries(fd, FILES_IN_DEPTH + 1);
	(void)unlinkat(instance->tmpl->files_fd, name, AT_REMOVEDIR);
	instance->files_made = false;
}

void workspace_free(struct engine_instance *instance)
{
	struct fetch *fetch = instance->fetch;

	if (!fetch)
		return;
	files_in_close(&fetch->in);
	close_fd(&fetch->dir_fd);
	free(fetch);
	instance->fetch = NULL;
}

static int begin(struct engine_instance *instance, struct psb_error *err)
{
	const struct vm_limits *limits = &instance->tmpl->limits;
	struct fetch *fetch;

	if (instance->fetch)
		return 0;
	if (instance->state != INSTANCE_ENDED || instance_vm(instance)->state != VM_DONE)
		return psb_fail(err, PSB_E_ENGINE, 0, "microvm: the machine is gone");
	fetch = calloc(1, sizeof(*fetch));
	if (!fetch)
		return psb_fail(err, PSB_E_MEMORY, ENOMEM, "microvm: out of memory");
	fetch->dir_fd = fetch->in.fd = -1;
	fetch->in.bytes_allowed = limits->workspace_bytes * 2;
	fetch->in.entries_allowed = limits->workspace_files + 1;
	fetch->deadline_us = clock_us() + WAIT_US;
	instance->fetch = fetch;
	return 0;
}

static int ask(struct engine_instance *instance, struct psb_error *err)
{
	const struct vm_command command = {.magic = VM_COMMAND_MAGIC, .type = VM_COLLECT};
	struct fetch *fetch = instance->fetch;
	int rc;

	if (fetch->asked)
		return 0;
	rc = get_file_system(instance, err);
	if (rc < 0)
		return rc;
	fetch->dir_fd = make_directory(instance, err);
	if (fetch->dir_fd < 0)
		return fetch->dir_fd;
	fetch->in.dir_fd = fetch->dir_fd;
	if (write(instance_vm(instance)->command_fd, &command, sizeof(command)) !=
	    (ssize_t)sizeof(command))
		return psb_fail(err, PSB_E_ENGINE, errno, "microvm: the worker does not listen");
	fetch->asked = true;
	return 0;
}

static int receive(struct engine_instance *instance, struct psb_error *err)
{
	struct fetch *fetch = instance->fetch;
	const struct events_sink sink = {on_data, on_event, fetch};
	bool alive = vm_read_events(instance_vm(instance), READS_PER_TURN, &sink);

	if (fetch->ended && fetch->in.error == ENOSPC)
		return 0; /* what fitted is there; the collector meets the same limit */
	if (alive && !fetch->ended && clock_us() < fetch->deadline_us)
		return psb_fail(err, PSB_E_BUSY, 0, "microvm: the workspace is not here yet");
	if (!fetch->ended || fetch->failed || !files_in_complete(&fetch->in))
		return psb_fail(err, PSB_E_ENGINE, fetch->in.error,
				"microvm: the guest did not hand over its workspace");
	return 0;
}

int microvm_workspace(struct engine_instance *instance, struct psb_error *err)
{
	int rc = begin(instance, err);

	instance->news = false;
	if (rc == 0)
		rc = ask(instance, err);
	if (rc == 0)
		rc = receive(instance, err);
	return rc < 0 ? rc : take_fd(instance->fetch->dir_fd);
}
