/* What is left to a worker once its machine is made. */
#ifndef PSB_VMM_JAIL_H
#define PSB_VMM_JAIL_H

#include "worker.h"

struct sock_filter;

/* Closes every descriptor but the worker's own, gives up all rights, installs the filter. */
int worker_jail(struct worker *worker, struct psb_error *err);

/* The filter, for tests. */
const struct sock_filter *worker_filter(size_t *count);

#endif
