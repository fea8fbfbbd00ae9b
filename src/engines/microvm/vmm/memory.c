/*
 * Theory of operation: see memory.h. Slots: a small one for what every execution touches and a
 * large one for the rest, so that the dirty bitmap that is read each time stays small; one for text.
 * Trust boundary: addresses and lengths are the guest's. A range is accepted only if it lies whole
 * in RAM (or, to read, in the image); arithmetic is done so that it cannot wrap.
 */
#include "memory.h"

#include <errno.h>
#include <linux/mman.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../../guest/kernel/abi.h"
#include "core/error.h"

#define RAM_FLAGS (MAP_NORESERVE | MAP_FIXED)

static bool add_slot(struct memory *memory, uint64_t start, uint64_t end, bool read_only)
{
	struct memory_slot *slot;

	if (start >= end)
		return true;
	slot = &memory->slots[memory->slot_count++];
	*slot = (struct memory_slot){.start = start, .bytes = end - start, .read_only = read_only};
	if (!memory->tracked || read_only)
		return true;
	slot->dirty = calloc((slot->bytes / GUEST_PAGE_BYTES + 63) / 64, sizeof(uint64_t));
	return slot->dirty != NULL;
}

/* Where KVM logs what is written it maps single pages. Text is not logged: it has a slot of its own,
 * and large pages. */
static bool add_slots(struct memory *memory)
{
	uint64_t hot_end = memory->end < MEMORY_HOT_END ? memory->end : MEMORY_HOT_END;

	if (!memory->tracked)
		return add_slot(memory, GUEST_PROGRAM_BASE, memory->end, false);
	return add_slot(memory, GUEST_PROGRAM_BASE, memory->text_start, false) &&
	       add_slot(memory, memory->text_start, memory->text_end, true) &&
	       add_slot(memory, memory->text_end, hot_end, false) &&
	       add_slot(memory, hot_end, memory->end, false);
}

/* At a multiple of the large page: only then can KVM map a large page of ours as one. */
static uint8_t *reserve(uint64_t bytes)
{
	uint64_t room = bytes + GUEST_LARGE_PAGE_BYTES;
	uint8_t *all =
		mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t skip;

	if (all == MAP_FAILED)
		return MAP_FAILED;
	skip = -(uintptr_t)all % GUEST_LARGE_PAGE_BYTES;
	if (skip > 0)
		(void)munmap(all, skip);
	(void)munmap(all + skip + bytes, GUEST_LARGE_PAGE_BYTES - skip);
	return all + skip;
}

static int allocate(struct memory *memory, const struct memory_source *source,
		    struct psb_error *err)
{
	uint64_t end = source->end;
	size_t words = (end / GUEST_PAGE_BYTES + 63) / 64;

	*memory = (struct memory){.end = end,
				  .text_start = source->text_start,
				  .text_end = source->text_end,
				  .tracked = source->tracked,
				  .file_end = source->file_end,
				  .ram = MAP_FAILED,
				  .image = MAP_FAILED};
	memory->written = calloc(words, sizeof(uint64_t));
	memory->hot = calloc(words, sizeof(uint64_t));
	if (!add_slots(memory) || !memory->written || !memory->hot)
		return psb_fail(err, PSB_E_MEMORY, ENOMEM, "vmm: no memory for bitmaps");
	memory->ram = reserve(end);
	if (memory->ram == MAP_FAILED)
		return psb_fail(err, PSB_E_MEMORY, errno, "vmm: cannot reserve %llu bytes: %s",
				(unsigned long long)end, strerror(errno));
	return 0;
}

static int map_at(struct memory *memory, uint64_t start, uint64_t end, int flags, int fd,
		  uint64_t offset, struct psb_error *err)
{
	void *at = memory->ram + start;

	if (start >= end)
		return 0;
	if (mmap(at, end - start, PROT_READ | PROT_WRITE, flags | RAM_FLAGS, fd, (off_t)offset) !=
	    at)
		return psb_fail(err, PSB_E_MEMORY, errno, "vmm: cannot map guest memory: %s",
				strerror(errno));
	return 0;
}

int memory_open_boot(struct memory *memory, int fd, uint64_t end, struct psb_error *err)
{
	const struct memory_source source = {.fd = -1,
					     .end = end,
					     .text_start = GUEST_PROGRAM_BASE,
					     .text_end = GUEST_PROGRAM_BASE};
	int rc = allocate(memory, &source, err);

	if (rc == 0)
		rc = map_at(memory, GUEST_PROGRAM_BASE, end, MAP_SHARED, fd, 0, err);
	return rc;
}

/*
 * A page that a guest touches first costs a fault of several microseconds. Where KVM does not log
 * single pages it can map two megabytes at once, if the host's page is as large. A hint; but that
 * text cannot be written is none.
 */
static int advise(const struct memory *memory, struct psb_error *err)
{
	uint8_t *text = memory->ram + memory->text_start;
	uint64_t bytes = memory->text_end - memory->text_start;

	if (!memory->tracked)
		(void)madvise(memory->ram + GUEST_PROGRAM_BASE, memory->end - GUEST_PROGRAM_BASE,
			      MADV_HUGEPAGE);
	else if (bytes > 0)
		(void)madvise(text, bytes, MADV_HUGEPAGE);
	if (bytes > 0 && mprotect(text, bytes, PROT_READ) < 0)
		return psb_fail(err, PSB_E_MEMORY, errno, "vmm: protect text: %s", strerror(errno));
	return 0;
}

int memory_open_snapshot(struct memory *memory, const struct memory_source *source,
			 struct psb_error *err)
{
	int rc = allocate(memory, source, err);

	if (rc == 0)
		rc = map_at(memory, GUEST_PROGRAM_BASE, source->file_end, MAP_PRIVATE, source->fd,
			    source->offset, err);
	if (rc == 0)
		rc = map_at(memory, source->file_end, source->end, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0, err);
	return rc < 0 ? rc : advise(memory, err);
}

/* Only what the file holds is copied: holes stay untouched zeroes. */
static int copy_data(int fd, uint64_t offset, uint64_t bytes, uint8_t *to, struct psb_error *err)
{
	off_t end = (off_t)offset;
	off_t at;

	while ((at = lseek(fd, end, SEEK_DATA)) >= 0 && (uint64_t)at < offset + bytes) {
		end = lseek(fd, at, SEEK_HOLE);
		if (end < 0 || (uint64_t)end > offset + bytes)
			end = (off_t)(offset + bytes);
		while (at < end) {
			ssize_t n = pread(fd, to + ((uint64_t)at - offset), (size_t)(end - at), at);

			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0)
				return psb_fail(err, PSB_E_SYSTEM, n < 0 ? errno : EIO,
						"vmm: cannot copy the image: %s",
						strerror(n < 0 ? errno : EIO));
			at += n;
		}
	}
	if (at < 0 && errno != ENXIO)
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: cannot read the image: %s",
				strerror(errno));
	return 0;
}

int memory_copy_snapshot(struct memory *memory, const struct memory_source *source,
			 struct psb_error *err)
{
	int rc = allocate(memory, source, err);

	if (rc == 0)
		rc = map_at(memory, GUEST_PROGRAM_BASE, source->end, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0, err);
	if (rc == 0)
		rc = copy_data(source->fd, source->offset, source->file_end - GUEST_PROGRAM_BASE,
			       memory->ram + GUEST_PROGRAM_BASE, err);
	memory->unshared = true;
	return rc < 0 ? rc : advise(memory, err);
}

uint8_t *memory_copy_file(int fd, uint64_t offset, uint64_t bytes, struct psb_error *err)
{
	uint8_t *copy = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (copy == MAP_FAILED) {
		(void)psb_fail(err, PSB_E_MEMORY, errno, "vmm: no room for a copy of the image: %s",
			       strerror(errno));
		return MAP_FAILED;
	}
	if (copy_data(fd, offset, bytes, copy, err) == 0 && mprotect(copy, bytes, PROT_READ) == 0)
		return copy;
	(void)munmap(copy, bytes);
	return MAP_FAILED;
}

int memory_copy_image(struct memory *memory, int fd, uint64_t bytes, struct psb_error *err)
{
	memory->image = memory_copy_file(fd, 0, bytes, err);
	if (memory->image == MAP_FAILED)
		return -1;
	memory->image_bytes = bytes;
	return 0;
}

int memory_map_image(struct memory *memory, int fd, uint64_t bytes, struct psb_error *err)
{
	memory->image = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (memory->image == MAP_FAILED)
		return psb_fail(err, PSB_E_MEMORY, errno, "vmm: cannot map the image: %s",
				strerror(errno));
	memory->image_bytes = bytes;
	return 0;
}

void memory_prefetch(const struct memory *memory, uint64_t start, uint64_t bytes)
{
	(void)madvise(memory->ram + start, bytes, MADV_POPULATE_WRITE);
}

void memory_close(struct memory *memory)
{
	if (memory->ram != MAP_FAILED)
		(void)munmap(memory->ram, memory->end);
	if (memory->image != MAP_FAILED)
		(void)munmap(memory->image, memory->image_bytes);
	for (uint32_t i = 0; i < memory->slot_count; i++)
		free(memory->slots[i].dirty);
	free(memory->written);
	free(memory->hot);
}

static bool in_ram(const struct memory *memory, uint64_t address, uint64_t bytes)
{
	return address >= GUEST_PROGRAM_BASE && address <= memory->end &&
	       bytes <= memory->end - address;
}

static bool in_image(const struct memory *memory, uint64_t address, uint64_t bytes)
{
	uint64_t offset = address - GUEST_IMAGE_BASE;

	return address >= GUEST_IMAGE_BASE && offset <= memory->image_bytes &&
	       bytes <= memory->image_bytes - offset;
}

bool memory_read(const struct memory *memory, uint64_t address, void *to, uint64_t bytes)
{
	if (in_ram(memory, address, bytes))
		memcpy(to, memory->ram + address, bytes);
	else if (in_image(memory, address, bytes))
		memcpy(to, memory->image + (address - GUEST_IMAGE_BASE), bytes);
	else
		return false;
	return true;
}

const uint8_t *memory_view(const struct memory *memory, uint64_t address, uint64_t bytes)
{
	return in_ram(memory, address, bytes) ? memory->ram + address : NULL;
}

static bool touches_text(const struct memory *memory, uint64_t address, uint64_t bytes)
{
	return address < memory->text_end && address + bytes > memory->text_start;
}

uint8_t *memory_claim(struct memory *memory, uint64_t address, uint64_t bytes)
{
	if (!in_ram(memory, address, bytes) || touches_text(memory, address, bytes))
		return NULL;
	for (uint64_t page = address / GUEST_PAGE_BYTES;
	     bytes > 0 && page <= (address + bytes - 1) / GUEST_PAGE_BYTES; page++)
		bit_set(memory->written, page);
	return memory->ram + address;
}

bool memory_write(struct memory *memory, uint64_t address, const void *from, uint64_t bytes)
{
	uint8_t *to = memory_claim(memory, address, bytes);

	if (to)
		memcpy(to, from, bytes);
	return to != NULL;
}
