/*
 * Theory of operation: the files are checked when they are opened: ours, writable by nobody else,
 * of the size that the header says, every field within its bounds. The full hash is for `image
 * verify`; reading all of it would cost more than booting.
 * Trust boundary: the cache directory is private; what is in there was written by this program. The
 * checks are against damage, not against the owner.
 */
#include "snapshot.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"

static int check_file(int fd, uint64_t bytes, const char *what, struct psb_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "image: %s: %s", what, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0)
		return psb_fail(
			err, PSB_E_ENGINE, 0,
			"image: the %s must be a regular file of user %u that only they may "
			"write; remove it and build again",
			what, (unsigned int)geteuid());
	if ((uint64_t)st.st_size != bytes)
		return psb_fail(
			err, PSB_E_ENGINE, 0,
			"image: the %s has %llu bytes in place of %llu; remove it and build "
			"again",
			what, (unsigned long long)st.st_size, (unsigned long long)bytes);
	return 0;
}

static bool is_text(const char *text, size_t room)
{
	return memchr(text, '\0', room) != NULL;
}

static bool hot_is_plausible(const struct snapshot_header *header)
{
	const uint64_t first = GUEST_PROGRAM_BASE / GUEST_PAGE_BYTES;
	const uint64_t end = header->memory_end / GUEST_PAGE_BYTES;

	if (header->hot_count > SNAPSHOT_MAX_HOT)
		return false;
	for (uint32_t i = 0; i < header->hot_count; i++) {
		const struct snapshot_range *range = &header->hot[i];

		if (range->first < first || range->first >= end ||
		    range->pages > end - range->first)
			return false;
	}
	return true;
}

static bool text_is_plausible(const struct snapshot_header *header)
{
	return header->text_start >= GUEST_PROGRAM_BASE && header->text_start <= header->text_end &&
	       header->text_end <= GUEST_KERNEL_BASE &&
	       (header->text_start | header->text_end) % GUEST_LARGE_PAGE_BYTES == 0;
}

static bool is_plausible(const struct snapshot_header *header)
{
	return header->magic == SNAPSHOT_MAGIC && header->version == SNAPSHOT_VERSION &&
	       header->state_bytes == sizeof(header->state) &&
	       header->state.msr_count <= MACHINE_MAX_MSRS && header->tsc_khz > 0 &&
	       header->image_bytes > 0 && header->image_bytes <= GUEST_IMAGE_MAX_BYTES &&
	       header->image_bytes % GUEST_PAGE_BYTES == 0 &&
	       header->memory_end >= GUEST_POOL_BASE && header->memory_end < GUEST_POOL_MAX_END &&
	       header->memory_end % GUEST_LARGE_PAGE_BYTES == 0 && header->read_bytes > 0 &&
	       header->features.count > 0 && header->features.count <= MACHINE_MAX_CPUID &&
	       text_is_plausible(header) && hot_is_plausible(header) &&
	       is_text(header->image_name, sizeof(header->image_name)) &&
	       is_text(header->python, sizeof(header->python)) &&
	       is_text(header->preload, sizeof(header->preload));
}

int snapshot_load(struct snapshot *snapshot, int snapshot_fd, int image_fd, struct psb_error *err)
{
	struct snapshot_header *header = &snapshot->header;
	int rc;

	if (pread(snapshot_fd, header, sizeof(*header), 0) != (ssize_t)sizeof(*header) ||
	    !is_plausible(header))
		return psb_fail(err, PSB_E_ENGINE, 0,
				"image: the snapshot's header is damaged or of another version; "
				"remove it and build again");
	rc = check_file(snapshot_fd,
			SNAPSHOT_MEMORY_OFFSET + header->memory_end - GUEST_PROGRAM_BASE,
			"snapshot", err);
	if (rc == 0)
		rc = check_file(image_fd, header->image_bytes, "file-system image", err);
	snapshot->snapshot_fd = snapshot_fd;
	snapshot->image_fd = image_fd;
	return rc;
}
