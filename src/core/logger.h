/*
 * Words to the application's log callback (docs/observability.md). They are gathered where things
 * happen, often with the sandbox's lock held, and handed over later by logger_flush(), where no
 * lock is: a callback may be slow, or need a lock of its own that another thread holds while it
 * waits for the sandbox.
 */
#ifndef PSB_CORE_LOGGER_H
#define PSB_CORE_LOGGER_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "pysandbox.h"

#define LOGGER_MAX_PENDING 256u

struct log_line;
STAILQ_HEAD(log_lines, log_line);

struct logger {
	psb_log_fn say; /* NULL: nobody listens */
	void *context;
	uint32_t level;           /* the least important level that is still said */
	psb_progress_fn progress; /* NULL: nobody watches */
	void *progress_context;

	pthread_mutex_t lock; /* a leaf: for the members below only */
	struct log_lines pending;
	atomic_uint pending_count;
	uint64_t dropped; /* for want of room or memory */
};

int logger_init(struct logger *logger); /* 0 or PSB_E_MEMORY; nobody listens yet */
/* Drops what is pending. Takes no lock: it may be in any state in a forked child. */
void logger_free(struct logger *logger);

/* One clean line, cut at 800 bytes. NULL is fine. Costs a comparison when nobody listens. */
void logger_say(struct logger *logger, enum psb_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same for those who watch something slow; also said, as PSB_LOG_INFO, with the engine's name. */
void logger_progress(struct logger *logger, const char *engine, const char *text);
/* Calls the callbacks for what is pending. No lock may be held. */
void logger_flush(struct logger *logger);

#endif
