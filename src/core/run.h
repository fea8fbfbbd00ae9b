/* One run on one instance: from start() to final evidence. */
#ifndef PSB_CORE_RUN_H
#define PSB_CORE_RUN_H

#include "core/job.h"
#include "core/utf8.h"
#include "ipc/frame.h"

struct run_stream {
	struct utf8_stream utf8;
	struct buffer kept; /* valid UTF-8, at most the cap */
	uint64_t seen;      /* raw bytes that came */
	bool cut;           /* something did not fit */
};

struct run {
	const struct engine_ops *ops;
	struct engine_instance *instance;
	const struct job *job;
	struct frame_decoder *decoder;
	struct run_stream streams[2];
	struct host_facts facts;
	struct evidence evidence;
	bool cancel;    /* asked for; without effect on a run that has ended */
	bool stopped;   /* ops->stop() was called */
	bool no_memory; /* the host ran out of memory: the run is given up */
	uint64_t deadline_us;
};

/* A zeroed run or a cleared one. 0 or PSB_E_MEMORY; run_free() is due all the same. */
int run_init(struct run *run, const struct job *job);
void run_clear(struct run *run); /* for another job: keeps memory, and nothing that was in it */
void run_free(struct run *run);

/* After a successful start(). */
void run_begin(struct run *run, const struct engine_ops *ops, struct engine_instance *instance);
/* Moves what can be moved without waiting. True when the instance has ended or is given up. */
bool run_step(struct run *run);
/* After the last step: fetches the evidence and closes the streams. */
void run_finish(struct run *run);

#endif
