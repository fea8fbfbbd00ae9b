/* A run into the void, to learn which pages every execution writes. */
#ifndef PSB_VMM_REHEARSE_H
#define PSB_VMM_REHEARSE_H

#include "worker.h"

/* Of a worker that can be reset. Encode it early: the jail lets nobody allocate. */
int rehearsal_encode(struct worker *worker, struct psb_error *err);
int rehearse(struct worker *worker);

/* Writes the list into the header of a new snapshot, whose descriptor must be writable. In a process
 * of its own: its memory is given up. Output goes to void_fd. */
int rehearse_snapshot(int kvm_fd, int snapshot_fd, int image_fd, int void_fd,
		      struct psb_error *err);

#endif
