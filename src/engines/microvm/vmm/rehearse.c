/*
 * Theory of operation: a new machine runs a tiny program into the void. It shows which pages every
 * execution writes, and the faults of their first time are taken before anybody waits. The builder
 * of a snapshot does the same (image/rehearse_child.c) and notes the pages in its header, so that a
 * machine that serves once only can have them copied ahead, all together.
 * Trust boundary: what the guest does in a rehearsal is as harmless as in an execution.
 */
#include <stdlib.h>
#include <string.h>

#include "ipc/request.h"
#include "rehearse.h"

#define REHEARSALS 2

/* The request of a tiny program. Made early: the jail lets nobody allocate. */
int rehearsal_encode(struct worker *worker, struct psb_error *err)
{
	static const char source[] = "result = [str(x) for x in range(3)]\nprint(result)\n";
	static const char options[] = "{\"filename\": \"main.py\"}";
	const struct request_parts parts = {.source = source,
					    .source_len = sizeof(source) - 1,
					    .options = options,
					    .options_len = sizeof(options) - 1,
					    .result_bytes = 1u << 16};

	return request_encode(&parts, &worker->rehearsal, &worker->rehearsal_bytes, err);
}

/* Runs it into the void: nothing of it is seen by the library. */
static int rehearse_once(struct worker *worker)
{
	const struct vm_command command = {.limits = worker->limits,
					   .start_us = run_clock_ns() / 1000,
					   .request_bytes = worker->rehearsal_bytes};
	int events = worker->outbox.fd;
	int rc;

	memcpy(worker->inbox, worker->rehearsal, worker->rehearsal_bytes);
	worker->inbox_start = 0;
	worker->inbox_end = worker->rehearsal_bytes;
	worker->outbox.fd = worker->void_fd;
	rc = execution_start(worker, &command);
	worker->outbox.fd = events;
	return rc;
}

int rehearse(struct worker *worker)
{
	for (int i = 0; i < REHEARSALS; i++)
		if (rehearse_once(worker) < 0 ||
		    (i == REHEARSALS - 1 && worker_learn_hot_pages(worker) < 0) ||
		    worker_reset(worker) < 0)
			return -1;
	return 0;
}

/* Pages apart by less than `gap` are one range. UINT32_MAX: there are more than fit. */
static uint32_t list_ranges(const struct memory *memory, uint32_t gap,
			    struct snapshot_range hot[SNAPSHOT_MAX_HOT])
{
	const uint32_t end = (uint32_t)(memory->file_end / GUEST_PAGE_BYTES);
	uint32_t count = 0;

	for (uint32_t page = GUEST_PROGRAM_BASE / GUEST_PAGE_BYTES; page < end; page++) {
		struct snapshot_range *last = count > 0 ? &hot[count - 1] : NULL;

		if (!bit_test(memory->hot, page))
			continue;
		if (last && page - (last->first + last->pages) < gap)
			last->pages = page - last->first + 1;
		else if (count == SNAPSHOT_MAX_HOT)
			return UINT32_MAX;
		else
			hot[count++] = (struct snapshot_range){page, 1};
	}
	return count;
}

void rehearsal_list(const struct worker *worker, struct rehearsal_report *report)
{
	uint32_t gap = 1;

	do {
		report->hot_count = list_ranges(&worker->memory, gap, report->hot);
		gap *= 2;
	} while (report->hot_count == UINT32_MAX);
}
