/*
 * The state of the guest kernel and what its parts offer each other.
 *
 * One kernel, one process, many threads, one vCPU. Nothing in here runs in parallel: a system call
 * runs to its end, or blocks. A call that blocks is not suspended but done again: its handler says
 * what it waits for (thread_wait) and returns BLOCKED; when that may have happened the scheduler
 * calls the handler once more with the same registers. Threads need no kernel stacks that way.
 */
#ifndef PSB_KERNEL_KERNEL_H
#define PSB_KERNEL_KERNEL_H

#include "../abi.h"
#include "../vdso/clock.h"
#include "../vfs/file.h"
#include "../vfs/vfs.h"
#include "mm.h"
#include "signal.h"

#define MAX_THREADS 256u
#define BLOCKED INT64_MIN /* not an errno: the scheduler goes to another thread */
#define PREEMPT_NS UINT64_C(4000000)
#define KERNEL_HEAP_BYTES (UINT64_C(8) << 20)
#define RESTART                                                                                    \
	512 /* -RESTART: interrupted, done again where the handler allows; never seen outside */

enum wait_kind {
	WAIT_NOTHING,
	WAIT_OBJECT, /* vfs notify() of this object */
	WAIT_ANY,    /* notify() of anything: poll and its like */
	WAIT_FUTEX,
	WAIT_TIME,   /* only the deadline */
	WAIT_SIGNAL, /* only a signal, or the deadline */
};

enum wake_reason { WAKE_NONE, WAKE_EVENT, WAKE_TIMEOUT, WAKE_SIGNAL };

struct thread {
	struct guest_registers regs;
	void *fpu; /* 64-byte aligned, in fpu_block */
	void *fpu_block;
	uint64_t fs_base;
	uint32_t tid;
	bool runnable;
	bool in_call; /* its registers are those of a system call that blocked */
	enum wait_kind wait;
	enum wake_reason woken;
	uint64_t wait_key;
	uint64_t wait_since;  /* a number that grows: who waited first */
	uint64_t deadline_ns; /* steady clock, NEVER_NS: none */
	bool has_deadline;    /* of this call; kept when it is done again */
	uint32_t futex_bits;
	uint64_t progress; /* bytes that a blocked transfer has done */
	struct signal_state signals;
	uint64_t clear_tid; /* address to clear and wake at exit, or 0 */
	uint64_t robust_list;
};

struct epoll;

struct kernel_random {
	uint32_t state[16];
	uint8_t block[64];
	uint32_t used; /* of block */
};

struct interval_timer {
	uint64_t next_ns; /* 0: off */
	uint64_t period_ns;
};

enum { TIMER_REAL, TIMER_VIRTUAL, TIMER_PROFILE, TIMER_COUNT };

struct kernel {
	struct thread *current;
	struct thread *threads[MAX_THREADS];
	uint32_t thread_count;
	uint32_t turn; /* index of the thread that ran last */
	uint32_t next_tid;
	uint32_t pid;
	uint64_t waits;   /* numbers wait_since */
	uint64_t idle_ns; /* waited for the host, since the run began */
	uint64_t started_ns;
	bool kicks_on;
	bool review_kicks;    /* somebody woke up, or a time was set */
	uint64_t last_record; /* in output; see host.c */
	uint64_t last_record_end;
	bool no_sigpipe; /* for the transfer that runs */
	uint32_t limits_hit;
	struct kernel_random random;
	struct signal_table signals;
	struct interval_timer timers[TIMER_COUNT];
	struct epoll *epolls; /* all, linked */
	const struct boot_info *boot;
	const struct run_info *run;
	uint64_t told_base_tsc;            /* of the clock that the VMM set last */
	uint64_t base_tsc;                 /* our counter at that moment */
	struct published_clock *published; /* for the vDSO, or NULL */
	uint64_t vdso;                     /* where it is mapped, or 0 */
	struct comm *comm;
	uint8_t *output;
	uint64_t generation;
	bool request_started;
	char name[16];
	uint32_t nice;
	uint64_t main_stack; /* an address in it */
	struct vfs vfs;
	struct fd_table fds;
	struct heap heap;
	struct mm mm;
};

/* -- cpu.c: the processor (tests have their own) -- */
void cpu_save_fpu(void *area, uint64_t mask);
void cpu_load_fpu(const void *area, uint64_t mask);
uint64_t cpu_fs_base(void);
void cpu_set_fs_base(uint64_t base);
uint64_t cpu_ticks(void);
/* entry.S, or the tests': a call of the host (enum host_call). */
int64_t host_call(uint64_t number, uint64_t a, uint64_t b, uint64_t c);

/* -- thread.c -- */
struct thread *thread_new(struct kernel *kernel);
void thread_free(struct kernel *kernel, struct thread *thread);
struct thread *thread_find(struct kernel *kernel, uint64_t tid);
/* The current thread waits; returns BLOCKED. A deadline given when the call is done again is
 * ignored: the first one holds. */
int64_t thread_wait(struct kernel *kernel, enum wait_kind kind, uint64_t key, uint64_t deadline_ns);
/* As above, for a read or write of a file that has nothing now. */
int64_t thread_wait_file(struct kernel *kernel, const struct file *file);
void thread_wake(struct thread *thread, enum wake_reason reason);
void threads_notify(struct kernel *kernel, const void *object);

/* -- sched.c -- */
/* Delivers signals, picks a thread, waits when there is none; the registers to resume. */
struct guest_registers *schedule(struct kernel *kernel);
void sched_kick(struct kernel *kernel); /* time may have passed */
void sched_switch(struct kernel *kernel, struct thread *to);

/* -- futex.c -- */
int64_t futex_wake(struct kernel *kernel, uint64_t address, uint32_t count, uint32_t bits);
void futex_exit(struct kernel *kernel, struct thread *thread); /* robust list, clear_tid */

/* -- user.c: memory of the program -- */
/* NULL: not all of it may be used so. prot is LX_PROT_READ or LX_PROT_WRITE. */
void *user_range(struct kernel *kernel, uint64_t address, uint64_t bytes, uint32_t prot);
uint64_t user_usable(struct kernel *kernel, uint64_t address, uint64_t bytes, uint32_t prot);
int user_get(struct kernel *kernel, void *to, uint64_t address, uint64_t bytes);
int user_put(struct kernel *kernel, uint64_t address, const void *from, uint64_t bytes);
/* A NUL-terminated string of less than bytes; -EFAULT or -ENAMETOOLONG. */
int user_get_string(struct kernel *kernel, char *to, uint64_t address, uint64_t bytes);

/* -- clock.c -- */
uint64_t clock_ns(struct kernel *kernel, enum clock_kind kind);
uint64_t clock_cpu_ns(struct kernel *kernel);
void clock_rebase(struct kernel *kernel); /* after a host call that may have set the clock */
void clock_publish(const struct kernel *kernel);
/* 0 or -EINVAL; ns are saturated. */
int clock_get_timespec(struct kernel *kernel, uint64_t address, uint64_t *ns);
/* NEVER_NS for address 0, else the steady moment so far from now. */
int clock_deadline(struct kernel *kernel, uint64_t address, uint64_t *deadline_ns);
int clock_put_timespec(struct kernel *kernel, uint64_t address, uint64_t ns);

/* -- random.c -- */
void random_seed(struct kernel_random *random, const uint8_t entropy[48]);
void random_fill(struct kernel_random *random, void *buffer, uint64_t bytes);

/* -- host.c: what goes to the host and comes from it; it also makes the vfs's host -- */
void host_connect(struct kernel *kernel);
int64_t host_output(void *kernel, uint32_t stream, const void *data, uint64_t bytes);
void host_wait(struct kernel *kernel, uint64_t ns);
void host_kicks(struct kernel *kernel, bool on);
__attribute__((noreturn)) void host_exit(struct kernel *kernel, enum exit_kind kind, uint64_t value,
					 uint64_t address);
__attribute__((noreturn)) void host_panic(const char *text);
void host_report(struct kernel *kernel); /* fills comm */

/* -- describe.c: texts of /proc -- */
uint64_t describe(void *kernel, const char *what, char *buffer, uint64_t bytes);

/* -- elf.c -- */
struct program {
	uint64_t entry;       /* of the program itself */
	uint64_t start;       /* where to begin: the interpreter's entry, or entry */
	uint64_t interp_base; /* 0: none */
	uint64_t headers;
	uint64_t header_count;
	uint64_t end; /* page after it */
	uint64_t text_start;
	uint64_t text_end; /* page of the first byte that may be written */
};
int elf_load(struct kernel *kernel, const char *path, struct program *program);

/* -- epoll.c -- */
void epoll_edge(struct kernel *kernel, const void *object); /* notify() of this object */
void epoll_forget(void *kernel, struct file *file);         /* no descriptor leads to it any more */

/* -- syscalls.c -- */
int64_t syscall_dispatch(struct kernel *kernel, struct guest_registers *regs);
/* What a transfer does when the file has nothing: waits, or not. */
static inline bool file_waits(const struct file *file)
{
	return !(file->flags & LX_O_NONBLOCK);
}

/* -- boot.c -- */
void kernel_setup(struct kernel *kernel, const struct boot_info *boot, const struct run_info *run,
		  struct comm *comm, uint8_t *output);
void kernel_new_run(struct kernel *kernel);
int kernel_mount_all(struct kernel *kernel, const void *image, uint64_t image_bytes);
int kernel_open_streams(struct kernel *kernel);

#endif
