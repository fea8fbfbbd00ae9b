/*
 * Theory of operation: the worker's life. Everything that needs a right (memory, machine, timers) is
 * made first; then the jail closes and the commands are served. Between executions it sleeps in
 * read(). A new worker rehearses (rehearse.c), unless it is to serve only once: then nothing is kept
 * that a reset would need.
 * Trust boundary: commands come from the library and are trusted; the guest is not. The worker is
 * what a guest that breaks out of its machine would own: see jail.c for what is left to it then.
 */
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/error.h"
#include "engines/aside.h"
#include "jail.h"
#include "rehearse.h"

#define INBOX_BYTES (1u << 17)
#define SLACK_BYTES (UINT64_C(32) << 20)
#define EVENT_TEXT_BYTES 390u

static uint64_t memory_end(const struct snapshot *snapshot, const struct vm_limits *limits)
{
	uint64_t end = snapshot->header.memory_end + limits->memory_bytes +
		       limits->workspace_bytes + SLACK_BYTES;

	end = (end + GUEST_LARGE_PAGE_BYTES - 1) & ~(GUEST_LARGE_PAGE_BYTES - 1);
	return end < GUEST_POOL_MAX_END ? end : GUEST_POOL_MAX_END;
}

/* A sixteenth of what the guest sees is for page tables, KVM's and the processor's. */
uint64_t worker_memory_bytes(const struct snapshot *snapshot, const struct vm_limits *limits,
			     bool unshared)
{
	const struct snapshot_header *header = &snapshot->header;
	uint64_t ram = memory_end(snapshot, limits) - GUEST_PROGRAM_BASE;
	uint64_t copies = header->image_bytes + header->memory_end - GUEST_PROGRAM_BASE;

	return ram + (ram + header->image_bytes) / 16 + (unshared ? copies : 0);
}

static int map_golden(struct worker *worker, struct psb_error *err)
{
	const struct snapshot *snapshot = worker->snapshot;
	uint64_t bytes = snapshot->header.memory_end - GUEST_PROGRAM_BASE;
	uint8_t *golden;

	if (worker->unshared) {
		golden =
			memory_copy_file(snapshot->snapshot_fd, SNAPSHOT_MEMORY_OFFSET, bytes, err);
		if (golden == MAP_FAILED)
			return -1;
	} else {
		golden = mmap(NULL, bytes, PROT_READ, MAP_SHARED, snapshot->snapshot_fd,
			      (off_t)SNAPSHOT_MEMORY_OFFSET);
	}
	if (golden == MAP_FAILED)
		return psb_fail(err, PSB_E_MEMORY, errno, "vmm: cannot map the snapshot: %s",
				strerror(errno));
	worker->golden = golden - GUEST_PROGRAM_BASE;
	return 0;
}

static int fill_memory(struct worker *worker, struct psb_error *err)
{
	const struct snapshot *snapshot = worker->snapshot;
	const struct snapshot_header *header = &snapshot->header;
	bool copy = worker->unshared;
	const struct memory_source source = {.fd = snapshot->snapshot_fd,
					     .offset = SNAPSHOT_MEMORY_OFFSET,
					     .file_end = header->memory_end,
					     .end = memory_end(snapshot, &worker->limits),
					     .text_start = header->text_start,
					     .text_end = header->text_end,
					     .tracked = !worker->once};
	int rc =
		(copy ? memory_copy_snapshot : memory_open_snapshot)(&worker->memory, &source, err);

	if (rc < 0)
		return rc;
	return (copy ? memory_copy_image : memory_map_image)(&worker->memory, snapshot->image_fd,
							     header->image_bytes, err);
}

static void *copy_hot_pages(void *argument)
{
	const struct worker *worker = argument;
	const struct snapshot_header *header = &worker->snapshot->header;

	for (uint32_t i = 0; i < header->hot_count; i++)
		memory_prefetch(&worker->memory, header->hot[i].first * (uint64_t)GUEST_PAGE_BYTES,
				header->hot[i].pages * (uint64_t)GUEST_PAGE_BYTES);
	return NULL;
}

static int open_machine(struct worker *worker, int kvm_fd, struct psb_error *err)
{
	const struct snapshot_header *header = &worker->snapshot->header;
	int rc = machine_open(&worker->machine, kvm_fd, &worker->memory, &header->features, err);

	if (rc == 0)
		rc = machine_set_state(&worker->machine, &header->state, err);
	worker->clean = rc == 0;
	return rc;
}

/* KVM takes as long to make a machine as the copies do: where there is a second processor, they are
 * made meanwhile. The thread has ended before the jail closes. */
static int make_machine(struct worker *worker, int kvm_fd, struct psb_error *err)
{
	pthread_t thread;
	bool alone;
	int rc = fill_memory(worker, err);

	if (rc == 0 && !worker->once)
		rc = map_golden(worker, err);
	if (rc < 0)
		return rc;
	alone = pthread_create(&thread, NULL, copy_hot_pages, worker) != 0;
	if (!alone)
		aside_send_thread(thread);
	rc = open_machine(worker, kvm_fd, err);
	if (alone)
		(void)copy_hot_pages(worker);
	else
		(void)pthread_join(thread, NULL);
	return rc;
}

int worker_prepare(struct worker *worker, int kvm_fd, struct psb_error *err)
{
	int rc;

	worker->inbox = malloc(INBOX_BYTES);
	if (!worker->inbox || outbox_open(&worker->outbox, worker->outbox.fd) < 0)
		return psb_fail(err, PSB_E_MEMORY, 0, "vmm: out of memory");
	rc = make_machine(worker, kvm_fd, err);
	if (rc == 0)
		rc = run_timers_open(err);
	return rc < 0 || worker->once ? rc : rehearsal_encode(worker, err);
}

static int say_ready(struct worker *worker)
{
	const uint64_t cpu_us = run_process_cpu_ns() / 1000;

	if (!execution_draw(worker) ||
	    outbox_add(&worker->outbox, VM_READY, &cpu_us, sizeof(cpu_us)) < 0)
		return -1;
	return outbox_flush(&worker->outbox);
}

/* One command and whatever follows it in the pipe. False: the library is gone. */
static bool read_command(struct worker *worker, struct vm_command *command)
{
	size_t have = worker->inbox_end - worker->inbox_start;

	memmove(worker->inbox, worker->inbox + worker->inbox_start, have);
	worker->inbox_start = 0;
	worker->inbox_end = have;
	while (worker->inbox_end < sizeof(*command)) {
		ssize_t n = read(worker->command_fd, worker->inbox + worker->inbox_end,
				 INBOX_BYTES - worker->inbox_end);

		if (n == 0 || (n < 0 && errno != EINTR))
			return false;
		worker->inbox_end += n > 0 ? (size_t)n : 0;
	}
	memcpy(command, worker->inbox, sizeof(*command));
	worker->inbox_start = sizeof(*command);
	return command->magic == VM_COMMAND_MAGIC;
}

static int obey(struct worker *worker, const struct vm_command *command)
{
	switch (command->type) {
	case VM_START: return execution_start(worker, command);
	case VM_COLLECT: return execution_collect(worker);
	case VM_RESET:
		if (!worker->clean && worker_reset(worker) < 0)
			return -1;
		return say_ready(worker);
	default: return -1;
	}
}

/* Needs no memory: that may be what is missing. */
void worker_fail(struct worker *worker, const char *text)
{
	struct {
		struct vm_event head;
		char text[EVENT_TEXT_BYTES];
	} event = {.head = {.type = VM_BROKEN}};
	size_t len = strnlen(text, sizeof(event.text));

	memcpy(event.text, text, len);
	event.head.bytes = (uint32_t)len;
	(void)!write(worker->outbox.fd, &event, sizeof(event.head) + len);
	_exit(1);
}

void worker_main(struct worker *worker, int kvm_fd)
{
	struct vm_command command;
	struct psb_error err = {0};

	if (worker_prepare(worker, kvm_fd, &err) < 0 || worker_jail(worker, &err) < 0)
		worker_fail(worker, err.message);
	if (!worker->once && rehearse(worker) < 0)
		worker_fail(worker, "vmm: the first execution of a new machine failed");
	if (say_ready(worker) < 0)
		_exit(1);
	while (read_command(worker, &command))
		if (obey(worker, &command) < 0)
			_exit(1);
	_exit(0);
}
