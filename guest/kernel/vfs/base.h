/*
 * What every file of the guest kernel stands on: integers, pages, and the four memory functions
 * that compilers call by themselves. Nothing here comes from a C library: the same sources are
 * compiled for the guest and, as ordinary code, for the tests and the fuzzers.
 */
#ifndef PSB_KERNEL_BASE_H
#define PSB_KERNEL_BASE_H

#include <linux/errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Words of the program's memory, which need not be aligned. */
typedef uint32_t unaligned_u32 __attribute__((aligned(1)));
typedef uint64_t unaligned_u64 __attribute__((aligned(1)));

#define PAGE_BYTES 4096u
#define NS_PER_SEC UINT64_C(1000000000)
#define NEVER_NS UINT64_MAX

void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *to, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);
size_t strlen(const char *text);

static inline uint64_t page_down(uint64_t value)
{
	return value & ~(uint64_t)(PAGE_BYTES - 1);
}

/* Callers keep value below 2^63, so this cannot wrap. */
static inline uint64_t page_up(uint64_t value)
{
	return page_down(value + PAGE_BYTES - 1);
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The guest's address space is the kernel's own: an address is a pointer once it was checked. */
static inline void *pointer_of(uint64_t address)
{
	return (void *)(uintptr_t)address; /* NOLINT(performance-no-int-to-ptr) */
}

static inline uint64_t address_of(const void *pointer)
{
	return (uint64_t)(uintptr_t)pointer;
}

#define container_of(pointer, type, member)                                                        \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
