/* The process between the library and its workers. */
#ifndef PSB_VMM_SUPERVISOR_H
#define PSB_VMM_SUPERVISOR_H

#include <sys/types.h>

#include "../protocol.h"
#include "groups.h"
#include "snapshot.h"

struct supervised {
	pid_t pid; /* 0: free */
	uint32_t generation;
};

struct supervisor {
	struct vmm_config config;
	int host_fd;
	int host_pidfd; /* readable once the host's process is gone; or -1 */
	int outside_fd; /* readable once the process that keeps the control groups is gone; or -1 */
	int kvm_fd;
	int signal_fd;
	int void_fd;
	int files_fd; /* root of a file system for guests' files on their way out, or -1 */
	struct snapshot snapshot;
	struct groups groups;
	struct supervised slots[MICROVM_MAX_SLOTS];
};

/* Serves until the library's socket ends; then no worker is left. */
void supervisor_serve(struct supervisor *supervisor);
void supervisor_tell(const struct supervisor *supervisor, uint32_t type, const char *text);

/* files.c: sets files_fd, or -1 where that cannot be had. */
void files_open(struct supervisor *supervisor);

#endif
