/*
 * The kernel's side of the host calls (../abi.h), and what the file system needs from the machine.
 *
 * Theory of operation: output is collected in records and leaves with the end of the run, with a
 * wait, or when the area is full. Consecutive writes to one stream are one record. The first
 * reading of the request is where the snapshot is taken; what comes back belongs to a new run.
 * Trust boundary: the VMM is trusted by the kernel, never the other way round.
 */
#include "kernel.h"

#define RECORD_ALIGN UINT64_C(8)

static uint64_t aligned(uint64_t bytes)
{
	return (bytes + RECORD_ALIGN - 1) & ~(RECORD_ALIGN - 1);
}

/* Adds to the last record if it is still there and of this stream. */
static uint64_t extend_record(struct kernel *kernel, uint32_t stream, const uint8_t *data,
			      uint64_t bytes)
{
	struct output_record *record = (void *)(kernel->output + kernel->last_record);
	uint64_t at;
	uint64_t part;

	if (kernel->comm->output_used == 0 ||
	    kernel->comm->output_used != kernel->last_record_end || record->stream != stream)
		return 0;
	at = kernel->last_record + sizeof(*record) + record->bytes;
	part = min_u64(bytes, GUEST_OUTPUT_BYTES - at);
	memcpy(kernel->output + at, data, part);
	record->bytes += (uint32_t)part;
	kernel->last_record_end = aligned(at + part);
	kernel->comm->output_used = (uint32_t)kernel->last_record_end;
	return part;
}

static uint64_t new_record(struct kernel *kernel, uint32_t stream, const uint8_t *data,
			   uint64_t bytes)
{
	struct output_record record = {.stream = stream};
	uint64_t at = kernel->comm->output_used;

	if (GUEST_OUTPUT_BYTES - at < sizeof(record) + RECORD_ALIGN) {
		(void)host_call(HOST_FLUSH, 0, 0, 0);
		kernel->comm->output_used = 0;
		at = 0;
	}
	record.bytes = (uint32_t)min_u64(bytes, GUEST_OUTPUT_BYTES - at - sizeof(record));
	memcpy(kernel->output + at, &record, sizeof(record));
	memcpy(kernel->output + at + sizeof(record), data, record.bytes);
	kernel->last_record = at;
	kernel->last_record_end = aligned(at + sizeof(record) + record.bytes);
	kernel->comm->output_used = (uint32_t)kernel->last_record_end;
	return record.bytes;
}

int64_t host_output(void *context, uint32_t stream, const void *data, uint64_t bytes)
{
	struct kernel *kernel = context;
	uint64_t done = extend_record(kernel, stream, data, bytes);

	while (done < bytes)
		done += new_record(kernel, stream, (const uint8_t *)data + done, bytes - done);
	return (int64_t)bytes;
}

void host_report(struct kernel *kernel)
{
	struct comm *comm = kernel->comm;

	comm->limits_hit = kernel->limits_hit | (kernel->mm.limit_hit ? COMM_LIMIT_MEMORY : 0u) |
			   (kernel->vfs.disk_limit_hit ? COMM_LIMIT_DISK : 0u);
	comm->workspace_used_bytes = kernel->vfs.tmpfs.used_bytes;
}

void host_wait(struct kernel *kernel, uint64_t ns)
{
	uint64_t before = clock_ns(kernel, CLOCK_STEADY);

	host_report(kernel);
	(void)host_call(HOST_WAIT, ns, 0, 0);
	clock_rebase(kernel);
	kernel->idle_ns += clock_ns(kernel, CLOCK_STEADY) - before;
}

void host_kicks(struct kernel *kernel, bool on)
{
	if (kernel->kicks_on == on)
		return;
	kernel->kicks_on = on;
	(void)host_call(HOST_TIMER, on ? PREEMPT_NS : 0, on ? PREEMPT_NS : 0, 0);
}

void host_exit(struct kernel *kernel, enum exit_kind kind, uint64_t value, uint64_t address)
{
	host_report(kernel);
	for (;;)
		(void)host_call(HOST_EXIT, kind, value, address);
}

void host_panic(const char *text)
{
	for (;;)
		(void)host_call(HOST_PANIC, address_of(text), strlen(text), 0);
}

/* Called at every reading, as the program may read in pieces; the first one makes the snapshot. */
static void prepare_snapshot(struct kernel *kernel)
{
	if (kernel->request_started)
		return;
	kernel->request_started = true;
	mm_clean(&kernel->mm);
}

static int64_t host_request(void *context, void *buffer, uint64_t bytes)
{
	struct kernel *kernel = context;
	uint64_t at;
	int64_t got;

	prepare_snapshot(kernel);
	at = mm_memory_of(&kernel->mm, address_of(buffer), &bytes);
	got = host_call(HOST_READ, at, bytes, 0);
	if (kernel->run->generation != kernel->generation)
		kernel_new_run(kernel);
	return got;
}

static uint64_t vfs_clock(void *context, enum clock_kind kind)
{
	return clock_ns(context, kind);
}

static void vfs_random(void *context, void *buffer, uint64_t bytes)
{
	struct kernel *kernel = context;

	random_fill(&kernel->random, buffer, bytes);
}

static void vfs_notified(void *context, const void *object)
{
	threads_notify(context, object);
}

void host_connect(struct kernel *kernel)
{
	kernel->vfs.heap = &kernel->heap;
	kernel->vfs.pages = (struct page_source){mm_pages_resize, &kernel->mm};
	kernel->vfs.host = (struct vfs_host){
		.clock_ns = vfs_clock,
		.random = vfs_random,
		.notify = vfs_notified,
		.output = host_output,
		.request = host_request,
		.describe = describe,
		.unwatched = epoll_forget,
		.context = kernel,
	};
}
