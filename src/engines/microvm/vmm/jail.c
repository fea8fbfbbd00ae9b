/*
 * Theory of operation: the worker gives up everything but running its machine: no capability, no
 * new privilege, no descriptor but its pipes and its machine, and a seccomp filter that leaves the
 * calls below; of KVM's ioctls only those that run, read and restore a vCPU. No memory can be mapped,
 * no file opened, no process made, nothing signalled. A forbidden call kills the process.
 * Trust boundary: this is the second wall. It assumes that the guest has taken over this process.
 */
#include "jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/error.h"
#include "jail/jail.h"

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define KILL BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
/* Two instructions each: equal is allowed, else the next is asked. */
#define IF_EQUAL(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, 1), ALLOW
#define ARG_LOW(index) offsetof(struct seccomp_data, args[index])

static const struct sock_filter filter[] = {
	LOAD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
	KILL,
	LOAD(nr),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 21, 0),
	IF_EQUAL(SYS_read),
	IF_EQUAL(SYS_write),
	IF_EQUAL(SYS_timer_settime),
	IF_EQUAL(SYS_rt_sigreturn),
	IF_EQUAL(SYS_clock_gettime),
	IF_EQUAL(SYS_getrandom),
	IF_EQUAL(SYS_clock_nanosleep),
	IF_EQUAL(SYS_exit_group),
	IF_EQUAL(SYS_restart_syscall),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 23),
	/* madvise: MADV_DONTNEED only */
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARG_LOW(2)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 4 /* MADV_DONTNEED */, 20, 21),
	/* ioctl: the numbers have no upper half */
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARG_LOW(1)),
	IF_EQUAL(KVM_RUN),
	IF_EQUAL(KVM_GET_DIRTY_LOG),
	IF_EQUAL(KVM_CLEAR_DIRTY_LOG),
	IF_EQUAL(KVM_SET_XSAVE),
	IF_EQUAL(KVM_SET_MSRS),
	IF_EQUAL(KVM_SET_DEBUGREGS),
	IF_EQUAL(KVM_SET_VCPU_EVENTS),
	IF_EQUAL(KVM_SET_REGS),
	IF_EQUAL(KVM_SET_SREGS),
	KILL,
	ALLOW,
	KILL,
};

const struct sock_filter *worker_filter(size_t *count)
{
	*count = sizeof(filter) / sizeof(filter[0]);
	return filter;
}

static int install_filter(struct psb_error *err)
{
	struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0])};
	const struct sock_filter *code = filter;

	memcpy(&program.filter, &code, sizeof(code));
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: seccomp: %s", strerror(errno));
	return 0;
}

/* Moves a descriptor to a fixed place, so that all others can be closed at once. */
static int place(int *fd, int at, struct psb_error *err)
{
	if (*fd == at)
		return 0;
	if (dup3(*fd, at, O_CLOEXEC) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: dup: %s", strerror(errno));
	*fd = at;
	return 0;
}

static int close_others(struct worker *worker, struct psb_error *err)
{
	int *fds[] = {&worker->command_fd, &worker->outbox.fd, &worker->machine.vm_fd,
		      &worker->machine.vcpu_fd, &worker->void_fd};
	const int count = (int)(sizeof(fds) / sizeof(fds[0]));
	const int high = 100; /* above all that are open: nothing is overwritten */

	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < count; i++)
			if (place(fds[i], pass == 0 ? high + i : i, err) < 0)
				return -1;
	if (syscall(SYS_close_range, (unsigned int)count, ~0u, 0) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: close_range: %s", strerror(errno));
	return 0;
}

int worker_jail(struct worker *worker, struct psb_error *err)
{
	const struct rlimit none = {0};
	struct jail_fault fault = {0};

	if (close_others(worker, err) < 0)
		return -1;
	if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_FSIZE, &none) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: rlimits: %s", strerror(errno));
	if (jail_no_new_privs(&fault) < 0 || jail_caps_clear(&fault) < 0)
		return psb_fail(err, PSB_E_SYSTEM, fault.sys_errno, "vmm: %s: %s", fault.step,
				strerror(fault.sys_errno));
	return install_filter(err);
}
