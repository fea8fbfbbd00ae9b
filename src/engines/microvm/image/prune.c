/*
 * Theory of operation: an upgraded package makes a new image and leaves the old one behind. So does
 * every list of modules. After a build only the most recently used few stay, and nothing that was
 * not used for a month; `image prune` also takes all but the newest snapshot for each interpreter
 * and list of modules. A file-system image goes with its last snapshot. Whoever has one of them
 * open keeps it, and whoever needs it again builds it again. What cannot be looked at may need any of
 * the others: then nothing is removed.
 * Trust boundary: as store.c; only names of our own pattern are touched, in our own directory.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../vmm/snapshot.h"
#include "core/cleanup.h"
#include "core/error.h"
#include "core/sha256.h"
#include "store.h"

#define MAX_ENTRIES 256u
#define TOO_MANY "there are more than 256 files of a kind, remove some by hand"
#define KEEP_IMAGES 4u
#define KEEP_SNAPSHOTS 16u
#define UNUSED_S (INT64_C(30) * 24 * 3600)

struct entry {
	char name[64];
	int64_t used_s;
	uint64_t bytes;
	bool keep;
	char image[64];      /* of a snapshot: the other file; "" if its header cannot be used */
	uint8_t purpose[32]; /* of a snapshot: hash of interpreter and modules */
};

struct listing {
	struct entry snapshots[MAX_ENTRIES];
	size_t snapshot_count;
	struct entry images[MAX_ENTRIES];
	size_t image_count;
};

static bool matches(const char *name, const char *prefix, const char *suffix)
{
	size_t len = strlen(name);

	return len < sizeof(((struct entry *)NULL)->name) && len > strlen(suffix) &&
	       strncmp(name, prefix, strlen(prefix)) == 0 &&
	       strcmp(name + len - strlen(suffix), suffix) == 0;
}

static bool is_text(const char *text, size_t room)
{
	return memchr(text, '\0', room) != NULL;
}

/* False: it could not be read. One with a header that is none of ours needs no image. */
static bool read_purpose(struct entry *entry, int dir_fd)
{
	auto_free struct snapshot_header *header = calloc(1, sizeof(*header));
	auto_fd fd = openat(dir_fd, entry->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct sha256 hash;
	ssize_t bytes;

	if (fd < 0)
		return errno == ENOENT;
	bytes = header ? pread(fd, header, sizeof(*header), 0) : -1;
	if (bytes < 0)
		return false;
	if (bytes != (ssize_t)sizeof(*header) || header->magic != SNAPSHOT_MAGIC ||
	    header->version != SNAPSHOT_VERSION ||
	    !is_text(header->image_name, sizeof(header->image_name)) ||
	    !is_text(header->python, sizeof(header->python)) ||
	    !is_text(header->preload, sizeof(header->preload)))
		return true;
	memcpy(entry->image, header->image_name, sizeof(entry->image));
	sha256_init(&hash);
	sha256_update(&hash, header->python, strlen(header->python) + 1);
	sha256_update(&hash, header->preload, strlen(header->preload) + 1);
	sha256_final(&hash, entry->purpose);
	return true;
}

static bool note(struct entry entries[MAX_ENTRIES], size_t *count, int dir_fd, const char *name)
{
	struct entry *entry = &entries[*count];
	struct stat st;

	errno = 0;
	if (*count == MAX_ENTRIES)
		return false;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT;
	if (!S_ISREG(st.st_mode))
		return true;
	memcpy(entry->name, name, strlen(name) + 1);
	entry->used_s = st.st_mtim.tv_sec;
	entry->bytes = (uint64_t)st.st_blocks * 512;
	(*count)++;
	return true;
}

static int newest_first(const void *a, const void *b)
{
	const struct entry *left = a;
	const struct entry *right = b;

	return (right->used_s > left->used_s) - (right->used_s < left->used_s);
}

static DIR *open_listing(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (!dir)
		close_fd(&fd);
	return dir;
}

static bool note_any(struct listing *listing, int dir_fd, const char *name)
{
	if (matches(name, "vm-", ".snap"))
		return note(listing->snapshots, &listing->snapshot_count, dir_fd, name);
	if (matches(name, "fs-", ".img"))
		return note(listing->images, &listing->image_count, dir_fd, name);
	return true;
}

static bool list_names(struct listing *listing, int dir_fd)
{
	DIR *dir = open_listing(dir_fd);
	const struct dirent *entry;
	bool whole = dir != NULL;

	while (whole) {
		errno = 0;
		entry = readdir(dir);
		if (!entry) {
			whole = errno == 0;
			break;
		}
		whole = note_any(listing, dir_fd, entry->d_name);
	}
	if (dir)
		(void)closedir(dir);
	return whole;
}

static bool gather(struct listing *listing, int dir_fd)
{
	if (!list_names(listing, dir_fd))
		return false;
	for (size_t i = 0; i < listing->snapshot_count; i++)
		if (!read_purpose(&listing->snapshots[i], dir_fd))
			return false;
	qsort(listing->snapshots, listing->snapshot_count, sizeof(listing->snapshots[0]),
	      newest_first);
	return true;
}

static struct entry *find_image(struct listing *listing, const char *name)
{
	for (size_t i = 0; i < listing->image_count; i++)
		if (strcmp(listing->images[i].name, name) == 0)
			return &listing->images[i];
	return NULL;
}

static bool has_newer(const struct listing *listing, size_t index)
{
	const struct entry *entries = listing->snapshots;

	for (size_t i = 0; i < index; i++)
		if (entries[i].keep && memcmp(entries[i].purpose, entries[index].purpose,
					      sizeof(entries[i].purpose)) == 0)
			return true;
	return false;
}

/* Snapshots are in the order of their use, the newest first. */
static void choose(struct listing *listing, bool newest_only)
{
	int64_t now = (int64_t)time(NULL);
	size_t snapshots = 0;
	size_t images = 0;

	for (size_t i = 0; i < listing->snapshot_count && snapshots < KEEP_SNAPSHOTS; i++) {
		struct entry *entry = &listing->snapshots[i];
		struct entry *image = find_image(listing, entry->image);

		if (!image || now - entry->used_s > UNUSED_S ||
		    (newest_only && has_newer(listing, i)) ||
		    (!image->keep && images == KEEP_IMAGES))
			continue;
		snapshots++;
		images += !image->keep;
		entry->keep = image->keep = true;
	}
}

static void drop(const struct entry *entries, size_t count, int dir_fd, store_progress_fn tell,
		 void *context)
{
	char text[MICROVM_TEXT_BYTES];

	for (size_t i = 0; i < count; i++) {
		if (entries[i].keep || unlinkat(dir_fd, entries[i].name, 0) < 0 || !tell)
			continue;
		(void)snprintf(text, sizeof(text), "%s  %llu MiB  removed", entries[i].name,
			       (unsigned long long)(entries[i].bytes >> 20));
		tell(context, text);
	}
}

int store_prune(int dir_fd, bool newest_only, store_progress_fn tell, void *context,
		struct psb_error *err)
{
	auto_free struct listing *listing = calloc(1, sizeof(*listing));

	if (!listing || !gather(listing, dir_fd))
		return psb_fail(
			err, PSB_E_SYSTEM, errno,
			"image: the store cannot be looked through: %s; nothing was removed",
			errno ? strerror(errno) : TOO_MANY);
	choose(listing, newest_only);
	drop(listing->snapshots, listing->snapshot_count, dir_fd, tell, context);
	drop(listing->images, listing->image_count, dir_fd, tell, context);
	return 0;
}

void store_remove_unfinished(int dir_fd)
{
	DIR *dir = open_listing(dir_fd);
	const struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (matches(entry->d_name, "vm-", STORE_UNFINISHED) ||
		    matches(entry->d_name, "fs-", STORE_UNFINISHED))
			(void)unlinkat(dir_fd, entry->d_name, 0);
	(void)closedir(dir);
}

int store_prune_all(const struct vmm_config *config, store_progress_fn tell, void *context,
		    struct psb_error *err)
{
	auto_fd fd = store_directory(config->cache, err);

	if (fd < 0)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return psb_fail(err, PSB_E_BUSY, errno,
				"image: one is being built in %.300s; prune again later",
				config->cache);
	store_remove_unfinished(fd);
	return store_prune(fd, true, tell, context, err);
}
