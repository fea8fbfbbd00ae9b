/*
 * The engine interface: one const table per engine, listed in src/core/registry.c. An engine
 * delivers bytes and evidence; it decodes no frame and picks no status.
 *
 * An instance's life: prepare() -> PREPARING -> READY -> start() -> RUNNING -> (stop()) -> ENDED ->
 * recycle(), which frees it. Nothing blocks: the caller polls the descriptors of pollfds() and
 * calls turn() (template) and pump() (instance). A template outlives its instances, of which
 * several may run at once. The caller's lock is held around every call, so an engine needs none.
 */
#ifndef PSB_ENGINE_H
#define PSB_ENGINE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/evidence.h"
#include "core/place.h"
#include "core/plan.h"
#include "pysandbox.h"

enum instance_state {
	INSTANCE_PREPARING,
	INSTANCE_READY,
	INSTANCE_RUNNING,
	INSTANCE_ENDED,
	INSTANCE_FAILED
};

/* Why the core stops an instance. FINISHED and COLLECT: a valid end frame was seen; the engine then
 * need only see to it that no guest code runs any more, not that memory is freed. After FINISHED
 * nothing but evidence() and recycle() is asked for, after COLLECT the workspace as well. */
enum stop_reason {
	STOP_FINISHED,
	STOP_COLLECT,
	STOP_OUTPUT,
	STOP_RESULT,
	STOP_CANCELLED,
	STOP_PROTOCOL
};

/* Where pump() delivers guest bytes. Borrowed for the call; the sink never blocks. */
struct engine_sink {
	void (*on_stdout)(void *context, const uint8_t *data, size_t len);
	void (*on_stderr)(void *context, const uint8_t *data, size_t len);
	void (*on_frames)(void *context, const uint8_t *data, size_t len);
	void *context;
};

struct engine_probe {
	bool available;
	bool warm; /* it could serve at once: what is slow to make is there already */
	int level; /* by level_by_table(), for what plan() would set here */
	char rung[8];
	char missing[504];
};

struct engine_template;
struct engine_instance;

#define ENGINE_MAX_POLLFDS 8

struct engine_ops {
	const char *name;
	int level_most; /* no host lets it reach more; 0: that is not known */
	/* Can it run here, and how well? Never fails: `missing` says what is wrong. `forced_rung`
	 * may be NULL. */
	void (*probe)(const char *forced_rung, struct engine_probe *out);
	/* Fills plan->controls with their how-texts, plan->walls and what it runs; plan->rung is the
	 * one that probe() reported. The core adds hardware_speculation and the level. An error
	 * means that this engine is no candidate: the profile (python, preload), files or limits
	 * are not for it. */
	int (*plan)(struct plan *plan, struct psb_error *err);
	int (*template_open)(const struct plan *plan, struct engine_template **out,
			     struct psb_error *err);
	/* Handles whatever arrived for the template; an error means the template is dead and err
	 * says why (shown in `unavailable` and fallback reasons). Nothing new is prepared on a dead
	 * one; instances that run on it go on, or end as lost. */
	int (*turn)(struct engine_template *tmpl, struct psb_error *err);
	int (*template_fd)(const struct engine_template *tmpl); /* pollable for turn() */
	/* One line about what the template still has to make before anything gets ready, once for
	 * each piece of news that turn() took in; NULL: nothing new. An engine that tells is given
	 * the time that it takes. May be NULL. */
	const char *(*progress)(struct engine_template *tmpl);
	/* `processor`: where it will be started from, as far as that is known; else -1. */
	int (*prepare)(struct engine_template *tmpl, int processor, struct engine_instance **out,
		       struct psb_error *err);
	enum instance_state (*state)(const struct engine_instance *instance);
	/* The process that start() will wake; the engine's. May be NULL. */
	struct placed *(*process)(struct engine_instance *instance);
	/* Begins the request. `request` is the encoded byte string of src/ipc/request.h and must
	 * stay valid until the instance has ended. From here on code may have run; an error means
	 * that not one byte was sent. */
	int (*start)(struct engine_instance *instance, const struct psb_limits *limits,
		     const uint8_t *request, size_t request_len, struct psb_error *err);
	/* Descriptors that matter now (the template's is included); returns how many. One that was
	 * reported once stays open until recycle(). `end_only`: leave out what tells of output
	 * alone; the guest may then wait until it is taken. */
	size_t (*pollfds)(const struct engine_instance *instance, bool end_only,
			  struct pollfd fds[ENGINE_MAX_POLLFDS]);
	/* True when a turn() or another instance's pump() took in something about this instance,
	 * so that its pump() or workspace() is due although no descriptor says so. Cleared by
	 * either. NULL: an instance's news come on its own descriptors only. */
	bool (*has_news)(const struct engine_instance *instance);
	/* Moves bytes both ways without blocking; state() tells when it has ended. */
	int (*pump)(struct engine_instance *instance, const struct engine_sink *sink,
		    struct psb_error *err);
	/* Ends it now. Idempotent, never blocks, async-signal-safe. The instance is ENDED when
	 * evidence is final. */
	void (*stop)(struct engine_instance *instance, enum stop_reason reason);
	void (*evidence)(const struct engine_instance *instance, struct evidence *out);
	/* Why an instance is FAILED: one line, "" if unknown. May be NULL. */
	const char *(*failure)(const struct engine_instance *instance);
	/* After ENDED: a directory descriptor of the dead guest's workspace, which the caller
	 * closes; PSB_E_BUSY while the last guest process is not dead yet (call again at the next
	 * news); or another error with err. */
	int (*workspace)(struct engine_instance *instance, struct psb_error *err);
	/* Kills if needed, reaps in the background, frees. Any state. NULL is fine. */
	void (*recycle)(struct engine_instance *instance);
	void (*template_close)(struct engine_template *tmpl);
	/* In a forked child of the host: closes the child's copies of all descriptors and frees the
	 * template and its instances without a word to the processes, which are the parent's. NULL: they
	 * stay as they are. */
	void (*template_abandon)(struct engine_template *tmpl);
};

#endif
