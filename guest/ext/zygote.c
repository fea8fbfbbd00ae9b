/*
 * Theory of operation: the zygote is a CPython inside the template's cage. It waits on its control
 * socket; each spawn message makes one instance: on rungs A and B first a pid namespace with a tiny
 * init (a clone that shares our memory, runs on a static stack and only reaps), then the guest as
 * its second process, cloned with CLONE_PARENT so that the keeper, not we, is its parent. The guest
 * builds the inner cage, drops the last capabilities, installs the last filter and returns to
 * Python, which warms up, calls ready() and waits for its request. For a single use the zygote
 * becomes the guest itself: there is nothing that a copy would protect.
 * Trust: everything here runs before foreign code, except that .pth files and preloaded modules
 * have had their turn; the keeper therefore believes nothing but the kernel's word on who sent a
 * message. The control socket is closed before the first byte of a request is read.
 */
#include "huge_text.h"
#include "psb_ext.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ipc/fdpass.h"
#include "jail/jail.h"
#include "keeper/control.h"

#define SPAWN_FDS (SPAWN_PIPES + SPAWN_GROUPS)
#define INIT_STACK_BYTES 4096
#define WORK_ROOT "/sandbox"
#define OWN_INODES 4 /* root, workspace, tmp and the program's own file */

static struct hot_set hot_set; /* the keeper's, before instances are made */
static bool scout;
static bool populated;

bool psb_kept;

struct zygote {
	int self_pidfd;
	int ruleset;
	pid_t *tid_cache; /* glibc's copy of our thread id, or NULL */
};

/* One stack and message per slot: the init of a slot is dead before the slot is used again. */
static char init_stacks[KEEPER_MAX_SLOTS][INIT_STACK_BYTES] __attribute__((aligned(16)));
static struct spawn_reply init_replies[KEEPER_MAX_SLOTS];

static void reply(uint32_t type, uint32_t slot, const struct jail_fault *fault)
{
	struct spawn_reply message = {.type = type, .slot = slot};

	if (fault) {
		message.sys_errno = fault->sys_errno;
		memcpy(message.text, fault->step, sizeof(message.text));
	}
	if (write(PSB_CONTROL_FD, &message, sizeof(message)) < 0)
		_exit(1);
}

static void die(uint32_t slot, const struct jail_fault *fault)
{
	reply(SPAWN_FAILED, slot, fault);
	_exit(1);
}

/* Plain system calls only: this code shares the zygote's memory and thread pointer, so it must not
 * touch errno, malloc or anything of libc's. */
static inline long raw_syscall3(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

/* The init of an instance's pid namespace: says who it is, drops every descriptor, sleeps. SIGCHLD
 * is ignored (inherited), so orphans are reaped by the kernel. */
__attribute__((noreturn, no_stack_protector)) static void init_main(const struct spawn_reply *hello)
{
	(void)raw_syscall3(SYS_write, PSB_CONTROL_FD, (long)hello, sizeof(*hello));
	(void)raw_syscall3(SYS_close_range, 0, 0x7fffffff, 0);
	for (;;)
		(void)raw_syscall3(SYS_pause, 0, 0, 0);
}

/* clone(2) onto another stack. The child finds its argument in a callee-saved register. */
static long clone_init(const struct spawn_reply *hello, char *stack_top)
{
	register long r10 __asm__("r10") = 0;
	register long r8 __asm__("r8") = 0;
	long result;

	__asm__ volatile("mov %[arg], %%r12\n\t"
			 "syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%r12, %%rdi\n\t"
			 "call *%[entry]\n\t"
			 "ud2\n"
			 "1:"
			 : "=a"(result)
			 : "a"((long)SYS_clone), "D"(JAIL_CLONE_INIT_FLAGS), "S"(stack_top),
			   "d"(0L), "r"(r10), "r"(r8), [arg] "r"(hello), [entry] "b"(init_main)
			 : "rcx", "r11", "r12", "memory");
	if (result < 0) {
		errno = (int)-result;
		return -1;
	}
	return result;
}

/* Makes a pid namespace with an init and arranges for our next child to be born there. */
static int enter_new_pid_namespace(const struct spawn_message *message, pid_t *init,
				   struct jail_fault *fault)
{
	struct spawn_reply *hello = &init_replies[message->slot];
	char *top = init_stacks[message->slot] + INIT_STACK_BYTES;
	long pid;
	int pidfd;
	int rc;

	*hello = (struct spawn_reply){
		.type = SPAWN_INIT, .slot = message->slot, .generation = message->generation};
	pid = clone_init(hello, top);
	if (pid < 0)
		return jail_fail(fault, errno, "clone pid namespace");
	*init = (pid_t)pid;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return jail_fail(fault, errno, "pidfd_open of namespace init");
	rc = setns(pidfd, CLONE_NEWPID);
	if (rc < 0)
		(void)jail_fail(fault, errno, "setns to pid namespace");
	(void)close(pidfd);
	return rc;
}

/* glibc keeps the thread id in its thread descriptor, which a raw clone would leave stale: find it
 * by value in the descriptor's first KiB and let the kernel update it, as fork() does. */
static pid_t *find_tid_cache(void)
{
	pid_t *words = (pid_t *)(uintptr_t)pthread_self();
	pid_t tid = (pid_t)syscall(SYS_gettid);
	pid_t *found = NULL;

	if (tid < 2)
		return NULL;
	for (size_t i = 0; i < 1024 / sizeof(*words); i++) {
		if (words[i] != tid)
			continue;
		if (found)
			return NULL;
		found = &words[i];
	}
	return found;
}

static int receive_spawn(struct spawn_message *message, int fds[SPAWN_FDS])
{
	int count =
		fdpass_receive(PSB_CONTROL_FD, message, sizeof(*message), fds, SPAWN_FDS, 0, NULL);

	if (count == 1 && message->kind == SPAWN_HOT_SET)
		return 0;
	if (count < 0 || message->slot >= KEEPER_MAX_SLOTS ||
	    count != (int)(message->groups ? SPAWN_FDS : SPAWN_PIPES))
		return -1;
	return 0;
}

static void take_hot_set(int fd)
{
	if (pread(fd, &hot_set, sizeof(hot_set), 0) != (ssize_t)sizeof(hot_set) ||
	    hot_set.count > HOT_SPANS_MAX)
		hot_set.count = 0;
}

/* Touches what an instance will need, in bulk and before it is needed. False where there is no hot
 * set or the kernel is older than 5.14. */
static bool populate(void)
{
	bool works = hot_set.count > 0;

	for (uint32_t i = 0; i < hot_set.count && works; i++) {
		const struct hot_span *span = &hot_set.spans[i];

		/* A span may have been unmapped since. */
		if (madvise((void *)(uintptr_t)span->address, (size_t)span->pages * 4096,
			    (int)span->advice) < 0)
			works = errno != EINVAL;
	}
	return works;
}

/* Early, so that what is touched on the way to READY is in the set too. */
static void prepare_pages(const struct spawn_message *message, int request_fd)
{
	char go;

	scout = message->kind == SPAWN_SCOUT;
	if (!scout && !message->in_place)
		populated = populate();
	else if (scout && read(request_fd, &go, 1) != 1) /* the keeper has had its look */
		_exit(1);
}

PyObject *psb_is_populated(PyObject *module, PyObject *args)
{
	(void)module;
	(void)args;
	return PyBool_FromLong(populated);
}

PyObject *psb_is_scout(PyObject *module, PyObject *args)
{
	(void)module;
	(void)args;
	return PyBool_FromLong(scout);
}

/* HELLO carries the workspace's descriptor: the keeper can read it when the guest is dead. */
static int say_hello(uint32_t slot, int workspace_fd, struct jail_fault *fault)
{
	const struct spawn_reply message = {.type = SPAWN_HELLO, .slot = slot};
	int rc = fdpass_send(PSB_CONTROL_FD, &message, sizeof(message), &workspace_fd, 1);

	return rc < 0 ? jail_fail(fault, -rc, "send hello") : 0;
}

/* "0" is the writer: no lock against forks, no process id. */
static int enter_groups(const int fds[SPAWN_FDS], struct jail_fault *fault)
{
	for (size_t i = SPAWN_PIPES; i < SPAWN_FDS && fds[i] >= 0; i++)
		if (write(fds[i], "0", 1) != 1)
			return jail_fail(fault, errno, "enter control group %zu", i - SPAWN_PIPES);
	return 0;
}

static int take_identity(uint32_t uid, struct jail_fault *fault)
{
	if (uid == 0)
		return 0;
	if (syscall(SYS_setresgid, uid, uid, uid) < 0)
		return jail_fail(fault, errno, "setresgid to the slot's id");
	if (syscall(SYS_setresuid, uid, uid, uid) < 0)
		return jail_fail(fault, errno, "setresuid to the slot's id");
	return 0;
}

/* Returns the workspace's directory descriptor, cwd set to it. */
static int make_workspace(const struct spawn_message *message, struct jail_fault *fault)
{
	const char *root = message->workspace[0] ? message->workspace : WORK_ROOT;
	int fd;

	if (!message->workspace[0] &&
	    jail_tmpfs_mount(WORK_ROOT, message->workspace_bytes,
			     message->workspace_files + OWN_INODES, fault) < 0)
		return -1;
	if (chdir(root) < 0)
		return jail_fail(fault, errno, "chdir to the workspace");
	if ((mkdir("workspace", 0700) < 0 && errno != EEXIST) ||
	    (mkdir("tmp", 0700) < 0 && errno != EEXIST))
		return jail_fail(fault, errno, "mkdir in the workspace");
	if (chdir("workspace") < 0)
		return jail_fail(fault, errno, "chdir to the workspace");
	fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return jail_fail(fault, errno, "open the workspace");
	return fd;
}

static int place_fd(int from, int to, struct jail_fault *fault)
{
	if (from != to && dup2(from, to) < 0)
		return jail_fail(fault, errno, "dup2 to descriptor %d", to);
	return 0;
}

/* stdin stays the zygote's /dev/null; everything but the five known descriptors goes. */
static int place_descriptors(const int fds[SPAWN_FDS], struct jail_fault *fault)
{
	if (place_fd(fds[1], STDOUT_FILENO, fault) < 0 ||
	    place_fd(fds[2], STDERR_FILENO, fault) < 0 ||
	    place_fd(fds[3], PSB_RESULT_FD, fault) < 0 ||
	    place_fd(fds[0], PSB_REQUEST_FD, fault) < 0)
		return -1;
	if (syscall(SYS_close_range, 3, PSB_RESULT_FD - 1, 0) < 0 ||
	    syscall(SYS_close_range, PSB_CONTROL_FD + 1, ~0u, 0) < 0)
		return jail_fail(fault, errno, "close_range");
	return 0;
}

static int restrict_files(const struct zygote *zygote, const struct spawn_message *message,
			  struct jail_fault *fault)
{
	const struct jail_landlock_rule rules[] = {
		{.path = "/"},
		{.path = message->workspace, .writable = true},
	};
	int ruleset = zygote->ruleset;

	if (message->rung == RUNG_D || jail_landlock_abi() == 0)
		return 0;
	if (message->workspace[0])
		ruleset = jail_landlock_create(rules, 2, false, fault);
	if (ruleset < 0)
		return -1;
	return jail_landlock_restrict(ruleset, fault);
}

static int confine(const struct zygote *zygote, const struct spawn_message *message,
		   const int fds[SPAWN_FDS], struct jail_fault *fault)
{
	const struct jail_rlimits limits = {
		.file_size_bytes = message->workspace_bytes,
		.open_files = message->open_files,
		.processes = message->rung == RUNG_A ? 0 : message->processes,
	};
	int workspace_fd;

	(void)setpgid(0, 0);
	if (enter_groups(fds, fault) < 0 || take_identity(message->uid, fault) < 0)
		return -1;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a new identity has cleared it */
	workspace_fd = make_workspace(message, fault);
	if (workspace_fd < 0 || say_hello(message->slot, workspace_fd, fault) < 0)
		return -1;
	prepare_pages(message, fds[0]);
	if (restrict_files(zygote, message, fault) < 0 || place_descriptors(fds, fault) < 0 ||
	    jail_rlimits_apply(&limits, fault) < 0 || jail_caps_clear(fault) < 0)
		return -1;
	(void)signal(SIGCHLD, SIG_DFL);
	return jail_seccomp_instance((enum jail_rung)message->rung, message->allow_fork != 0,
				     getpid(), PSB_RESULT_FD, fault);
}

/* An init without a guest: the keeper takes our word for a failure to mean that there is none. */
static void end_init(pid_t init)
{
	if (init > 0)
		(void)kill(init, SIGKILL);
}

/* 0 in the instance, its pid in the zygote, -1 on failure. */
static long clone_guest(const struct zygote *zygote, const struct spawn_message *message,
			struct jail_fault *fault)
{
	bool namespaces = message->rung <= RUNG_B;
	unsigned long flags = namespaces ? JAIL_CLONE_GUEST_FLAGS : JAIL_CLONE_PLAIN_FLAGS;
	static pid_t spare_tid;
	pid_t *tid = zygote->tid_cache ? zygote->tid_cache : &spare_tid;
	pid_t init = 0;
	long pid;

	if (namespaces && enter_new_pid_namespace(message, &init, fault) < 0) {
		end_init(init);
		return -1;
	}
	pid = syscall(SYS_clone, flags, 0, 0, tid, 0);
	if (pid == 0)
		return 0;
	if (pid < 0) {
		(void)jail_fail(fault, errno, "clone guest");
		end_init(init);
	}
	if (namespaces && setns(zygote->self_pidfd, CLONE_NEWPID) < 0)
		_exit(1);
	return pid;
}

static int zygote_init(struct zygote *zygote, struct jail_fault *fault)
{
	const struct jail_landlock_rule rule = {.path = "/", .writable = true};
	struct rlimit stack;

	zygote->tid_cache = find_tid_cache();
	zygote->self_pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	zygote->ruleset = -1;
	if (jail_landlock_abi() > 0)
		zygote->ruleset = jail_landlock_create(&rule, 1, false, fault);
	(void)signal(SIGCHLD, SIG_IGN);
	(void)setsid();
	/* Threads took their 1 MiB default from the soft limit at exec; the main stack may grow. */
	if (getrlimit(RLIMIT_STACK, &stack) == 0) {
		stack.rlim_cur = stack.rlim_max < 8u << 20 ? stack.rlim_max : 8u << 20;
		(void)setrlimit(RLIMIT_STACK, &stack);
	}
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return jail_fail(fault, errno, "prctl PR_SET_DUMPABLE");
	return 0;
}

static void close_all(const int fds[SPAWN_FDS])
{
	for (size_t i = 0; i < SPAWN_FDS; i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
}

/* serve(single: bool) */
PyObject *psb_serve(PyObject *module, PyObject *args)
{
	struct zygote zygote;
	struct spawn_message message;
	struct jail_fault fault = {0};
	int fds[SPAWN_FDS];
	int single;
	long pid;

	(void)module;
	if (!PyArg_ParseTuple(args, "p", &single))
		return NULL;
	if (!single)
		(void)huge_text_adopt((const void *)(uintptr_t)PyEval_EvalCode);
	if (zygote_init(&zygote, &fault) < 0)
		die(KEEPER_MAX_SLOTS, &fault);
	for (;;) {
		if (receive_spawn(&message, fds) < 0)
			_exit(0);
		if (message.kind == SPAWN_HOT_SET) {
			take_hot_set(fds[0]);
			(void)close(fds[0]);
			continue;
		}
		if (message.in_place)
			break;
		PyOS_BeforeFork();
		pid = clone_guest(&zygote, &message, &fault);
		if (pid == 0)
			break;
		PyOS_AfterFork_Parent();
		close_all(fds);
		if (pid < 0)
			reply(SPAWN_FAILED, message.slot, &fault);
	}
	if (confine(&zygote, &message, fds, &fault) < 0)
		die(message.slot, &fault);
	psb_kept = true;
	if (!message.in_place)
		PyOS_AfterFork_Child();
	return PyLong_FromUnsignedLong(message.slot);
}

/* Where there is a keeper, the host ends an instance when it has the end frame, the keeper a scout when it says so. An exit
 * of our own would only start to tear this process down on the processor that the host needs for
 * the answer. */
void psb_await_stop(void)
{
	if (scout)
		reply(SPAWN_SCOUTED, 0, NULL);
	while (psb_kept)
		(void)pause();
}

/* Tells the keeper that the instance is warm. After this the guest holds no socket, unless it is a
 * scout, which runs nobody's program. */
PyObject *psb_ready(PyObject *module, PyObject *args)
{
	unsigned int slot;

	(void)module;
	if (!PyArg_ParseTuple(args, "I", &slot))
		return NULL;
	reply(SPAWN_READY, slot, NULL);
	if (!scout)
		(void)close(PSB_CONTROL_FD);
	Py_RETURN_NONE;
}
