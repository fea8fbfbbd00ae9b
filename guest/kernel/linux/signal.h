/*
 * Signals: state of the process and of a thread, and the frame that a handler runs on.
 */
#ifndef PSB_KERNEL_SIGNAL_H
#define PSB_KERNEL_SIGNAL_H

#include "../vfs/base.h"

#define SIGNALS 64u

enum {
	LX_SIGILL = 4,
	LX_SIGTRAP = 5,
	LX_SIGABRT = 6,
	LX_SIGBUS = 7,
	LX_SIGFPE = 8,
	LX_SIGKILL = 9,
	LX_SIGSEGV = 11,
	LX_SIGPIPE = 13,
	LX_SIGALRM = 14,
	LX_SIGCHLD = 17,
	LX_SIGCONT = 18,
	LX_SIGSTOP = 19,
	LX_SIGTSTP = 20,
	LX_SIGTTIN = 21,
	LX_SIGTTOU = 22,
	LX_SIGURG = 23,
	LX_SIGVTALRM = 26,
	LX_SIGPROF = 27,
	LX_SIGWINCH = 28,
};

enum {
	LX_SA_SIGINFO = 4,
	LX_SA_RESTORER = 0x04000000,
	LX_SA_ONSTACK = 0x08000000,
	LX_SA_RESTART = 0x10000000,
	LX_SA_NODEFER = 0x40000000,
};
#define LX_SA_RESETHAND UINT64_C(0x80000000)

enum { LX_SIG_DFL = 0, LX_SIG_IGN = 1 };
enum { LX_SI_USER = 0, LX_SI_KERNEL = 0x80, LX_SI_TKILL = -6 };
enum { LX_SS_ONSTACK = 1, LX_SS_DISABLE = 2 };

struct signal_action { /* Linux's struct kernel_sigaction */
	uint64_t handler;
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};

struct signal_cause {
	int32_t code;
	uint32_t pid;
	uint64_t address;
	uint64_t vector; /* processor exception, for the handler's context */
	uint64_t error;
};

struct signal_pending {
	uint64_t set;
	struct signal_cause causes[SIGNALS]; /* by number - 1 */
};

struct signal_stack {
	uint64_t base;
	uint32_t flags;
	uint32_t pad;
	uint64_t bytes;
};

struct signal_state { /* of a thread */
	uint64_t mask;
	uint64_t saved_mask; /* restored after the handler: rt_sigsuspend, ppoll … */
	bool restore_mask;
	struct signal_stack stack;
	struct signal_pending pending;
};

struct signal_table { /* of the process */
	struct signal_action actions[SIGNALS];
	struct signal_pending pending;
};

static inline uint64_t signal_bit(uint32_t number)
{
	return UINT64_C(1) << (number - 1);
}

struct kernel;
struct thread;
struct guest_registers;

/* thread NULL: to the process. */
void signal_send(struct kernel *kernel, struct thread *thread, uint32_t number,
		 struct signal_cause cause);
/* A fault of the current thread: delivered at once, or fatal where it cannot be. */
void signal_fault(struct kernel *kernel, uint32_t number, struct signal_cause cause);
/* Is there something that this thread would have to act upon? */
bool signal_waits_for(const struct kernel *kernel, const struct thread *thread);
/* Builds the frames of what is pending for the current thread, which is about to return to user
 * code; a fatal one ends the run. */
void signal_deliver(struct kernel *kernel);
int64_t signal_return(struct kernel *kernel); /* rt_sigreturn */
/* sigframe.c; false: no room on the stack */
bool sigframe_push(struct kernel *kernel, uint32_t number, const struct signal_action *action,
		   const struct signal_cause *cause, uint64_t mask);
/* Takes the mask of the running call until a handler has run or the call ends. */
void signal_borrow_mask(struct thread *thread, uint64_t mask);
void signal_unborrow_mask(struct thread *thread);

#endif
