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
#include "host_probe/procfs.h"
#include "keeper/keeper.h"

#define MAX_DEPTH 32
#define MAX_PASSES 100000

/* One tree being removed. What lies too deep for a recursion is moved up to the tree's top and
 * removed in the next pass. */
struct removal {
	int top;
	unsigned int moved;
};

static void empty_directory(struct removal *removal, int fd, int depth);

static void move_up(struct removal *removal, int parent, const char *name)
{
	char unique[32];

	(void)snprintf(unique, sizeof(unique), ".psb-deep-%u", removal->moved++);
	(void)renameat(parent, name, removal->top, unique);
}

static void remove_entry(struct removal *removal, int parent, const char *name, int depth)
{
	auto_fd fd = -1;

	if (unlinkat(parent, name, 0) == 0)
		return;
	/* A directory, and its maker is dead: the name cannot turn into a link any more. */
	(void)!fchmodat(parent, name, 0700, 0);
	if (depth >= MAX_DEPTH) {
		move_up(removal, parent, name);
		return;
	}
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	empty_directory(removal, fd, depth + 1);
	(void)unlinkat(parent, name, AT_REMOVEDIR);
}

static void empty_directory(struct removal *removal, int fd, int depth)
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
			remove_entry(removal, fd, entry->d_name, depth);
	(void)closedir(dir);
}

void workspace_tree_remove(int parent_fd, const char *name)
{
	auto_fd top = -1;
	struct removal removal = {0};

	if (unlinkat(parent_fd, name, 0) == 0)
		return;
	top = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (top < 0)
		return;
	removal.top = top;
	for (int pass = 0; pass < MAX_PASSES; pass++) {
		empty_directory(&removal, top, 0);
		if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0 || errno != ENOTEMPTY)
			return;
	}
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
