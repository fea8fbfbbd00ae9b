/*
 * Removes the bait. Everybody may write in it, and its name shows in /proc/net/unix, so that what
 * lies there is somebody else's as far as we know: it is removed by descriptors, beneath only, and
 * no link is followed. A doctor that was killed leaves its bait; the next one of the same user
 * removes it, when nobody holds its lock.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "doctor.h"

#define PREFIX "pysandbox-doctor-"
#define DEPTH_MAX 8 /* the bait has two levels; who nests deeper may keep it */
#define STALE_S 10  /* younger ones may not have taken their lock yet */

static void empty_directory(int fd, int depth);

static void remove_entry(int parent, const char *name, int depth)
{
	auto_fd fd = -1;

	if (!unlinkat(parent, name, 0) || depth == DEPTH_MAX)
		return;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	empty_directory(take_fd(fd), depth + 1);
	(void)unlinkat(parent, name, AT_REMOVEDIR);
}

/* Takes the descriptor. */
static void empty_directory(int fd, int depth)
{
	DIR *directory = fdopendir(fd);
	struct dirent *entry;

	if (!directory) {
		close_fd(&fd);
		return;
	}
	while ((entry = readdir(directory)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			remove_entry(dirfd(directory), entry->d_name, depth);
	(void)closedir(directory);
}

/* `name` is a directory of /tmp, open as `fd`, which is taken. */
static void remove_bait(const char *name, int fd)
{
	static const char *const suffixes[] = {"", "-planted"};
	char path[320];

	(void)snprintf(path, sizeof(path), "/tmp/%s/mount", name);
	(void)umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
	empty_directory(fd, 0);
	(void)snprintf(path, sizeof(path), "/tmp/%s", name);
	(void)rmdir(path);
	for (size_t i = 0; i < BAIT_PLACES * 2; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s" BAIT_SHARED "%s", bait_places[i / 2],
			       name, suffixes[i % 2]);
		(void)unlink(path);
	}
}

void bait_remove(struct bait *bait)
{
	if (!bait->top[0])
		return;
	for (size_t i = 0; i < BAIT_SOCKETS; i++)
		close_fd(&bait->sockets[i]);
	if (bait->hold >= 0)
		remove_bait(strrchr(bait->top, '/') + 1, take_fd(bait->hold));
	else
		(void)rmdir(bait->top);
	bait->top[0] = '\0';
}

static bool is_stale(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && st.st_uid == geteuid() && time(NULL) - st.st_ctime > STALE_S &&
	       !flock(fd, LOCK_EX | LOCK_NB);
}

void bait_remove_stale(void)
{
	DIR *directory = opendir("/tmp");
	struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		auto_fd fd = -1;

		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0)
			continue;
		fd = openat(dirfd(directory), entry->d_name,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && is_stale(fd))
			remove_bait(entry->d_name, take_fd(fd));
	}
	if (directory)
		(void)closedir(directory);
}
