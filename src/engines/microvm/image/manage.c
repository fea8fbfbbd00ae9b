/*
 * Theory of operation: what is in the store is told by the snapshots' headers; verifying reads both
 * files of an image whole and compares their hashes with those of the time they were made.
 * Trust boundary: as snapshot.c: files of our own, checked against damage.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../vmm/snapshot.h"
#include "core/cleanup.h"
#include "core/error.h"
#include "core/sha256.h"
#include "store.h"

static int hash_matches(int fd, uint64_t offset, uint64_t bytes, const uint8_t wanted[32])
{
	uint8_t digest[32];
	struct sha256 hash;
	uint8_t *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, (off_t)offset);

	if (map == MAP_FAILED)
		return -1;
	sha256_init(&hash);
	sha256_update(&hash, map, bytes);
	sha256_final(&hash, digest);
	(void)munmap(map, bytes);
	return memcmp(digest, wanted, sizeof(digest)) == 0 ? 0 : -1;
}

static int check_image(const char *name, const struct snapshot *snapshot, struct psb_error *err)
{
	const struct snapshot_header *header = &snapshot->header;

	if (hash_matches(snapshot->snapshot_fd, SNAPSHOT_MEMORY_OFFSET,
			 header->memory_end - GUEST_PROGRAM_BASE, header->memory_sha256) < 0)
		return psb_fail(err, PSB_E_ENGINE, 0,
				"image: %.100s is damaged; remove it and build again", name);
	if (hash_matches(snapshot->image_fd, 0, header->image_bytes, header->image_sha256) < 0)
		return psb_fail(err, PSB_E_ENGINE, 0,
				"image: %.100s is damaged; remove it and build again",
				header->image_name);
	return 0;
}

static int load(int dir_fd, const char *name, struct snapshot *snapshot, struct psb_error *err)
{
	struct snapshot_header *header = &snapshot->header;
	const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC;

	snapshot->image_fd = -1;
	snapshot->snapshot_fd = openat(dir_fd, name, flags);
	if (snapshot->snapshot_fd >= 0 &&
	    pread(snapshot->snapshot_fd, header, sizeof(*header), 0) == (ssize_t)sizeof(*header) &&
	    memchr(header->image_name, '\0', sizeof(header->image_name)) &&
	    !strchr(header->image_name, '/'))
		snapshot->image_fd = openat(dir_fd, header->image_name, flags);
	if (snapshot->image_fd < 0)
		return psb_fail(err, PSB_E_ENGINE, errno,
				"image: %.100s or its file system cannot be read; remove it", name);
	return snapshot_load(snapshot, snapshot->snapshot_fd, snapshot->image_fd, err);
}

static void describe(const char *name, const struct snapshot *snapshot, bool verified,
		     char text[MICROVM_TEXT_BYTES])
{
	const struct snapshot_header *header = &snapshot->header;
	char used[sizeof("2000-12-31")] = "?";
	struct tm parts;
	struct stat st;

	if (fstat(snapshot->snapshot_fd, &st) == 0 && gmtime_r(&st.st_mtim.tv_sec, &parts))
		(void)strftime(used, sizeof(used), "%Y-%m-%d", &parts);
	(void)snprintf(text, MICROVM_TEXT_BYTES, "%s  %llu+%llu MiB  used %s  %.120s%s%.120s%s",
		       name, (unsigned long long)(header->image_bytes >> 20),
		       (unsigned long long)((header->memory_end - GUEST_PROGRAM_BASE) >> 20), used,
		       header->python, header->preload[0] ? "  preloads " : "", header->preload,
		       verified ? "  verified" : "");
}

static int tell_one(int dir_fd, const char *name, bool verify, store_progress_fn tell,
		    void *context, struct psb_error *err)
{
	auto_free struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	char text[MICROVM_TEXT_BYTES];
	int rc;

	if (!snapshot)
		return psb_fail(err, PSB_E_MEMORY, ENOMEM, "image: out of memory");
	rc = load(dir_fd, name, snapshot, err);
	if (rc == 0 && verify)
		rc = check_image(name, snapshot, err);
	if (rc == 0) {
		describe(name, snapshot, verify, text);
		tell(context, text);
	}
	close_fd(&snapshot->image_fd);
	close_fd(&snapshot->snapshot_fd);
	return rc;
}

static bool is_snapshot(const char *name)
{
	size_t len = strlen(name);

	return strncmp(name, "vm-", 3) == 0 && len > 5 && strcmp(name + len - 5, ".snap") == 0;
}

int store_list(const struct vmm_config *config, bool verify, store_progress_fn tell, void *context,
	       struct psb_error *err)
{
	int fd = store_directory(config->cache, err);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	int rc = 0;

	if (!dir) {
		close_fd(&fd);
		return -1;
	}
	while (rc == 0 && (entry = readdir(dir)))
		if (is_snapshot(entry->d_name))
			rc = tell_one(fd, entry->d_name, verify, tell, context, err);
	(void)closedir(dir);
	return rc;
}
