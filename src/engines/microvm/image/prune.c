/*
 * Theory of operation: an upgraded package makes a new image and leaves the old one behind. After a
 * build only the newest few of each kind stay; whoever has one of the others open keeps it, and
 * whoever needs it again builds it again.
 * Trust boundary: as store.c; only names of our own pattern are touched, in our own directory.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "store.h"

#define MAX_ENTRIES 256u

struct entry {
	char name[64];
	int64_t mtime_ns;
};

struct listing {
	struct entry entries[MAX_ENTRIES];
	size_t count;
};

static bool matches(const char *name, const char *prefix, const char *suffix)
{
	size_t len = strlen(name);

	return len < sizeof(((struct entry *)NULL)->name) && len > strlen(suffix) &&
	       strncmp(name, prefix, strlen(prefix)) == 0 &&
	       strcmp(name + len - strlen(suffix), suffix) == 0;
}

static void note(struct listing *listing, int dir_fd, const char *name)
{
	struct entry *entry = &listing->entries[listing->count];
	struct stat st;

	if (listing->count == MAX_ENTRIES || fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	memcpy(entry->name, name, strlen(name) + 1);
	entry->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	listing->count++;
}

static int newest_first(const void *a, const void *b)
{
	const struct entry *left = a;
	const struct entry *right = b;

	return (right->mtime_ns > left->mtime_ns) - (right->mtime_ns < left->mtime_ns);
}

void store_prune(int dir_fd, const char *prefix, const char *suffix, size_t keep)
{
	auto_free struct listing *listing = calloc(1, sizeof(*listing));
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (!dir)
		close_fd(&fd);
	if (!dir || !listing) {
		if (dir)
			(void)closedir(dir);
		return;
	}
	while ((entry = readdir(dir)))
		if (matches(entry->d_name, prefix, suffix))
			note(listing, dir_fd, entry->d_name);
	(void)closedir(dir);
	qsort(listing->entries, listing->count, sizeof(listing->entries[0]), newest_first);
	for (size_t i = keep; i < listing->count; i++)
		(void)unlinkat(dir_fd, listing->entries[i].name, 0);
}
