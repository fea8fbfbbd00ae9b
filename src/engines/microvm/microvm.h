/* Inside of the microVM engine, library side: a template is a supervisor process with its workers,
 * an instance is a worker that is lent out. */
#ifndef PSB_MICROVM_H
#define PSB_MICROVM_H

#include "core/evidence.h"
#include "engines/engine.h"
#include "events.h"
#include "protocol.h"

enum vm_state {
	VM_FREE,      /* no process */
	VM_PREPARING, /* started or resetting: READY is to come */
	VM_IDLE,      /* waits for a request */
	VM_RUNNING,
	VM_DONE, /* its run has ended, its memory is as the guest left it */
	VM_DYING /* killed, or to be: GONE is to come */
};

struct vm {
	enum vm_state state;
	uint32_t generation;
	uint32_t executions;
	int command_fd;      /* write end */
	int command_keep_fd; /* read end: as long as we hold it, a write cannot raise SIGPIPE */
	int event_fd;
	struct placed placed; /* its process */
	bool gone;            /* its process is dead; events may be left in the pipe */
	bool oom_killed;      /* ... for its memory, by the kernel */
	uint64_t cpu_us_ready;
	uint64_t cpu_us_total; /* once it is gone */
	struct events events;
	struct engine_instance *instance;
};

struct fetch;

struct engine_template {
	int control_fd;
	int epoll_fd; /* control_fd and all event pipes */
	uint32_t slots;
	uint32_t next_generation;
	bool single_use; /* a worker serves one execution */
	struct vm_limits limits;
	bool dead;
	char dead_text[MICROVM_TEXT_BYTES];
	bool progressed;
	char progress_text[MICROVM_TEXT_BYTES];
	bool files_seen;
	int files_fd; /* of the supervisor's file system for guests' files, or -1 */
	struct vm vms[MICROVM_MAX_SLOTS];
};

struct engine_instance {
	struct engine_template *tmpl;
	uint32_t slot;
	enum instance_state state;
	bool stopped;  /* by us */
	bool finished; /* ... after its end frame */
	bool ended;    /* VM_ENDED came */
	bool pipe_ended;
	uint64_t start_us;
	struct vm_command command;
	const uint8_t *request;
	size_t request_len;
	size_t sent; /* of command and request */
	struct evidence evidence;
	bool news;                      /* since the last pump() or workspace() */
	const struct engine_sink *sink; /* during pump() */
	struct fetch *fetch;            /* of the workspace, once it was asked for */
	bool files_made;                /* workspace() has made a directory */
};

static inline struct vm *instance_vm(const struct engine_instance *instance)
{
	return &instance->tmpl->vms[instance->slot];
}

/* template.c */
int microvm_template_open(const struct plan *plan, struct engine_template **out,
			  struct psb_error *err);
int microvm_turn(struct engine_template *tmpl, struct psb_error *err);
int microvm_template_fd(const struct engine_template *tmpl);
const char *microvm_progress(struct engine_template *tmpl);
void microvm_template_close(struct engine_template *tmpl);
void microvm_template_abandon(struct engine_template *tmpl);
struct vm_limits microvm_limits(const struct psb_limits *limits);

/* vm.c */
int vm_start(struct engine_template *tmpl, uint32_t slot, struct psb_error *err);
/* Its event pipe has ended. */
void vm_unwatch(const struct engine_template *tmpl, uint32_t slot);
void vm_kill(const struct engine_template *tmpl, uint32_t slot);
void vm_interrupt(const struct engine_template *tmpl, uint32_t slot);
int vm_ask_files(const struct engine_template *tmpl, uint32_t slot);
void vm_free(struct engine_template *tmpl, uint32_t slot);
/* Reads what is there, at most `reads` times; false: end of file or nonsense. */
bool vm_read_events(struct vm *vm, int reads, const struct events_sink *sink);

/* instance.c */
int microvm_prepare(struct engine_template *tmpl, int processor, struct engine_instance **out,
		    struct psb_error *err);
enum instance_state microvm_state(const struct engine_instance *instance);
struct placed *microvm_process(struct engine_instance *instance);
int microvm_start(struct engine_instance *instance, const struct psb_limits *limits,
		  const uint8_t *request, size_t request_len, struct psb_error *err);
size_t microvm_pollfds(const struct engine_instance *instance, bool end_only,
		       struct pollfd fds[ENGINE_MAX_POLLFDS]);
bool microvm_has_news(const struct engine_instance *instance);
int microvm_pump(struct engine_instance *instance, const struct engine_sink *sink,
		 struct psb_error *err);
void microvm_stop(struct engine_instance *instance, enum stop_reason reason);
void microvm_evidence(const struct engine_instance *instance, struct evidence *out);
void microvm_recycle(struct engine_instance *instance);
void instance_on_gone(struct engine_instance *instance);
void instance_free(struct engine_instance *instance);

/* workspace.c */
int microvm_workspace(struct engine_instance *instance, struct psb_error *err);
void workspace_remove(struct engine_instance *instance); /* with its files */
void workspace_free(struct engine_instance *instance);   /* our memory and descriptors only */

/* plan.c */
void microvm_probe(const char *forced_rung, struct engine_probe *out);
int microvm_plan(struct plan *plan, struct psb_error *err);
/* Fills the supervisor's configuration from a plan. */
int microvm_configure(const struct plan *plan, struct vmm_config *config, struct psb_error *err);

#endif
