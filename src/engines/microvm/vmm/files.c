/*
 * Theory of operation: a guest's workspace lives in its memory. To hand it over as a directory there
 * must be a file system that is bounded, private and gone with us: a tmpfs that is mounted nowhere
 * and is reached through one descriptor, which the library gets on request. Root makes it with its
 * own rights, since an id of the host could not write to one of a user namespace; others make it in
 * theirs.
 * Trust boundary: what is in it was written by the library from a guest's files. Nothing in it is
 * opened here.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "supervisor.h"

#define SPARE_FILES 64u

static int set_number(int fs, const char *name, uint64_t value)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return (int)syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, name, text, 0);
}

/* No more than all workers at once may leave. */
void files_open(struct supervisor *supervisor)
{
	const struct vmm_config *config = &supervisor->config;
	uint64_t files = (config->limits.workspace_files + SPARE_FILES) * config->slots;
	auto_fd fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);

	supervisor->files_fd = -1;
	if (fs < 0 ||
	    set_number(fs, "size", config->limits.workspace_bytes * config->slots + files * 4096) <
		    0 ||
	    set_number(fs, "nr_inodes", files) < 0 || set_number(fs, "mode", 700) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return;
	supervisor->files_fd =
		(int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
			     MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}
