/* A machine that has booted mini_kernel.c, and a worker of it in this process. Needs /dev/kvm. */
#ifndef PSB_TEST_MICROVM_FIXTURE_H
#define PSB_TEST_MICROVM_FIXTURE_H

#include "engines/microvm/vmm/boot.h"
#include "engines/microvm/vmm/worker.h"

#define FIXTURE_WALL_MS 30000u

struct fixture {
	struct snapshot snapshot;
	struct worker worker;
	int events_fd; /* what the worker says */
};

/* For cmocka; *state is a struct fixture. */
int fixture_set_up(void **state);

#endif
