/*
 * Paths of system calls, for sys_path.c and sys_stat.c.
 */
#ifndef PSB_KERNEL_PATHS_H
#define PSB_KERNEL_PATHS_H

#include "syscalls.h"

struct path {
	char text[VFS_PATH_MAX];
	struct node start;
};

/* Where a relative path of this directory descriptor begins. */
int start_of(struct kernel *kernel, uint64_t dirfd, struct node *start);
/* Copies the path and finds its start. */
int get_path(struct kernel *kernel, uint64_t dirfd, uint64_t address, struct path *path);
/* The node of a path, or of the descriptor itself for an empty path where flags allow it. */
int node_at(struct kernel *kernel, uint64_t dirfd, uint64_t address, uint64_t flags,
	    struct node *node);

#endif
