/*
 * Theory of operation: a fork copies a page table entry for every page of the interpreter's code that
 * it will use, a child that ends takes them down again, and there are a thousand of them. A huge
 * page is one entry. So the zygote, before its first fork, copies the interpreter's read-only
 * segments into huge pages and moves those over the originals (mremap replaces a mapping in one
 * step). It only does so when the kernel has collapsed the copy for certain (MADV_COLLAPSE, Linux
 * 6.1): small anonymous pages would be worse than what was there.
 * Trust: the zygote's own memory, before any program's code; the code stays the same, and what is
 * executable in an interpreter that a program owns is the program's choice anyway.
 */
#include "huge_text.h"

#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "jail/jail.h"

#define PAGE ((uintptr_t)4096)
#define HUGE_PAGE ((uintptr_t)2 << 20)

struct span {
	uintptr_t inside; /* in: looked for */
	uintptr_t start;
	uintptr_t end; /* 0: not found */
};

static uintptr_t round_up(uintptr_t address, uintptr_t unit)
{
	return (address + unit - 1) & ~(unit - 1);
}

static uintptr_t round_down(uintptr_t address, uintptr_t unit)
{
	return address & ~(unit - 1);
}

/* The read-only segments around `inside` that follow each other without a gap. */
static int find_span(struct dl_phdr_info *info, size_t size, void *context)
{
	struct span *span = context;
	uintptr_t start = 0;
	uintptr_t end = 0;

	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];
		uintptr_t from = round_down(info->dlpi_addr + part->p_vaddr, PAGE);
		uintptr_t to = round_up(info->dlpi_addr + part->p_vaddr + part->p_memsz, PAGE);

		if (part->p_type != PT_LOAD)
			continue;
		if (from != end || (part->p_flags & PF_W)) {
			if (span->inside >= start && span->inside < end)
				break;
			start = from;
			end = from;
		}
		if (!(part->p_flags & PF_W))
			end = to;
	}
	if (span->inside < start || span->inside >= end)
		return 0;
	span->start = start;
	span->end = end;
	return 1;
}

/* Huge for certain, or NULL. */
static void *huge_copy(void *map, const void *from, size_t bytes)
{
	uintptr_t aligned = round_up((uintptr_t)map, HUGE_PAGE);
	void *copy = (char *)map + (aligned - (uintptr_t)map);

	if (madvise(copy, bytes, MADV_HUGEPAGE) < 0)
		return NULL;
	memcpy(copy, from, bytes);
	if (madvise(copy, bytes, JAIL_MADV_COLLAPSE) < 0 ||
	    mprotect(copy, bytes, PROT_READ | PROT_EXEC) < 0)
		return NULL;
	return copy;
}

bool huge_text_adopt(const void *inside)
{
	struct span span = {.inside = (uintptr_t)inside};
	size_t bytes;
	size_t room;
	void *copy;
	void *from;
	void *map;

	(void)dl_iterate_phdr(find_span, &span);
	span.start = round_up(span.start, HUGE_PAGE);
	span.end = round_down(span.end, HUGE_PAGE);
	if (span.end <= span.start)
		return false;
	bytes = span.end - span.start;
	room = bytes + HUGE_PAGE;
	from = (void *)span.start;
	map = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return false;
	copy = huge_copy(map, from, bytes);
	if (copy && mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, from) == MAP_FAILED)
		copy = NULL;
	(void)munmap(map, room); /* what is left of it; a hole in the middle is no matter */
	return copy != NULL;
}
