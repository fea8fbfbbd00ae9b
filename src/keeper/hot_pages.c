/*
 * Theory of operation: a forked interpreter pays for every page that its first request touches: a
 * trap for each page it must copy and each page of code that its page table lacks. Which pages
 * those are is the same for all children of one template, so the keeper watches one of them (the
 * scout, scout.c) and compares its page map before and after. The differences, as spans, go to the
 * zygote, whose children touch them in advance and in bulk.
 *
 * /proc/<pid>/pagemap shows every reader two bits that suffice: present (63) and mapped by nobody
 * else (56). A page copied on write turns from shared to exclusive. The second bit is an estimate
 * for large folios: a wrong one costs a page touched in vain or a trap, nothing else.
 *
 * Trust: the scout has run start-up files and preloaded modules, so its address space may have any
 * shape; what is looked at is capped. The bits are the kernel's and no byte of the guest is read.
 */
#include "keeper/hot_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/cleanup.h"

#define PAGE_BYTES UINT64_C(4096)
#define MAX_REGIONS 4096u
#define MAX_PAGES (UINT64_C(1) << 19) /* 2 GiB of address space */
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_EXCLUSIVE (UINT64_C(1) << 56)

enum page_bits { PAGE_PRESENT = 1, PAGE_EXCLUSIVE = 2 };

struct region {
	uint64_t start;
	uint64_t pages;
	bool writable;
	uint8_t *bits;
};

struct page_look {
	size_t count;
	uint64_t pages;
	struct region regions[MAX_REGIONS];
};

static int open_proc(pid_t pid, const char *file)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int read_bits(int pagemap, uint64_t start, uint64_t pages, uint8_t *bits)
{
	uint64_t entries[512];
	uint64_t done = 0;

	while (done < pages) {
		uint64_t part = pages - done < 512 ? pages - done : 512;
		off_t offset = (off_t)((start / PAGE_BYTES + done) * sizeof(uint64_t));
		ssize_t got = pread(pagemap, entries, part * sizeof(uint64_t), offset);

		if (got < (ssize_t)sizeof(uint64_t))
			return got < 0 ? -errno : -EFAULT; /* not mapped any more */
		part = (uint64_t)got / sizeof(uint64_t);
		for (uint64_t i = 0; i < part; i++)
			bits[done + i] =
				(uint8_t)((entries[i] & PAGEMAP_PRESENT ? PAGE_PRESENT : 0) |
					  (entries[i] & PAGEMAP_EXCLUSIVE ? PAGE_EXCLUSIVE : 0));
		done += part;
	}
	return 0;
}

/* Private mappings of a readable kind; the vsyscall page and the like are not ours to touch. */
static bool parse_region(const char *line, struct region *out)
{
	char *rest;
	uint64_t start = strtoull(line, &rest, 16);
	uint64_t end = *rest == '-' ? strtoull(rest + 1, &rest, 16) : 0;
	const char *rights = rest + 1;

	if (end <= start || *rest != ' ' || strlen(rights) < 4)
		return false;
	if (rights[0] != 'r' || rights[3] != 'p' || strstr(line, "[v"))
		return false;
	*out = (struct region){
		.start = start, .pages = (end - start) / PAGE_BYTES, .writable = rights[1] == 'w'};
	return true;
}

static int add_region(struct page_look *look, int pagemap, struct region *region)
{
	if (look->count == MAX_REGIONS || region->pages > MAX_PAGES - look->pages)
		return -E2BIG;
	region->bits = malloc(region->pages);
	if (!region->bits)
		return -ENOMEM;
	look->pages += region->pages;
	look->regions[look->count++] = *region;
	return read_bits(pagemap, region->start, region->pages, region->bits);
}

static int take_regions(struct page_look *look, pid_t pid, int pagemap)
{
	char line[512];
	struct region region;
	int fd = open_proc(pid, "maps");
	auto_file maps = fd >= 0 ? fdopen(fd, "re") : NULL;
	int rc = maps ? 0 : -errno;

	while (rc == 0 && fgets(line, sizeof(line), maps))
		if (parse_region(line, &region))
			rc = add_region(look, pagemap, &region);
	return rc;
}

int page_look_take(pid_t pid, struct page_look **out)
{
	auto_fd pagemap = open_proc(pid, "pagemap");
	struct page_look *look;
	int rc;

	if (pagemap < 0)
		return -errno;
	look = calloc(1, sizeof(*look));
	if (!look)
		return -ENOMEM;
	rc = take_regions(look, pid, pagemap);
	if (rc < 0) {
		page_look_free(look);
		return rc;
	}
	*out = look;
	return 0;
}

void page_look_free(struct page_look *look)
{
	if (!look)
		return;
	for (size_t i = 0; i < look->count; i++)
		free(look->regions[i].bits);
	free(look);
}

/* How to touch the page ahead, 0 for not at all. A page that has gone again (freed memory) will be
 * wanted as well, but there is no telling it from one that was never there. One that was the scout's
 * alone at the first look may be so because the zygote has written to its own since: a child would
 * still trap on it. */
static uint32_t advice_for(const struct region *region, uint8_t before, uint8_t after)
{
	if (!(after & PAGE_PRESENT))
		return 0;
	if (region->writable && (after & PAGE_EXCLUSIVE))
		return MADV_POPULATE_WRITE;
	return before & PAGE_PRESENT ? 0 : MADV_POPULATE_READ;
}

static int add_page(struct hot_set *set, uint64_t address, uint32_t advice)
{
	struct hot_span *last = set->count ? &set->spans[set->count - 1] : NULL;

	if (last && last->advice == advice && last->address + last->pages * PAGE_BYTES == address) {
		last->pages++;
		return 0;
	}
	if (set->count == HOT_SPANS_MAX)
		return -E2BIG;
	set->spans[set->count++] =
		(struct hot_span){.address = address, .pages = 1, .advice = advice};
	return 0;
}

static int compare_region(const struct region *region, int pagemap, struct hot_set *out)
{
	auto_free uint8_t *after = calloc(1, region->pages);
	uint32_t advice;
	int rc;

	if (!after)
		return -ENOMEM;
	rc = read_bits(pagemap, region->start, region->pages, after);
	if (rc == -EFAULT) /* unmapped in between: nothing to touch there */
		return 0;
	for (uint64_t i = 0; i < region->pages && rc == 0; i++) {
		advice = advice_for(region, region->bits[i], after[i]);
		if (advice)
			rc = add_page(out, region->start + i * PAGE_BYTES, advice);
	}
	return rc;
}

int page_look_compare(const struct page_look *before, pid_t pid, struct hot_set *out)
{
	auto_fd pagemap = open_proc(pid, "pagemap");
	int rc = pagemap < 0 ? -errno : 0;

	out->count = 0;
	for (size_t i = 0; i < before->count && rc == 0; i++)
		rc = compare_region(&before->regions[i], pagemap, out);
	return rc;
}
