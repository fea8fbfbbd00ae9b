/*
 * What is left to a worker, and to the process that boots an image: the filter is installed in a
 * child, which then tries. A call that is not on the list ends the process; those that the worker lives
 * on do not.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engines/microvm/vmm/jail.h"

struct attempt {
	const char *what;
	long number;
	long args[6];
	bool allowed;
};

/* KVM's numbers on a descriptor that is no machine: what counts is that they get as far as that. */
static const struct attempt attempts[] = {
	{"read", SYS_read, {-1}, true},
	{"write", SYS_write, {-1}, true},
	{"getrandom", SYS_getrandom, {0, 0}, true},
	{"KVM_RUN", SYS_ioctl, {-1, KVM_RUN}, true},
	{"KVM_GET_DIRTY_LOG", SYS_ioctl, {-1, KVM_GET_DIRTY_LOG}, true},
	{"KVM_CLEAR_DIRTY_LOG", SYS_ioctl, {-1, (long)KVM_CLEAR_DIRTY_LOG}, true},
	{"KVM_SET_XSAVE", SYS_ioctl, {-1, KVM_SET_XSAVE}, true},
	{"KVM_GET_MSRS", SYS_ioctl, {-1, (long)KVM_GET_MSRS}, true},
	{"KVM_GET_XCRS", SYS_ioctl, {-1, (long)KVM_GET_XCRS}, true},
	{"KVM_SET_VCPU_EVENTS", SYS_ioctl, {-1, KVM_SET_VCPU_EVENTS}, true},
	{"KVM_SET_SREGS", SYS_ioctl, {-1, KVM_SET_SREGS}, true},
	{"KVM_SET_MSRS", SYS_ioctl, {-1, KVM_SET_MSRS}, false},
	{"KVM_SET_CPUID2", SYS_ioctl, {-1, KVM_SET_CPUID2}, false},
	{"KVM_X86_SET_MSR_FILTER", SYS_ioctl, {-1, KVM_X86_SET_MSR_FILTER}, false},
	{"madvise DONTNEED", SYS_madvise, {0, 0, MADV_DONTNEED}, true},
	{"KVM_CREATE_VM", SYS_ioctl, {-1, KVM_CREATE_VM}, false},
	{"KVM_CREATE_VCPU", SYS_ioctl, {-1, KVM_CREATE_VCPU}, false},
	{"KVM_SET_USER_MEMORY_REGION", SYS_ioctl, {-1, KVM_SET_USER_MEMORY_REGION}, false},
	{"KVM_CREATE_DEVICE", SYS_ioctl, {-1, (long)KVM_CREATE_DEVICE}, false},
	{"KVM_IRQFD", SYS_ioctl, {-1, KVM_IRQFD}, false},
	{"KVM_ENABLE_CAP", SYS_ioctl, {-1, KVM_ENABLE_CAP}, false},
	{"TIOCSTI", SYS_ioctl, {0, 0x5412}, false},
	{"open", SYS_open, {(long)"/etc/passwd"}, false},
	{"openat", SYS_openat, {AT_FDCWD, (long)"/etc/passwd"}, false},
	{"mmap", SYS_mmap, {0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}, false},
	{"mprotect", SYS_mprotect, {0, 0, PROT_EXEC}, false},
	{"madvise FREE", SYS_madvise, {0, 0, MADV_FREE}, false},
	{"socket", SYS_socket, {AF_INET, SOCK_STREAM}, false},
	{"fork", SYS_fork, {0}, false},
	{"clone", SYS_clone, {SIGCHLD}, false},
	{"execve", SYS_execve, {(long)"/bin/true"}, false},
	{"kill", SYS_kill, {1, 0}, false},
	{"ptrace", SYS_ptrace, {0}, false},
	{"process_vm_readv", SYS_process_vm_readv, {1}, false},
	{"sendmsg", SYS_sendmsg, {0}, false},
	{"dup", SYS_dup, {0}, false},
	{"unshare", SYS_unshare, {0}, false},
	{"io_uring_setup", 425, {1}, false},
	{"x32 read", 0x40000000, {-1}, false},
};

static const struct attempt boot_attempts[] = {
	{"write", SYS_write, {-1}, true},
	{"KVM_RUN", SYS_ioctl, {-1, KVM_RUN}, true},
	{"KVM_GET_REGS", SYS_ioctl, {-1, (long)KVM_GET_REGS}, true},
	{"KVM_GET_SREGS", SYS_ioctl, {-1, (long)KVM_GET_SREGS}, true},
	{"KVM_GET_XSAVE", SYS_ioctl, {-1, (long)KVM_GET_XSAVE}, true},
	{"KVM_GET_XSAVE2", SYS_ioctl, {-1, (long)KVM_GET_XSAVE2}, true},
	{"KVM_GET_MSRS", SYS_ioctl, {-1, (long)KVM_GET_MSRS}, true},
	{"KVM_SET_MSRS", SYS_ioctl, {-1, KVM_SET_MSRS}, false},
	{"KVM_SET_REGS", SYS_ioctl, {-1, KVM_SET_REGS}, false},
	{"KVM_CREATE_VM", SYS_ioctl, {-1, KVM_CREATE_VM}, false},
	{"KVM_SET_USER_MEMORY_REGION", SYS_ioctl, {-1, KVM_SET_USER_MEMORY_REGION}, false},
	{"pwrite64", SYS_pwrite64, {-1}, false},
	{"ftruncate", SYS_ftruncate, {-1}, false},
	{"openat", SYS_openat, {AT_FDCWD, (long)"/etc/passwd"}, false},
	{"mmap", SYS_mmap, {0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}, false},
	{"socket", SYS_socket, {AF_INET, SOCK_STREAM}, false},
	{"fork", SYS_fork, {0}, false},
	{"execve", SYS_execve, {(long)"/bin/true"}, false},
	{"kill", SYS_kill, {1, 0}, false},
	{"madvise FREE", SYS_madvise, {0, 0, MADV_FREE}, false},
};

typedef const struct sock_filter *(*filter_fn)(size_t *count);

static void install(filter_fn filter)
{
	struct sock_fprog program = {0};
	size_t count;
	const struct sock_filter *code = filter(&count);

	program.len = (unsigned short)count;
	memcpy(&program.filter, &code, sizeof(code));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		_exit(99);
}

/* The signal that ended it, 0 if it went on. */
static int attempt_in_child(const struct attempt *attempt, filter_fn filter)
{
	const long *args = attempt->args;
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		install(filter);
		(void)syscall(attempt->number, args[0], args[1], args[2], args[3], args[4],
			      args[5]);
		_exit(42);
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
	if (WIFSIGNALED(status))
		return WTERMSIG(status);
	assert_int_equal(WEXITSTATUS(status), 42);
	return 0;
}

static void try_all(const struct attempt *list, size_t count, filter_fn filter)
{
	for (size_t i = 0; i < count; i++) {
		int number = attempt_in_child(&list[i], filter);

		if (number != (list[i].allowed ? 0 : SIGSYS))
			fail_msg("%s: ended by signal %d", list[i].what, number);
	}
}

static void only_the_list_is_left_to_a_worker(void **state)
{
	(void)state;
	try_all(attempts, sizeof(attempts) / sizeof(attempts[0]), worker_filter);
}

static void less_is_left_while_an_image_boots(void **state)
{
	(void)state;
	try_all(boot_attempts, sizeof(boot_attempts) / sizeof(boot_attempts[0]), boot_filter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_list_is_left_to_a_worker),
		cmocka_unit_test(less_is_left_while_an_image_boots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
