/*
 * An engine without a guest: it plays a script. It can be told to fail at every step of the engine
 * interface, to send any bytes on any stream and to claim any evidence, so that the core's
 * handling of each can be tested without a process.
 */
#ifndef PSB_FAKE_ENGINE_H
#define PSB_FAKE_ENGINE_H

#include "engines/engine.h"

enum fake_fail {
	FAKE_GOOD,
	FAKE_NO_PROBE, /* the host lacks what it needs */
	FAKE_NO_PLAN,
	FAKE_NO_TEMPLATE,
	FAKE_NO_TURN, /* the template dies at the first turn */
	FAKE_NO_PREPARE,
	FAKE_NO_READY, /* instances fail before they are ready */
	FAKE_NO_START,
	FAKE_NO_PUMP,     /* the instance is lost while it runs */
	FAKE_DIES_IN_RUN, /* the template dies while an instance runs */
	FAKE_NO_WORKSPACE,
};

enum fake_step_kind {
	STEP_END_OF_SCRIPT,
	STEP_STDOUT,
	STEP_STDERR,
	STEP_RESULT,
	STEP_END,
	STEP_RAW
};

struct fake_step {
	enum fake_step_kind kind;
	const char *data;
	size_t len;          /* 0: strlen(data) */
	unsigned int repeat; /* how often; 0 is once */
};

struct fake_script {
	enum fake_fail fail;
	unsigned int fail_count; /* how many times it fails before it works; 0: always */
	int level;
	bool warm;
	bool no_files;                 /* plans with files are refused */
	bool no_modules;               /* plans with preloads are refused */
	uint64_t max_memory;           /* plans with a higher memory limit are refused; 0: none */
	const struct fake_step *steps; /* delivered one per pump */
	size_t piece;                  /* deliver in pieces of this size; 0: whole */
	unsigned int delay_us;         /* silent so long from its start on */
	bool hang;                     /* after the script: runs on until it is stopped */
	bool deaf;                     /* ... and stop() does not end it */
	struct evidence evidence;      /* claimed at the end */
	const char *workspace;         /* directory handed out as the workspace */
	const char *progress;          /* told after the next turn */
};

/* What the core did, for assertions. */
struct fake_counts {
	int templates;
	int templates_open;
	int instances;
	int instances_open;
	int starts;
	int running; /* now */
	int running_most;
	int abandoned;
	int stops;
	enum stop_reason last_stop;
	size_t request_len;
};

/* Two engines, so that one can be the other's fallback. */
extern struct fake_script fake_scripts[2];
extern struct fake_counts fake_counts[2];
extern const struct engine_ops fake_engine_a;
extern const struct engine_ops fake_engine_b;

void fake_reset(void); /* both scripts good, level 7 and 5, an `ok` end frame; counts zero */

#endif
