/* What is left to a worker, or to the process that boots an image, once its machine is made. */
#ifndef PSB_VMM_JAIL_H
#define PSB_VMM_JAIL_H

#include "worker.h"

struct sock_filter;

/* Closes every descriptor but the worker's own, gives up all rights, installs the filter. */
int worker_jail(struct worker *worker, struct psb_error *err);

/* The same for the process that boots: the report's pipe and the machine are left. */
int boot_jail(struct machine *machine, int *report_fd, struct psb_error *err);

/* The filters, for tests. */
const struct sock_filter *worker_filter(size_t *count);
const struct sock_filter *boot_filter(size_t *count);

#endif
