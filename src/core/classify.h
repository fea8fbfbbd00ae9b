/* The one place where a status is decided. */
#ifndef PSB_CORE_CLASSIFY_H
#define PSB_CORE_CLASSIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/evidence.h"
#include "core/limits.h"
#include "core/report.h"

/* What the host itself counted and did. */
struct host_facts {
	bool cancelled;   /* we stopped it on the caller's wish */
	bool stdout_over; /* over the cap, and that ended it (kill, or 64 times the cap) */
	bool stderr_over;
	bool stdout_cut; /* something was dropped; the run went on (truncate) */
	bool stderr_cut;
	bool result_over;    /* encoded result bytes over the cap */
	bool result_invalid; /* a result was announced, but it is not JSON */
	bool workspace_over; /* files in the workspace over the caps when collected */
	bool overdue;        /* the engine was silent past the wall limit; we stopped it */
};

struct verdict {
	int status;              /* enum psb_status */
	enum limit_name limit;   /* which ended it */
	unsigned int limits_hit; /* the others, as bits */
	int32_t exit_code;       /* of PSB_EXIT */
	int32_t signal_number;   /* of PSB_CRASH */
};

void classify(const struct evidence *evidence, const struct host_facts *facts,
	      const struct guest_report *report, struct verdict *out);

#endif
