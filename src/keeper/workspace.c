/*
 * Rungs C and D cannot mount: each slot works in a directory of its own below a private directory
 * in /tmp. It is emptied before each use; the janitor process (template.c) removes all of it when
 * the keeper is gone, however it died.
 * Trust: names and contents in there are a guest's. Everything is done relative to descriptors,
 * symbolic links are removed, never followed, and only after the guest is dead.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "keeper/keeper.h"
#include "keeper/procfs.h"

#define MAX_DEPTH 64

static void empty_directory(int fd, int depth);

static void remove_entry(int parent, const char *name, int depth)
{
	auto_fd fd = -1;

	if (unlinkat(parent, name, 0) == 0 || depth >= MAX_DEPTH)
		return;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)fchmod(fd, 0700);
	empty_directory(fd, depth + 1);
	(void)unlinkat(parent, name, AT_REMOVEDIR);
}

static void empty_directory(int fd, int depth)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;

	if (!dir) {
		close_fd(&copy);
		return;
	}
	rewinddir(dir);
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			remove_entry(fd, entry->d_name, depth);
	(void)closedir(dir);
}

void workspace_tree_remove(int parent_fd, const char *name)
{
	remove_entry(parent_fd, name, 0);
}

void workspace_sweep(const char *root)
{
	if (root[0])
		workspace_tree_remove(AT_FDCWD, root);
}

/* "psb-<pid>-<start>" of a keeper that was killed together with its janitor. */
static void sweep_dead(void)
{
	DIR *dir = opendir("/tmp");
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (procfs_names_dead_process(entry->d_name))
			workspace_tree_remove(dirfd(dir), entry->d_name);
	if (dir)
		(void)closedir(dir);
}

int workspace_root_make(struct keeper *keeper)
{
	char *path = keeper->workspace_root;

	sweep_dead();
	(void)snprintf(path, sizeof(keeper->workspace_root), "/tmp/psb-%d-%" PRIu64, (int)getpid(),
		       procfs_start_time(getpid()));
	if (mkdir(path, 0711) < 0) {
		path[0] = '\0'; /* not ours: not ours to remove */
		return -errno;
	}
	return 0;
}

int workspace_slot_make(struct keeper *keeper, uint32_t slot)
{
	auto_fd root = open(keeper->workspace_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[16];

	if (root < 0)
		return -errno;
	(void)snprintf(name, sizeof(name), "s%u", slot);
	workspace_tree_remove(root, name);
	if (mkdirat(root, name, 0700) < 0)
		return -errno;
	if (keeper->uid_base &&
	    fchownat(root, name, keeper->uid_base, keeper->uid_base, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}
