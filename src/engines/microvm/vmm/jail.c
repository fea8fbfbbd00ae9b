/*
 * Theory of operation: a worker, and the process that boots an image, give up everything but
 * running their machine: no capability, no
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

/* `count` ioctls, by IF_EQUAL. */
#define PROGRAM(count, ...)                                                                        \
	{                                                                                          \
		LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0), KILL,    \
			LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 21, 0),           \
			IF_EQUAL(SYS_read), IF_EQUAL(SYS_write), IF_EQUAL(SYS_timer_settime),      \
			IF_EQUAL(SYS_rt_sigreturn), IF_EQUAL(SYS_clock_gettime),                   \
			IF_EQUAL(SYS_getrandom), IF_EQUAL(SYS_clock_nanosleep),                    \
			IF_EQUAL(SYS_exit_group), IF_EQUAL(SYS_restart_syscall),                   \
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0,                        \
				 2 * (count) + 5), /* madvise: MADV_DONTNEED only */               \
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARG_LOW(2)),                            \
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 4 /* MADV_DONTNEED */,                 \
				 2 * (count) + 2,                                                  \
				 2 * (count) + 3), /* ioctl: the numbers have no upper half */     \
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARG_LOW(1)), __VA_ARGS__, KILL, ALLOW,  \
			KILL,                                                                      \
	}

static const struct sock_filter filter[] =
	PROGRAM(10, IF_EQUAL(KVM_RUN), IF_EQUAL(KVM_GET_DIRTY_LOG), IF_EQUAL(KVM_CLEAR_DIRTY_LOG),
		IF_EQUAL(KVM_SET_XSAVE), IF_EQUAL(KVM_GET_MSRS), IF_EQUAL(KVM_GET_XCRS),
		IF_EQUAL(KVM_SET_DEBUGREGS), IF_EQUAL(KVM_SET_VCPU_EVENTS), IF_EQUAL(KVM_SET_REGS),
		IF_EQUAL(KVM_SET_SREGS));

/* Booting: runs, and reads the vCPU's state at the end. */
static const struct sock_filter boot_program[] =
	PROGRAM(9, IF_EQUAL(KVM_RUN), IF_EQUAL(KVM_GET_REGS), IF_EQUAL(KVM_GET_SREGS),
		IF_EQUAL(KVM_GET_VCPU_EVENTS), IF_EQUAL(KVM_GET_DEBUGREGS), IF_EQUAL(KVM_GET_XSAVE),
		IF_EQUAL(KVM_GET_XSAVE2), IF_EQUAL(KVM_GET_XCRS), IF_EQUAL(KVM_GET_MSRS));

const struct sock_filter *worker_filter(size_t *count)
{
	*count = sizeof(filter) / sizeof(filter[0]);
	return filter;
}

const struct sock_filter *boot_filter(size_t *count)
{
	*count = sizeof(boot_program) / sizeof(boot_program[0]);
	return boot_program;
}

static int install_filter(const struct sock_filter *code, size_t count, struct psb_error *err)
{
	struct sock_fprog program = {.len = (unsigned short)count};

	memcpy(&program.filter, &code, sizeof(code));
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: seccomp: %s", strerror(errno));
	return 0;
}

/* First away from the low numbers, over none that is open; then each to its own, so that all others
 * can be closed at once. */
static int close_others(int *const fds[], int count, struct psb_error *err)
{
	for (int i = 0; i < count; i++) {
		*fds[i] = fcntl(*fds[i], F_DUPFD_CLOEXEC, count);
		if (*fds[i] < 0)
			return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: dup: %s", strerror(errno));
	}
	for (int i = 0; i < count; i++) {
		if (dup3(*fds[i], i, O_CLOEXEC) < 0)
			return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: dup: %s", strerror(errno));
		*fds[i] = i;
	}
	if (syscall(SYS_close_range, (unsigned int)count, ~0u, 0) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: close_range: %s", strerror(errno));
	return 0;
}

static int give_up_rights(struct psb_error *err)
{
	const struct rlimit none = {0};
	struct jail_fault fault = {0};

	if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_FSIZE, &none) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: rlimits: %s", strerror(errno));
	if (jail_no_new_privs(&fault) < 0 || jail_caps_clear(&fault) < 0)
		return psb_fail(err, PSB_E_SYSTEM, fault.sys_errno, "vmm: %s: %s", fault.step,
				strerror(fault.sys_errno));
	return 0;
}

int worker_jail(struct worker *worker, struct psb_error *err)
{
	int *const fds[] = {&worker->command_fd, &worker->outbox.fd, &worker->machine.vm_fd,
			    &worker->machine.vcpu_fd, &worker->void_fd};
	size_t count;
	const struct sock_filter *code = worker_filter(&count);

	if (close_others(fds, sizeof(fds) / sizeof(fds[0]), err) < 0 || give_up_rights(err) < 0)
		return -1;
	return install_filter(code, count, err);
}

int boot_jail(struct machine *machine, int *report_fd, struct psb_error *err)
{
	int *const fds[] = {report_fd, &machine->vm_fd, &machine->vcpu_fd};
	size_t count;
	const struct sock_filter *code = boot_filter(&count);

	if (close_others(fds, sizeof(fds) / sizeof(fds[0]), err) < 0 || give_up_rights(err) < 0)
		return -1;
	return install_filter(code, count, err);
}
