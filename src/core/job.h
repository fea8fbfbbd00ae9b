/* A checked and encoded request, ready to be started on any engine. */
#ifndef PSB_CORE_JOB_H
#define PSB_CORE_JOB_H

#include "audit/audit.h"
#include "core/files.h"
#include "core/sandbox.h"
#include "ipc/request.h"

struct job {
	uint8_t token[REQUEST_TOKEN_BYTES];
	char id[33];
	struct psb_request request;  /* complete; its pointers are the caller's */
	struct psb_limits limits;    /* complete, those of this run */
	const struct policy *policy; /* the sandbox's */
	struct buffer options;       /* the request's options object */
	struct buffer bytes;         /* the encoded request */
	int output_fd;               /* owned; -1: no output directory */
	char filename[256];
	struct audit_code code; /* owned; made when there is an audit log */
};

/* Into a zeroed job or a cleared one, which is to be cleared or freed whether this fails or not. */
int job_build(const struct psb_sandbox *sandbox, const struct psb_request *request, struct job *job,
	      struct psb_error *err);
void job_clear(struct job *job); /* for another request: keeps memory, and nothing that was in it */
void job_free(struct job *job);
/* Once for a sandbox: what all of its requests have in common. 0 or PSB_E_MEMORY, PSB_E_TOO_LARGE. */
int job_prepare(struct psb_sandbox *sandbox);

/* For files_collect(), after the run: needs nothing that is the caller's. */
struct files_workspace job_workspace(const struct job *job, int fd);

#endif
