/*
 * Options of `run` for those who watch: the audit log and --verbose. What the library says is
 * printed one line at a time; it is clean text, though it may quote a guest.
 */
#include <string.h>

#include "run.h"

static void print_log(void *context, int level, const char *message)
{
	static const char *const names[] = {"", "error", "warning", "info", "debug"};

	(void)context;
	complain("%s: %s", level >= PSB_LOG_ERROR && level <= PSB_LOG_DEBUG ? names[level] : "",
		 message);
}

static int read_sync(const char *word, uint32_t *out)
{
	static const char *const words[] = {"none", "accepted", "all"};

	for (uint32_t i = 0; i <= PSB_AUDIT_SYNC_ALL; i++) {
		if (!word || !strcmp(word, words[i])) {
			*out = i;
			return 0;
		}
	}
	return usage_error("--audit-sync: '%.60s' is neither none, accepted nor all", word);
}

int run_args_watch(struct run_args *args)
{
	struct psb_audit *audit = &args->audit;
	int rc = read_sync(args->audit_sync, &audit->sync);

	if (rc)
		return rc;
	if (!audit->file && (audit->key_file || audit->rotate_bytes || args->audit_sync ||
			     args->audit_code || args->audit_optional))
		return usage_error("--audit-key, -rotate, -sync, -code and -optional say how "
				   "--audit FILE is kept; give that too");
	audit->size = sizeof(*audit);
	audit->keep_code = args->audit_code;
	audit->optional = args->audit_optional;
	args->options.audit = audit->file ? audit : NULL;
	args->options.log = args->verbose ? print_log : NULL;
	args->options.log_level = PSB_LOG_DEBUG;
	if (!args->verbose)
		progress_watch(&args->options); /* else the log has it */
	return 0;
}
