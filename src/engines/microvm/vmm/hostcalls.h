/* The guest's calls to the VMM (guest/kernel/abi.h). Each returns -1 to go on, or enum run_end. */
#ifndef PSB_VMM_HOSTCALLS_H
#define PSB_VMM_HOSTCALLS_H

#include "run.h"

int host_call(struct run *run);

/* Hands comm.output_used bytes of output records to run->io and begins anew. */
int output_drain(struct run *run);
/* ... and has it shown. */
int output_show(struct run *run);

/* run.c */
int run_interrupted(struct run *run);
void run_arm_wall(const struct run *run);
void run_set_clock(struct run *run);

#endif
