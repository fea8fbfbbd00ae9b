/*
 * Rungs C and D have no quota: RLIMIT_FSIZE caps each file, nothing caps their number and their sum.
 * While a run lasts the keeper counts what is in the slot's directory, ten times a second or, where
 * a count takes long, so seldom that it costs a twentieth of the keeper's time; and once more at
 * the end. What a guest makes between two counts, and a file that it has unlinked but still holds
 * open, is not seen (docs/security.md).
 * Trust: the guest is alive and changes the tree under our feet. Every step is relative to a
 * descriptor, follows no link and opens nothing but directories; entries and depth are capped.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "keeper/keeper.h"

#define MAX_DEPTH 48
#define MAX_ENTRIES 20000u /* of one count: beyond it a larger limit is not watched */
#define OWN_ENTRIES 3u     /* workspace, tmp and the program's own file */
#define COST_FACTOR 20

struct tally {
	uint64_t entries;
	uint64_t bytes;
	uint64_t max_entries;
	uint64_t max_bytes;
	bool too_deep;
};

static bool is_over(const struct tally *tally)
{
	return tally->too_deep || tally->entries > tally->max_entries ||
	       tally->bytes > tally->max_bytes;
}

static bool may_go_on(const struct tally *tally)
{
	return !is_over(tally) && tally->entries < MAX_ENTRIES;
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static void count_directory(struct tally *tally, int parent_fd, const char *name, int depth);

static void count_entry(struct tally *tally, int dir_fd, const char *name, int depth)
{
	struct stat info;

	if (fstatat(dir_fd, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (S_ISDIR(info.st_mode))
		count_directory(tally, dir_fd, name, depth + 1);
	else if (info.st_nlink > 0) /* each of a file's names bears its share */
		tally->bytes += (uint64_t)info.st_blocks * 512 / info.st_nlink;
}

/* Names first: looking at each file waits for a guest that is busy making more of them. */
static void count_directory(struct tally *tally, int parent_fd, const char *name, int depth)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir) {
		close_fd(&fd);
		return;
	}
	tally->too_deep |= depth > MAX_DEPTH;
	while (may_go_on(tally) && (entry = readdir(dir)))
		tally->entries += !is_dots(entry->d_name);
	rewinddir(dir);
	while (may_go_on(tally) && (entry = readdir(dir)))
		if (!is_dots(entry->d_name))
			count_entry(tally, dirfd(dir), entry->d_name, depth);
	(void)closedir(dir);
}

bool workspace_is_over(const char *path, uint64_t max_files, uint64_t max_bytes)
{
	struct tally tally = {.max_entries = max_files + OWN_ENTRIES, .max_bytes = max_bytes};

	count_directory(&tally, AT_FDCWD, path, 0);
	return is_over(&tally);
}

static bool slot_is_over(const struct keeper *keeper, const struct slot *slot)
{
	char path[80];

	(void)snprintf(path, sizeof(path), "%s/s%u", keeper->workspace_root,
		       (unsigned int)(slot - keeper->slots));
	return workspace_is_over(path, slot->limits.workspace_files, slot->limits.workspace_bytes);
}

uint64_t workspace_first_check_us(const struct keeper *keeper, uint64_t start_us)
{
	return keeper->workspace_root[0] ? start_us + WORKSPACE_CHECK_US : UINT64_MAX;
}

void workspace_check(const struct keeper *keeper, struct slot *slot)
{
	uint64_t start_us;
	uint64_t cost_us;

	if (!keeper->workspace_root[0] || slot->evidence.workspace_over)
		return;
	start_us = clock_us();
	slot->evidence.workspace_over = slot_is_over(keeper, slot);
	cost_us = clock_us() - start_us;
	slot->workspace_check_us = start_us + cost_us + WORKSPACE_CHECK_US;
	if (cost_us * COST_FACTOR > WORKSPACE_CHECK_US)
		slot->workspace_check_us = start_us + cost_us * COST_FACTOR;
}
