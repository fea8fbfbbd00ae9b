/* A worker: one process, one virtual machine, one execution after the other. */
#ifndef PSB_VMM_WORKER_H
#define PSB_VMM_WORKER_H

#include "../protocol.h"
#include "outbox.h"
#include "run.h"
#include "snapshot.h"

/* What makes an execution's randomness. */
struct drawn {
	bool fresh;
	struct {
		uint8_t entropy[sizeof(((struct run_info *)0)->entropy)];
		uint32_t pid;
	} random;
};

struct worker {
	const struct snapshot *snapshot;
	struct vm_limits limits; /* the widest that any execution may have */
	bool once;               /* it serves one execution: no dirty log, no reset */
	bool unshared;           /* copies of snapshot and image, no shared mapping */
	int command_fd;
	int void_fd; /* /dev/null */
	struct outbox outbox;
	struct memory memory;
	struct machine machine;
	const uint8_t *golden; /* the snapshot's memory, read-only; indexed by guest address */
	bool clean;            /* memory and vCPU are the snapshot's */
	bool trained;          /* the hot pages are known */
	uint64_t generation;
	struct drawn drawn; /* for the next execution */
	/* Request bytes that came with the command. */
	uint8_t *inbox;
	size_t inbox_start;
	size_t inbox_end;
	uint8_t *rehearsal; /* an encoded request */
	size_t rehearsal_bytes;
	uint64_t request_left; /* of the request, not yet given to the guest */
};

/* Says why this worker cannot serve, and ends. */
__attribute__((noreturn)) void worker_fail(struct worker *worker, const char *text);

/* Makes the machine, enters the jail, serves until the pipe ends. Does not return. */
__attribute__((noreturn)) void worker_main(struct worker *worker, int kvm_fd);

/* The most host memory that a worker's guest, its bookkeeping and its copies can take. */
uint64_t worker_memory_bytes(const struct snapshot *snapshot, const struct vm_limits *limits,
			     bool unshared);

/* worker_main() without jail and service; for tests. */
int worker_prepare(struct worker *worker, int kvm_fd, struct psb_error *err);

/* execution.c */
int execution_start(struct worker *worker, const struct vm_command *command);
int execution_collect(struct worker *worker);
bool execution_draw(struct worker *worker);

/* reset.c: memory and vCPU back to the snapshot. -1: this worker must not be used again. */
int worker_reset(struct worker *worker);
/* Pages touched since the last reset; KVM's word, not the guest's. */
uint64_t worker_dirty_pages(struct worker *worker);
int worker_learn_hot_pages(struct worker *worker);

#endif
