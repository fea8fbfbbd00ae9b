/* The keeper's state: one per process, passed to every function. */
#ifndef PSB_KEEPER_H
#define PSB_KEEPER_H

#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroup/cgroup.h"
#include "jail/jail.h"
#include "keeper/control.h"

enum slot_state {
	SLOT_FREE,
	SLOT_SPAWNING, /* asked of the zygote, not ready yet */
	SLOT_READY,
	SLOT_RUNNING,
	SLOT_ENDED, /* evidence sent; perhaps not reaped yet */
};

struct slot {
	enum slot_state state;
	bool scout;       /* not the host's: scout.c */
	bool init_due;    /* A, B: the zygote was asked for an init, which has not spoken yet */
	bool ready_early; /* READY came before the init's word */
	bool released;    /* the host is done with it */
	bool killed;      /* we sent SIGKILL */
	bool reported;    /* KEEPER_ENDED went out */
	bool workspace_asked;
	pid_t init_pid;  /* pid namespace's init (A, B), 0 when reaped or none */
	pid_t guest_pid; /* 0 when reaped or not known yet */
	int workspace_fd;
	uint32_t generation;
	uint32_t pending_generation;
	bool has_pending; /* a prepare that came before the slot was free */
	int pending[HOST_FDS];
	struct slot_limits limits;
	struct evidence evidence;
	uint64_t start_us;
	uint64_t wall_deadline_us;
	uint64_t cpu_check_us;
	uint64_t workspace_check_us; /* rungs C and D, else never */
	uint64_t cpu_base_us;        /* rungs without control groups */
	uint64_t peak_base_bytes;
	struct cgroup_slot cgroup;
};

struct page_look;

struct scout {
	int fds[4];               /* our ends of its pipes */
	struct page_look *before; /* owned */
};

struct keeper {
	struct keeper_config config;
	enum jail_rung rung;
	bool is_root;
	bool template_failed;
	bool host_gone;
	bool placed; /* the zygote is in its control group: instances may be made */
	int host_fd;
	int host_pidfd;  /* -1 when the kernel has none */
	int zygote_fd;   /* control socket */
	int output_fd;   /* what the zygote prints before it runs instances: for error texts */
	int listener_fd; /* seccomp user notifications */
	int signal_fd;
	int timer_fd;
	int liveness_fd; /* write end; its closing tells the first process to end */
	pid_t builder_pid;
	pid_t zygote_pid;
	pid_t first_pid;         /* init of the template's pid namespace; janitor on C and D */
	uint32_t uid_base;       /* host ids base .. base+slots; 0 when not root */
	char workspace_root[64]; /* rungs C and D */
	char output[2048];
	size_t output_len;
	cpu_set_t processors;               /* those we may run on */
	int starts_fd;                      /* epoll over start_timers */
	int birthplaces[KEEPER_MAX_SLOTS];  /* processors for instances to get ready on, or -1 */
	int start_timers[KEEPER_MAX_SLOTS]; /* shared with the host; -1: none yet */
	bool counters_shared[KEEPER_MAX_SLOTS]; /* the host has the slot's counters */
	uint64_t armed_us;                      /* what timer_fd is set to, 0 = off */
	struct cgroup_tree cgroups;
	struct scout scout;
	struct slot slots[KEEPER_MAX_SLOTS];
};

static inline bool has_namespaces(const struct keeper *keeper)
{
	return keeper->rung <= RUNG_B;
}

static inline bool has_cgroups(const struct keeper *keeper)
{
	return keeper->rung == RUNG_A;
}

/* Its slot's group is made while the interpreter starts, and entered when it becomes the guest. */
static inline bool enters_late(const struct keeper *keeper)
{
	return has_cgroups(keeper) && keeper->config.single_use && !keeper->config.preload[0];
}

/* processors.c */
void slot_born_near(const struct keeper *keeper, uint32_t index); /* before it touches its pages */
void slot_let_go(const struct keeper *keeper, uint32_t index);    /* ... if the host cannot */
void slot_die_elsewhere(const struct keeper *keeper, const struct slot *slot);

/* template.c: the builder and what it needs from outside. Errors as text for the host. */
int template_start(struct keeper *keeper, char text[KEEPER_TEXT_BYTES]);
/* The rest of it, while the interpreter starts: earlier it would be in the way of the builder. */
int template_open_late(struct keeper *keeper, char text[KEEPER_TEXT_BYTES]);
/* root_fs.c: what the cage shows of the host. Opened with the caller's rights in the new mount
 * namespace, built with the guest's. */
void guest_root_open(const struct keeper_config *config);
int guest_root_enter(struct jail_fault *fault);
/* cage.c: the builder, the first process and the zygote up to its exec; never returns. */
struct cage_pipes {
	int control; /* becomes PSB_CONTROL_FD */
	int output;  /* becomes stdout and stderr */
	int sync_read;
	int sync_write;
	int liveness; /* read end: of the first process */
};
__attribute__((noreturn)) void cage_main(const struct keeper *keeper,
					 const struct cage_pipes *pipes);
/* workspace.c: the slots' directories on rungs C and D. */
int workspace_root_make(struct keeper *keeper);
int workspace_slot_make(struct keeper *keeper, uint32_t slot);
void workspace_tree_remove(int parent_fd, const char *name);
void workspace_sweep(const char *root);
/* workspace_check.c: what they hold while their guests run. */
bool workspace_is_over(const char *path, uint64_t max_files, uint64_t max_bytes);
uint64_t workspace_first_check_us(const struct keeper *keeper, uint64_t start_us);
void workspace_check(const struct keeper *keeper, struct slot *slot); /* fills the evidence */

/* slots.c: the life of an instance. */
int slot_open_cgroup(struct keeper *keeper, uint32_t index);
void slots_place_zygote(struct keeper *keeper);
void slots_serve(struct keeper *keeper); /* from now on instances are made when asked for */
int slot_spawn(struct keeper *keeper, uint32_t index, const int fds[4]); /* 0 or -errno */
void slot_prepare(struct keeper *keeper, uint32_t index, uint32_t generation,
		  const int fds[HOST_FDS]);
/* READY: its request has begun. */
void slot_begin(const struct keeper *keeper, struct slot *slot, uint64_t start_us);
void slot_arm(struct keeper *keeper, uint32_t index, const struct slot_limits *limits);
void slot_stop(struct keeper *keeper, uint32_t index);
void slot_finish(struct keeper *keeper, uint32_t index);
void slot_release(struct keeper *keeper, uint32_t index);
void slot_send_workspace(struct keeper *keeper, uint32_t index);
void slots_first_seen(struct keeper *keeper);
void slot_hello(struct keeper *keeper, uint32_t index, pid_t pid, int workspace_fd);
void slot_init_seen(struct keeper *keeper, uint32_t index, uint32_t generation, pid_t pid);
void slot_ready(struct keeper *keeper, uint32_t index);
void slot_spawn_failed(struct keeper *keeper, uint32_t index, const char *text);
void slot_kill(struct slot *slot);
void slot_denied(struct slot *slot, const struct seccomp_data *call);
bool is_own_child(pid_t pid);
struct slot *slot_of_task(struct keeper *keeper, pid_t tid);
bool slot_reaped(struct keeper *keeper, pid_t pid, int code, int status, uint64_t cpu_us,
		 uint64_t peak_bytes);

/* offer.c: READY, with the means to end a finished run. */
void slot_offer(struct keeper *keeper, uint32_t index);

/* starts.c: the host's word that a request begins, without a message. */
int starts_open(struct keeper *keeper);
void start_timer_take(struct keeper *keeper, uint32_t index, int *fd);
int start_timer_reset(struct keeper *keeper, uint32_t index);
void slot_catch_up(struct keeper *keeper, uint32_t index); /* begun, unknown to us so far? */
void starts_turn(struct keeper *keeper);

/* scout.c: learns what a request touches. False when there is none to wait for. */
bool scout_begin(struct keeper *keeper);
void scout_hello(struct keeper *keeper);
void scout_ready(struct keeper *keeper);
void scout_done(struct keeper *keeper, pid_t sender);
void scout_over(struct keeper *keeper); /* it has been reaped */

/* slot_limits.c */
int slot_limits_set(struct keeper *keeper, struct slot *slot); /* slot->limits; 0 or -errno */
/* RLIMIT_NPROC for one instance that may have so many processes and threads. */
uint64_t slot_process_rlimit(const struct keeper *keeper, uint64_t processes);

/* timers.c */
void timers_turn(struct keeper *keeper);
void timers_arm(struct keeper *keeper);
uint64_t slot_cpu_us(const struct keeper *keeper, const struct slot *slot);

/* notify.c */
void notification_turn(struct keeper *keeper);

/* messages.c */
void host_send(struct keeper *keeper, const struct keeper_message *message, const int *fds,
	       size_t count);
void host_fail_template(struct keeper *keeper, const char *text);
int spawn_send(struct keeper *keeper, const struct spawn_message *message, const int *fds,
	       size_t count);

#endif
