/*
 * Theory of operation: KVM keeps a bit for every page that the guest wrote; the VMM keeps one for
 * every page that it wrote itself (memory_claim). Those pages are copied back from the snapshot.
 * A fault is taken the first time a page is written after its bit was cleared, which costs more than
 * copying it: the pages that every execution writes (the hot ones, learned from a rehearsal) keep
 * their bits for ever and are always copied. When an execution has written many more, the others
 * are given back to the kernel (or copied, where the snapshot is a copy too) and protected again.
 * Trust boundary: what the guest did to its memory does not matter here; the bits are KVM's. A vCPU
 * whose control state has changed ends the worker.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "worker.h"

#define SPARE_PAGES 256u

static int fetch_dirty(const struct worker *worker)
{
	if (!worker->memory.tracked)
		return -1;
	for (uint32_t i = 0; i < worker->memory.slot_count; i++) {
		struct kvm_dirty_log log = {.slot = i,
					    .dirty_bitmap = worker->memory.slots[i].dirty};

		if (log.dirty_bitmap && ioctl(worker->machine.vm_fd, KVM_GET_DIRTY_LOG, &log) < 0)
			return -1;
	}
	return 0;
}

/* None of one that cannot be written. */
static size_t slot_words(const struct memory_slot *slot)
{
	return slot->dirty ? (slot->bytes / GUEST_PAGE_BYTES + 63) / 64 : 0;
}

/* The slots begin and end at multiples of 64 pages. */
static uint64_t *words_of(uint64_t *bits, const struct memory_slot *slot)
{
	return bits + slot->start / GUEST_PAGE_BYTES / 64;
}

static void restore_page(const struct worker *worker, uint64_t address)
{
	uint8_t *page = worker->memory.ram + address;

	if (address < worker->memory.file_end)
		memcpy(page, worker->golden + address, GUEST_PAGE_BYTES);
	else
		memset(page, 0, GUEST_PAGE_BYTES);
}

static void restore_word(const struct worker *worker, uint64_t base, uint64_t bits)
{
	while (bits) {
		uint64_t page = base + (uint64_t)__builtin_ctzll(bits);

		bits &= bits - 1;
		restore_page(worker, page * GUEST_PAGE_BYTES);
	}
}

/* The pages of a slot that were written: the hot ones are copied, the others too or, when they are
 * `many`, dropped: a private mapping then shows the snapshot's page (or zeroes) again. */
static int restore_slot(struct worker *worker, const struct memory_slot *slot, bool many)
{
	uint64_t *written = words_of(worker->memory.written, slot);
	const uint64_t *hot = words_of(worker->memory.hot, slot);
	uint64_t first = slot->start / GUEST_PAGE_BYTES;

	for (size_t i = 0; i < slot_words(slot); i++) {
		uint64_t touched = slot->dirty[i] | written[i];
		uint64_t cold = many ? touched & ~hot[i] : 0;

		if (!touched)
			continue;
		written[i] = 0;
		restore_word(worker, first + i * 64, touched & ~cold);
		while (cold) {
			uint64_t start = (uint64_t)__builtin_ctzll(cold);
			uint64_t rest = ~(cold >> start);
			uint64_t count = rest ? (uint64_t)__builtin_ctzll(rest) : 64;
			uint8_t *at =
				worker->memory.ram + (first + i * 64 + start) * GUEST_PAGE_BYTES;

			if (count > 64 - start)
				count = 64 - start;
			if (madvise(at, count * GUEST_PAGE_BYTES, MADV_DONTNEED) < 0)
				return -1;
			cold &= ~((count == 64 ? ~UINT64_C(0) : (UINT64_C(1) << count) - 1)
				  << start);
		}
	}
	return 0;
}

static int protect_cold(struct worker *worker, uint32_t index)
{
	const struct memory_slot *slot = &worker->memory.slots[index];
	const uint64_t *hot = words_of(worker->memory.hot, slot);
	struct kvm_clear_dirty_log clear = {
		.slot = index,
		.num_pages = (uint32_t)(slot->bytes / GUEST_PAGE_BYTES),
		.dirty_bitmap = slot->dirty,
	};

	if (!slot->dirty)
		return 0;
	for (size_t i = 0; i < slot_words(slot); i++)
		slot->dirty[i] &= ~hot[i];
	return ioctl(worker->machine.vm_fd, KVM_CLEAR_DIRTY_LOG, &clear);
}

static uint64_t count_touched(struct worker *worker)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < worker->memory.slot_count; i++) {
		const struct memory_slot *slot = &worker->memory.slots[i];
		const uint64_t *written = words_of(worker->memory.written, slot);

		for (size_t word = 0; word < slot_words(slot); word++)
			if (slot->dirty[word] | written[word])
				count += (uint64_t)__builtin_popcountll(slot->dirty[word] |
									written[word]);
	}
	return count;
}

uint64_t worker_dirty_pages(struct worker *worker)
{
	return fetch_dirty(worker) < 0 ? 0 : count_touched(worker);
}

int worker_learn_hot_pages(struct worker *worker)
{
	if (fetch_dirty(worker) < 0)
		return -1;
	for (uint32_t i = 0; i < worker->memory.slot_count; i++) {
		const struct memory_slot *slot = &worker->memory.slots[i];
		uint64_t *hot = words_of(worker->memory.hot, slot);

		for (size_t word = 0; word < slot_words(slot); word++)
			hot[word] |= slot->dirty[word];
	}
	worker->memory.hot_pages = count_touched(worker);
	worker->trained = true;
	return 0;
}

int worker_reset(struct worker *worker)
{
	struct memory *memory = &worker->memory;
	bool many;

	if (fetch_dirty(worker) < 0)
		return -1;
	many = worker->trained && count_touched(worker) > memory->hot_pages + SPARE_PAGES;
	for (uint32_t i = 0; i < memory->slot_count; i++)
		if (restore_slot(worker, &memory->slots[i], many && !memory->unshared) < 0 ||
		    (many && protect_cold(worker, i) < 0))
			return -1;
	if (machine_restore(&worker->machine, &worker->snapshot->header.state) < 0)
		return -1;
	worker->clean = true;
	return 0;
}
