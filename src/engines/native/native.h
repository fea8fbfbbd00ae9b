/* Inside of the native engine: a template is a keeper process, an instance one of its slots. */
#ifndef PSB_NATIVE_H
#define PSB_NATIVE_H

#include "engines/engine.h"
#include "keeper/control.h"

/* A slot's counters, as the keeper opened them; -1: it has shared none. */
struct slot_counters {
	int cpu_fd;
	int peak_fd;
	int refusals_fd;
};

struct engine_template {
	int control_fd;
	uint32_t slots;
	uint32_t next_generation;
	struct slot_limits limits;          /* every instance is prepared with these */
	int start_timers[KEEPER_MAX_SLOTS]; /* shared with the keeper; -1: none yet */
	struct slot_counters counters[KEEPER_MAX_SLOTS];
	bool counted; /* the keeper counts the workspaces: rungs C and D */
	bool dead;
	char dead_text[KEEPER_TEXT_BYTES];
	struct engine_instance *instances[KEEPER_MAX_SLOTS];
};

enum { SOURCE_RESULT, SOURCE_STDOUT, SOURCE_STDERR, NATIVE_SOURCES };

/* A pipe that the guest writes. It stays open after its end: the core may still watch it. */
struct source {
	int fd;
	bool ended;
	bool more; /* the last look at it left something there */
};

struct engine_instance {
	struct engine_template *tmpl;
	uint32_t slot;
	uint32_t generation;
	enum instance_state state;
	bool arming;   /* tighter limits were sent, the keeper has not confirmed them yet */
	bool released; /* the keeper frees the slot by itself */
	bool end_seen; /* evidence is final; the pipes may hold a rest */
	bool news;     /* the keeper's word has changed something since the last look */
	bool workspace_asked;
	bool workspace_seen;
	int request_fd;      /* write end */
	int request_keep_fd; /* read end: as long as we hold it, a write cannot raise SIGPIPE */
	struct source sources[NATIVE_SOURCES];
	int workspace_fd;
	struct placed guest; /* no pidfd here or in the next: only the keeper can end it */
	int init_pidfd;
	struct counter_bases bases;
	const uint8_t *request;
	size_t request_len;
	size_t request_sent;
	struct slot_limits limits; /* of this run */
	uint64_t start_us;
	struct evidence evidence;
	char failure[KEEPER_TEXT_BYTES]; /* the keeper's word on why it is FAILED */
};

/* keeper_process.c */
int keeper_start(const struct keeper_config *config, const char *libexec, int *control_fd,
		 struct psb_error *err);
int keeper_send(const struct engine_template *tmpl, const struct host_message *message,
		const int fds[HOST_FDS], struct psb_error *err);

/* template.c */
struct slot_limits native_slot_limits(const struct psb_limits *limits);
int native_template_open(const struct plan *plan, struct engine_template **out,
			 struct psb_error *err);
/* Nothing new is started on it any more; the next turn says so. */
void native_give_up(struct engine_template *tmpl, const char *text);
int native_turn(struct engine_template *tmpl, struct psb_error *err);
int native_template_fd(const struct engine_template *tmpl);
void native_template_close(struct engine_template *tmpl);

void native_template_forget(struct engine_template *tmpl); /* our descriptors and memory */

/* instance.c */
int native_prepare(struct engine_template *tmpl, int processor, struct engine_instance **out,
		   struct psb_error *err);
enum instance_state native_state(const struct engine_instance *instance);
struct placed *native_process(struct engine_instance *instance);
int native_start(struct engine_instance *instance, const struct psb_limits *limits,
		 const uint8_t *request, size_t request_len, struct psb_error *err);
size_t native_pollfds(const struct engine_instance *instance, bool end_only,
		      struct pollfd fds[ENGINE_MAX_POLLFDS]);
bool native_has_news(const struct engine_instance *instance);
int native_pump(struct engine_instance *instance, const struct engine_sink *sink,
		struct psb_error *err);
void native_stop(struct engine_instance *instance, enum stop_reason reason);
const char *native_failure(const struct engine_instance *instance);
void native_evidence(const struct engine_instance *instance, struct evidence *out);
int native_workspace(struct engine_instance *instance, struct psb_error *err);
void native_recycle(struct engine_instance *instance);
void native_template_abandon(struct engine_template *tmpl);
int native_begin(struct engine_instance *instance, struct psb_error *err); /* limits are set: go */

/* finish.c */
void native_take_means(struct engine_instance *instance, const struct keeper_message *message,
		       int fds[READY_FDS]);
/* False when the keeper has to be asked: then nothing has been done. */
bool native_finish_here(struct engine_instance *instance);

/* plan.c */
void native_probe(const char *forced_rung, struct engine_probe *out);
int native_plan(struct plan *plan, struct psb_error *err);

#endif
