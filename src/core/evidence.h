/*
 * What the host saw from outside of one execution. Nothing in here comes from the guest's mouth:
 * the engine fills it from the kernel's accounting, timers and exit statuses; classify.c alone
 * turns it, together with the decoded guest frames, into a status.
 */
#ifndef PSB_EVIDENCE_H
#define PSB_EVIDENCE_H

#include <stdbool.h>
#include <stdint.h>

struct evidence {
	bool ended;             /* the figures below are final: all guest code has stopped */
	bool exited;            /* the main guest process ended by itself with exit_code */
	bool signalled;         /* ... by signal_number, not sent by us */
	bool wall_fired;        /* the wall timer ended it */
	bool cpu_fired;         /* the CPU budget ended it */
	bool oom_killed;        /* the kernel's OOM killer hit the slot */
	bool denied;            /* it was ended for the system call denied_syscall */
	bool denied_i386;       /* ... a 32-bit one; those of x32 show in the number */
	bool memory_limit_hit;  /* allocations failed at the limit on the way (soft) */
	bool process_limit_hit; /* forks or threads were refused on the way (soft) */
	bool workspace_over;    /* more files or bytes than allowed were counted in the workspace */
	bool instance_lost;     /* the keeper or template died under it: no evidence */
	int32_t exit_code;
	int32_t signal_number;
	int32_t denied_syscall;
	uint64_t wall_us;
	uint64_t cpu_us;
	uint64_t memory_peak_bytes;
};

#endif
