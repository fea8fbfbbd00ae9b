/* The outcome: what psb_execute() gives back, filled by execute.c, written as JSON on demand. */
#ifndef PSB_CORE_OUTCOME_H
#define PSB_CORE_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/classify.h"
#include "core/json_write.h"
#include "core/plan.h"
#include "core/policy.h"
#include "pysandbox.h"

#define OUTCOME_VERSION 1
#define OUTCOME_MAX_FALLBACKS 8u

struct outcome_file {
	char *name; /* owned; relative to the output directory */
	uint64_t size;
	char *error; /* owned; why it is not in the output directory, or NULL */
};

struct outcome_denied {
	const char *kind; /* "syscall" or "import" */
	char *name;       /* owned */
};

struct outcome_fallback {
	char engine[16];
	char reason[504];
};

struct outcome_engine {
	const char *name; /* static; NULL: no engine ran it */
	char rung[8];
	int level;
	struct control controls[CONTROL_COUNT];
	char python[16];
	char policy_sha256[65];
};

struct psb_outcome {
	char id[33];
	uint64_t job; /* what psb_submit() gave; 0 of psb_execute() */
	char *tag;
	struct verdict verdict;
	bool has_result;
	char *result; /* owned; checked JSON */
	size_t result_len;
	char *error_type; /* NULL: no error object */
	char *error_message;
	char *traceback;
	int64_t error_line;
	struct buffer output[2]; /* stdout, stderr; valid UTF-8 */
	bool truncated[2];
	struct outcome_file *files;
	size_t file_count;
	bool has_files; /* an output directory was given */
	uint64_t wall_us;
	uint64_t cpu_us;
	uint64_t queue_us;
	uint64_t memory_peak_bytes;
	struct outcome_engine engine;
	struct outcome_denied denied[REPORT_MAX_DENIED + 1];
	size_t denied_count;
	struct outcome_fallback fallback[OUTCOME_MAX_FALLBACKS];
	size_t fallback_count;
	struct buffer json_text;
	struct buffer *json; /* json_text: made on the first wish, of an outcome that is const */
	struct outcome_store *store; /* held; may be NULL */
};

/* NULL when out of memory. tag may be NULL, store too. */
struct psb_outcome *outcome_new(struct outcome_store *store, const char *tag);

/* Copies what the plan says into the outcome. */
void outcome_set_engine(struct psb_outcome *outcome, const struct plan *plan);

/* Takes verdict, report (whose strings move over) and evidence; makes up the error object of the
 * statuses that the host decides. `stray` are bytes of the result pipe outside of frames. */
struct outcome_parts {
	const struct evidence *evidence;
	const struct psb_limits *limits;
	const struct policy *policy;
	struct guest_report *report;
	const struct host_facts *facts;
	const uint8_t *stray;
	size_t stray_len;
};
int outcome_settle(struct psb_outcome *outcome, const struct outcome_parts *parts);

/* Sets the error object; texts are copied. 0 or PSB_E_MEMORY. */
int outcome_set_error(struct psb_outcome *outcome, const char *type, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* outcome_json.c: the member `controls`, of one for each key. */
void outcome_write_controls(struct json_writer *writer,
			    const struct control controls[CONTROL_COUNT]);
/* The member `limits_hit`. */
void outcome_write_limits_hit(struct json_writer *writer, const struct psb_outcome *outcome);
/* The members of `usage`. */
void outcome_write_usage(struct json_writer *writer, const struct psb_outcome *outcome);
/* The whole outcome as JSON text. 0, PSB_E_TOO_LARGE, PSB_E_MEMORY. */
int outcome_write(const struct psb_outcome *outcome, struct buffer *out);

#endif
