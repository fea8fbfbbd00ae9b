/*
 * One read-only bind. Linux 5.12 and later: clone the tree detached, restrict it as a whole, attach
 * it. Before, or where a container's filter does not know those calls: a plain bind that is then
 * remounted; it takes no submounts along, so none is left writable (where the kernel insists on
 * them, in a user namespace, it fails and so does the cage).
 * Invariant: flags are only ever added; a remount keeps those the mount came with, as the kernel
 * demands of locked ones.
 */
#include "jail/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cleanup.h"

struct attributes { /* struct mount_attr, absent from older headers */
	uint64_t set;
	uint64_t clear;
	uint64_t propagation;
	uint64_t userns_fd;
};

#define ATTR_RDONLY 0x1u
#define ATTR_NOSUID 0x2u
#define ATTR_NODEV 0x4u
#define ATTR_NOEXEC 0x8u
#define TREE_CLONE 0x1u
#define TREE_RECURSIVE 0x8000u
#define MOVE_FROM_FD 0x4u

static int bind_tree(int source_fd, int parent_fd, const char *name, bool device)
{
	struct attributes attr = {
		.set = ATTR_RDONLY | ATTR_NOSUID | (device ? ATTR_NOEXEC : ATTR_NODEV),
	};
	auto_fd tree = (int)syscall(SYS_open_tree, source_fd, "",
				    TREE_CLONE | TREE_RECURSIVE | O_CLOEXEC | AT_EMPTY_PATH);

	if (tree < 0)
		return -1;
	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | TREE_RECURSIVE, &attr,
		    sizeof(attr)) < 0)
		return -1;
	return (int)syscall(SYS_move_mount, tree, "", parent_fd, name, MOVE_FROM_FD);
}

static unsigned long inherited_flags(const struct statvfs *fs)
{
	static const struct {
		unsigned long vfs;
		unsigned long mount;
	} pairs[] = {
		{ST_NOSUID, MS_NOSUID},         {ST_NODEV, MS_NODEV},
		{ST_NOEXEC, MS_NOEXEC},         {ST_NOATIME, MS_NOATIME},
		{ST_NODIRATIME, MS_NODIRATIME}, {ST_RELATIME, MS_RELATIME},
	};
	unsigned long flags = 0;

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		flags |= (fs->f_flag & pairs[i].vfs) ? pairs[i].mount : 0;
	return flags;
}

static int bind_by_path(int source_fd, int parent_fd, const char *name, bool device)
{
	unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID;
	char source[40];
	char target[40 + NAME_MAX];
	struct statvfs fs;

	(void)snprintf(source, sizeof(source), "/proc/self/fd/%d", source_fd);
	(void)snprintf(target, sizeof(target), "/proc/self/fd/%d/%s", parent_fd, name);
	if (fstatvfs(source_fd, &fs) < 0 || mount(source, target, NULL, MS_BIND, NULL) < 0)
		return -1;
	flags |= inherited_flags(&fs) | (device ? MS_NOEXEC : MS_NODEV);
	return mount(NULL, target, NULL, flags, NULL);
}

int mount_bind(int source_fd, int parent_fd, const char *name, bool device)
{
	if (bind_tree(source_fd, parent_fd, name, device) == 0)
		return 0;
	if (errno != ENOSYS && errno != EPERM)
		return -1;
	return bind_by_path(source_fd, parent_fd, name, device);
}
