/* Words to the application's log callback (docs/observability.md). */
#ifndef PSB_CORE_LOGGER_H
#define PSB_CORE_LOGGER_H

#include "pysandbox.h"

struct logger {
	psb_log_fn say; /* NULL: nobody listens */
	void *context;
	uint32_t level; /* the least important level that is still said */
};

/* One clean line, cut at 800 bytes. The logger may be NULL. Costs a comparison when unheard. */
void logger_say(const struct logger *logger, enum psb_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
