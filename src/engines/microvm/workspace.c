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

struct fetch {
	struct files_in in;
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

static int wait_ms(uint64_t deadline)
{
	uint64_t now = clock_us();

	return now < deadline ? (int)((deadline - now) / 1000 + 1) : 0;
}

static int get_file_system(struct engine_instance *instance, uint64_t deadline,
			   struct psb_error *err)
{
	struct engine_template *tmpl = instance->tmpl;
	struct pollfd wait = {.fd = tmpl->control_fd, .events = POLLIN};

	if (!tmpl->files_seen)
		(void)vm_ask_files(tmpl, instance->slot);
	while (!tmpl->files_seen && !tmpl->dead) {
		if (poll(&wait, 1, wait_ms(deadline)) == 0)
			break;
		(void)microvm_turn(tmpl, NULL);
	}
	if (tmpl->files_fd >= 0)
		return 0;
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

static int fetch_files(struct engine_instance *instance, struct fetch *fetch, uint64_t deadline,
		       struct psb_error *err)
{
	const struct events_sink sink = {on_data, on_event, fetch};
	struct vm *vm = instance_vm(instance);
	struct pollfd wait = {.fd = vm->event_fd, .events = POLLIN};

	while (!fetch->ended) {
		if (poll(&wait, 1, wait_ms(deadline)) == 0)
			break;
		if (!vm_read_events(vm, READS_PER_TURN, &sink))
			break;
	}
	if (fetch->in.error == ENOSPC)
		return 0; /* what fitted is there; the collector meets the same limit */
	if (!fetch->ended || fetch->failed || !files_in_complete(&fetch->in))
		return psb_fail(err, PSB_E_ENGINE, fetch->in.error,
				"microvm: the guest did not hand over its workspace");
	return 0;
}

int microvm_workspace(struct engine_instance *instance, struct psb_error *err)
{
	const struct vm_command command = {.magic = VM_COMMAND_MAGIC, .type = VM_COLLECT};
	const struct vm_limits *limits = &instance->tmpl->limits;
	uint64_t deadline = clock_us() + WAIT_US;
	auto_free struct fetch *fetch = calloc(1, sizeof(*fetch));
	struct vm *vm = instance_vm(instance);
	auto_fd fd = -1;
	int rc;

	if (!fetch)
		return psb_fail(err, PSB_E_MEMORY, ENOMEM, "microvm: out of memory");
	if (instance->state != INSTANCE_ENDED || vm->state != VM_DONE)
		return psb_fail(err, PSB_E_ENGINE, 0, "microvm: the machine is gone");
	rc = get_file_system(instance, deadline, err);
	if (rc < 0)
		return rc;
	fd = make_directory(instance, err);
	if (fd < 0)
		return fd;
	if (write(vm->command_fd, &command, sizeof(command)) != (ssize_t)sizeof(command))
		return psb_fail(err, PSB_E_ENGINE, errno, "microvm: the worker does not listen");
	fetch->in = (struct files_in){.dir_fd = fd,
				      .bytes_allowed = limits->workspace_bytes * 2,
				      .entries_allowed = limits->workspace_files + 1,
				      .fd = -1};
	rc = fetch_files(instance, fetch, deadline, err);
	files_in_close(&fetch->in);
	return rc < 0 ? rc : take_fd(fd);
}
