/* Running the guest until it ends, with its host calls and its timers. */
#ifndef PSB_VMM_RUN_H
#define PSB_VMM_RUN_H

#include "machine.h"

enum run_end {
	RUN_CALLED_READ, /* the guest waits in HOST_READ and there is no reader: the snapshot */
	RUN_EXITED,      /* HOST_EXIT */
	RUN_PANICKED,    /* HOST_PANIC */
	RUN_CRASHED,     /* an exception nobody handled; signal and address are set */
	RUN_TIMED_OUT,   /* the wall deadline */
	RUN_CPU_SPENT,   /* the CPU budget */
	RUN_STOPPED,     /* run_wanted_stop() is this execution */
	RUN_HOST_GONE,   /* nobody takes the output any more */
	RUN_BROKEN,      /* KVM itself failed */
};

/* What the guest talks to. A negative result of either ends the run as RUN_HOST_GONE. */
struct run_io {
	/* The next bytes of the request into `to`, at most `bytes`; 0 at its end. NULL: none. */
	int64_t (*read)(void *context, uint8_t *to, uint64_t bytes);
	/* One piece of output. Blocks while it cannot be taken; -EINTR: a timer is due. */
	int (*output)(void *context, uint32_t stream, const uint8_t *data, uint32_t bytes);
	/* What was put out is to be seen now. As output(). */
	int (*flush)(void *context);
	void *context;
};

struct run {
	struct machine *machine;
	uint32_t execution;
	struct run_io io;
	uint64_t wall_deadline_ns; /* CLOCK_MONOTONIC; 0: none */
	uint64_t cpu_deadline_ns;  /* run_cpu_ns(); 0: none */
	uint64_t cpu_limit_ns;     /* how far off it was at the start */
	uint64_t kick_ns;          /* next kick, 0: none */
	uint64_t kick_period_ns;
	uint64_t kick_rip;     /* where the last kick met the guest */
	uint32_t kick_stretch; /* how many periods lie between kicks of a guest that stands there */
	uint64_t tsc_khz;      /* to tell the guest the time after a sleep; 0: do not */
	uint64_t look_ns;      /* when to look for output next */
	/* What happened. */
	uint32_t exit_kind;
	uint32_t signal;
	int64_t exit_value;
	uint64_t address;
	uint64_t entries; /* KVM_RUN calls */
	char panic[HOST_PANIC_MAX_BYTES + 1];
};

/* Once per process, before any run: two timers and one signal that interrupt KVM_RUN. */
int run_timers_open(struct psb_error *err);
enum run_end run_machine(struct run *run);
/* The same with the timers left armed: the answer goes out before run_disarm(). Until then a signal may
 * interrupt a call. */
enum run_end run_machine_armed(struct run *run);
void run_disarm(void);

/* The clock that the guest reads by itself, as of now; it takes its own counter for the base. */
struct guest_clock run_guest_clock(uint64_t tsc_khz);

uint64_t run_clock_ns(void);
uint64_t run_cpu_ns(void);         /* of this thread */
uint64_t run_process_cpu_ns(void); /* of the whole process: not exact while a timer is armed */

#endif
