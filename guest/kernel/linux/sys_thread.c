/*
 * Threads by system call: clone, exit, and what describes one.
 *
 * Trust boundary: flags and addresses are the program's. Only what pthread_create asks for is made;
 * whatever would be another process is refused with EAGAIN, as by a process limit.
 */
#include "syscalls.h"

enum {
	CLONE_VM = 0x100,
	CLONE_FS = 0x200,
	CLONE_FILES = 0x400,
	CLONE_SIGHAND = 0x800,
	CLONE_THREAD = 0x10000,
	CLONE_SETTLS = 0x80000,
	CLONE_PARENT_SETTID = 0x100000,
	CLONE_CHILD_CLEARTID = 0x200000,
	CLONE_CHILD_SETTID = 0x1000000,
};

#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define NAMESPACE_FLAGS 0x7e020080u
#define ARCH_SET_FS 0x1002u
#define ARCH_GET_FS 0x1003u
#define PR_SET_NAME 15u
#define PR_GET_NAME 16u
#define PR_GET_DUMPABLE 3u
#define PR_SET_DUMPABLE 4u
#define PR_SET_PDEATHSIG 1u
#define PR_SET_NO_NEW_PRIVS 38u
#define PR_GET_NO_NEW_PRIVS 39u

struct clone_request {
	uint64_t flags;
	uint64_t stack; /* its top */
	uint64_t tls;
	uint64_t parent_tid;
	uint64_t child_tid;
};

static int64_t too_many(struct kernel *kernel)
{
	kernel->limits_hit |= COMM_LIMIT_PROCESSES;
	return -EAGAIN;
}

static bool may_add_thread(const struct kernel *kernel)
{
	return kernel->thread_count < MAX_THREADS &&
	       (kernel->run->max_threads == 0 || kernel->thread_count < kernel->run->max_threads);
}

static void set_up_thread(struct kernel *kernel, struct thread *thread,
			  const struct clone_request *request)
{
	const struct thread *parent = kernel->current;

	thread->regs = parent->regs;
	thread->regs.rax = 0;
	thread->regs.orig_rax = UINT64_MAX;
	thread->regs.rsp = request->stack ? request->stack : parent->regs.rsp;
	thread->fs_base = request->flags & CLONE_SETTLS ? request->tls : cpu_fs_base();
	thread->signals.mask =
		parent->signals.restore_mask ? parent->signals.saved_mask : parent->signals.mask;
	cpu_save_fpu(thread->fpu, kernel->boot->xsave_mask);
	thread->runnable = true;
}

static int64_t clone_thread(struct kernel *kernel, const struct clone_request *request)
{
	struct thread *thread;
	uint32_t tid;

	if ((request->flags & THREAD_FLAGS) != THREAD_FLAGS)
		return request->flags & NAMESPACE_FLAGS ? -EPERM : -EAGAIN;
	if (!may_add_thread(kernel))
		return too_many(kernel);
	thread = thread_new(kernel);
	if (!thread)
		return -EAGAIN;
	tid = thread->tid;
	set_up_thread(kernel, thread, request);
	if (request->flags & CLONE_CHILD_CLEARTID)
		thread->clear_tid = request->child_tid;
	if (((request->flags & CLONE_PARENT_SETTID) &&
	     user_put(kernel, request->parent_tid, &tid, sizeof(tid))) ||
	    ((request->flags & CLONE_CHILD_SETTID) &&
	     user_put(kernel, request->child_tid, &tid, sizeof(tid)))) {
		thread_free(kernel, thread);
		return -EFAULT;
	}
	kernel->review_kicks = true;
	return tid;
}

int64_t sys_clone(struct kernel *kernel, const struct call *call)
{
	struct clone_request request = {
		.flags = call->a,
		.stack = call->b,
		.parent_tid = call->c,
		.child_tid = call->d,
		.tls = call->e,
	};

	return clone_thread(kernel, &request);
}

struct clone3_arguments {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_bytes, tls;
};

int64_t sys_clone3(struct kernel *kernel, const struct call *call)
{
	struct clone3_arguments given;
	struct clone_request request;

	if (call->b < sizeof(given))
		return -EINVAL;
	if (user_get(kernel, &given, call->a, sizeof(given)))
		return -EFAULT;
	request = (struct clone_request){
		.flags = given.flags,
		.stack = given.stack + given.stack_bytes,
		.parent_tid = given.parent_tid,
		.child_tid = given.child_tid,
		.tls = given.tls,
	};
	return clone_thread(kernel, &request);
}

/* Never a limit that was hit: there is one process, whatever the policy says. */
int64_t sys_fork(struct kernel *kernel, const struct call *call)
{
	(void)kernel, (void)call;
	return -EAGAIN;
}

int64_t sys_exit(struct kernel *kernel, const struct call *call)
{
	struct thread *thread = kernel->current;

	if (kernel->thread_count == 1)
		host_exit(kernel, EXIT_CODE, call->a & 0xff, 0);
	futex_exit(kernel, thread);
	thread_free(kernel, thread);
	return BLOCKED;
}

int64_t sys_exit_group(struct kernel *kernel, const struct call *call)
{
	host_exit(kernel, EXIT_CODE, call->a & 0xff, 0);
}

int64_t sys_set_tid_address(struct kernel *kernel, const struct call *call)
{
	kernel->current->clear_tid = call->a;
	return kernel->current->tid;
}

int64_t sys_set_robust_list(struct kernel *kernel, const struct call *call)
{
	if (call->b != 24)
		return -EINVAL;
	kernel->current->robust_list = call->a;
	return 0;
}

int64_t sys_arch_prctl(struct kernel *kernel, const struct call *call)
{
	uint64_t base;

	switch ((uint32_t)call->a) {
	case ARCH_SET_FS:
		if (call->b >> 47)
			return -EPERM;
		cpu_set_fs_base(call->b);
		return 0;
	case ARCH_GET_FS:
		base = cpu_fs_base();
		return user_put(kernel, call->b, &base, sizeof(base));
	default: return -EINVAL;
	}
}

int64_t sys_prctl(struct kernel *kernel, const struct call *call)
{
	char name[sizeof(kernel->name)] = {0};
	uint64_t usable;

	switch ((uint32_t)call->a) {
	case PR_SET_NAME:
		usable = user_usable(kernel, call->b, sizeof(name) - 1, LX_PROT_READ);
		for (uint64_t i = 0; i < usable; i++) {
			name[i] = ((const char *)pointer_of(call->b))[i];
			if (!name[i])
				break;
		}
		memcpy(kernel->name, name, sizeof(name));
		return 0;
	case PR_GET_NAME: return user_put(kernel, call->b, kernel->name, sizeof(kernel->name));
	case PR_GET_DUMPABLE:
	case PR_SET_DUMPABLE:
	case PR_SET_PDEATHSIG: return 0;
	case PR_SET_NO_NEW_PRIVS: return call->b == 1 ? 0 : -EINVAL;
	case PR_GET_NO_NEW_PRIVS: return 1;
	default: return -EINVAL;
	}
}

int64_t sys_sched_yield(struct kernel *kernel, const struct call *call)
{
	(void)call;
	/* Looked at before the return to user code: it is somebody else's turn. */
	kernel->comm->kick_pending = kernel->thread_count > 1;
	return 0;
}

int64_t sys_sched_getaffinity(struct kernel *kernel, const struct call *call)
{
	uint64_t mask = 1;

	if (call->b < sizeof(mask) || call->b % sizeof(mask))
		return -EINVAL;
	return user_put(kernel, call->c, &mask, sizeof(mask)) ? -EFAULT : (int64_t)sizeof(mask);
}

int64_t sys_sched_setaffinity(struct kernel *kernel, const struct call *call)
{
	uint64_t mask;

	if (call->a != 0 && !thread_find(kernel, call->a))
		return -EPERM;
	if (call->b < sizeof(mask) || user_get(kernel, &mask, call->c, sizeof(mask)))
		return -EINVAL;
	return mask & 1 ? 0 : -EINVAL;
}

int64_t sys_sched_getscheduler(struct kernel *kernel, const struct call *call)
{
	(void)kernel;
	return (int32_t)call->a < 0 ? -EINVAL : 0;
}

int64_t sys_sched_getparam(struct kernel *kernel, const struct call *call)
{
	int32_t priority = 0;

	return user_put(kernel, call->b, &priority, sizeof(priority));
}

int64_t sys_sched_priority(struct kernel *kernel, const struct call *call)
{
	(void)kernel;
	return call->a <= 6 ? (call->a == 1 || call->a == 2) : -EINVAL;
}

int64_t sys_getcpu(struct kernel *kernel, const struct call *call)
{
	uint32_t zero = 0;

	if ((call->a && user_put(kernel, call->a, &zero, sizeof(zero))) ||
	    (call->b && user_put(kernel, call->b, &zero, sizeof(zero))))
		return -EFAULT;
	return 0;
}

int64_t sys_getpid(struct kernel *kernel, const struct call *call)
{
	(void)call;
	return kernel->pid;
}

int64_t sys_gettid(struct kernel *kernel, const struct call *call)
{
	(void)call;
	return kernel->current->tid;
}
