/*
 * The system-call policy as data, read by gen_filters.c at build time (never at run time).
 * Both programs of an execution come from this one table: the template's is an allowlist, the
 * instance's holds only the difference, so that the two can never drift apart. A call that is
 * refused by no row below falls to the default: EPERM, or ENOSYS for numbers newer than LAST_KNOWN
 * (libc then falls back to the older call).
 */
#ifndef PSB_JAIL_RULES_H
#define PSB_JAIL_RULES_H

#include <seccomp.h>
#include <stdint.h>

/* Patched at install time; chosen to be no flag, no descriptor and no possible pid. */
#define SENTINEL_PID 0x7eed5a01u
#define SENTINEL_FD 0x7eed5a02u

#define LAST_KNOWN 450 /* set_mempolicy_home_node */

enum rule_kind {
	RULE_ALLOW,  /* both */
	RULE_ZYGOTE, /* the template only: EPERM for the instance */
	RULE_FORK,   /* the instance gets EAGAIN unless it may fork */
	RULE_REPORT, /* the kill class: told to the keeper */
	RULE_ABSENT, /* ENOSYS: libc falls back */
	RULE_TRIM    /* allowed by the template; the instance gets `error` */
};

enum { ON_A = 1, ON_B = 2, ON_PLAIN = 4, ON_NS = ON_A | ON_B, ON_ALL = 7 };

#define RULE_ARGS 3

struct rule {
	const char *call;
	enum rule_kind kind;
	unsigned int rungs;
	unsigned int argc;
	int error; /* RULE_TRIM */
	struct scmp_arg_cmp args[RULE_ARGS];
};

#define LOW32 UINT64_C(0xffffffff)
#define EQ(n, v)                                                                                   \
	{                                                                                          \
		.arg = (n), .op = SCMP_CMP_EQ, .datum_a = (v)                                      \
	}
#define NE(n, v)                                                                                   \
	{                                                                                          \
		.arg = (n), .op = SCMP_CMP_NE, .datum_a = (v)                                      \
	}
#define LT(n, v)                                                                                   \
	{                                                                                          \
		.arg = (n), .op = SCMP_CMP_LT, .datum_a = (v)                                      \
	}
#define BITS(n, mask, v)                                                                           \
	{                                                                                          \
		.arg = (n), .op = SCMP_CMP_MASKED_EQ, .datum_a = (mask), .datum_b = (v)            \
	}
/* The kernel reads 32 bits of such an argument: rows that *refuse* must not see the other 32. */
#define INT(n, v) BITS(n, LOW32, v)
#define NONE_OF(n, bits) BITS(n, (uint64_t)(bits), 0)
#define ONLY(n, bits) BITS(n, ~(uint64_t)(bits), 0)

#define ALLOW1(c, a)                                                                               \
	{                                                                                          \
		c, RULE_ALLOW, ON_ALL, 1, 0,                                                       \
		{                                                                                  \
			a                                                                          \
		}                                                                                  \
	}
#define ALLOW2(c, a, b)                                                                            \
	{                                                                                          \
		c, RULE_ALLOW, ON_ALL, 2, 0,                                                       \
		{                                                                                  \
			a, b                                                                       \
		}                                                                                  \
	}
#define ALLOW3(c, a, b, d)                                                                         \
	{                                                                                          \
		c, RULE_ALLOW, ON_ALL, 3, 0,                                                       \
		{                                                                                  \
			a, b, d                                                                    \
		}                                                                                  \
	}
#define ZYGOTE1(c, a)                                                                              \
	{                                                                                          \
		c, RULE_ZYGOTE, ON_ALL, 1, 0,                                                      \
		{                                                                                  \
			a                                                                          \
		}                                                                                  \
	}
#define ON(rungs, kind, c)                                                                         \
	{                                                                                          \
		c, kind, rungs, 0, 0,                                                              \
		{                                                                                  \
			{                                                                          \
				0                                                                  \
			}                                                                          \
		}                                                                                  \
	}

/* Allowed whatever the arguments. */
static const char *const allow_calls[] = {
	"read",
	"write",
	"readv",
	"writev",
	"pread64",
	"pwrite64",
	"preadv",
	"pwritev",
	"preadv2",
	"pwritev2",
	"lseek",
	"close",
	"fstat",
	"stat",
	"lstat",
	"newfstatat",
	"statx",
	"access",
	"faccessat",
	"faccessat2",
	"readlink",
	"readlinkat",
	"getdents",
	"getdents64",
	"getcwd",
	"chdir",
	"fchdir",
	"statfs",
	"fstatfs",
	"umask",
	"dup",
	"dup2",
	"dup3",
	"pipe",
	"pipe2",
	"select",
	"pselect6",
	"poll",
	"ppoll",
	"epoll_create",
	"epoll_create1",
	"epoll_ctl",
	"epoll_wait",
	"epoll_pwait",
	"epoll_pwait2",
	"eventfd",
	"eventfd2",
	"timerfd_create",
	"timerfd_settime",
	"timerfd_gettime",
	"signalfd",
	"signalfd4",
	"copy_file_range",
	"sendfile",
	"mkdir",
	"mkdirat",
	"rmdir",
	"unlink",
	"unlinkat",
	"rename",
	"renameat",
	"renameat2",
	"link",
	"linkat",
	"symlink",
	"symlinkat",
	"chown",
	"fchown",
	"lchown",
	"fchownat",
	"utime",
	"utimes",
	"utimensat",
	"futimesat",
	"truncate",
	"ftruncate",
	"fallocate",
	"flock",
	"fsync",
	"fdatasync",
	"fadvise64",
	"readahead",
	"getxattr",
	"lgetxattr",
	"fgetxattr",
	"listxattr",
	"llistxattr",
	"flistxattr",
	"munmap",
	"mremap",
	"mprotect",
	"brk",
	"msync",
	"futex_waitv",
	"rseq",
	"membarrier",
	"set_robust_list",
	"set_tid_address",
	"arch_prctl",
	"restart_syscall",
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"rt_sigpending",
	"rt_sigtimedwait",
	"rt_sigsuspend",
	"sigaltstack",
	"pause",
	"alarm",
	"getitimer",
	"setitimer",
	"timer_create",
	"timer_settime",
	"timer_gettime",
	"timer_getoverrun",
	"timer_delete",
	"nanosleep",
	"clock_nanosleep",
	"clock_gettime",
	"clock_getres",
	"gettimeofday",
	"time",
	"times",
	"exit",
	"exit_group",
	"wait4",
	"waitid",
	"getpid",
	"getppid",
	"gettid",
	"getpgid",
	"getpgrp",
	"getsid",
	"getuid",
	"geteuid",
	"getgid",
	"getegid",
	"getresuid",
	"getresgid",
	"getgroups",
	"capget",
	"uname",
	"sysinfo",
	"getrusage",
	"getrlimit",
	"getcpu",
	"getrandom",
	"getpriority",
	"sched_yield",
	"sched_getaffinity",
	"sched_getscheduler",
	"sched_getparam",
	"sched_getattr",
	"sched_get_priority_max",
	"sched_get_priority_min",
	"sched_rr_get_interval",
	"shutdown",
	"getsockname",
	"getpeername",
	"close_range",
};

/* What no honest Python program calls: the keeper ends the execution and names the number. */
static const char *const report_calls[] = {
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"process_madvise",
	"kcmp",
	"bpf",
	"perf_event_open",
	"userfaultfd",
	"keyctl",
	"add_key",
	"request_key",
	"io_uring_setup",
	"io_uring_enter",
	"io_uring_register",
	"unshare",
	"pivot_root",
	"chroot",
	"move_mount",
	"open_tree",
	"fsopen",
	"fsmount",
	"fsconfig",
	"fspick",
	"mount_setattr",
	"kexec_load",
	"kexec_file_load",
	"init_module",
	"finit_module",
	"delete_module",
	"reboot",
	"swapon",
	"swapoff",
	"iopl",
	"ioperm",
	"modify_ldt",
	"open_by_handle_at",
	"name_to_handle_at",
	"pidfd_getfd",
	"pidfd_send_signal",
	"settimeofday",
	"clock_settime",
	"clock_adjtime",
	"adjtimex",
	"sethostname",
	"setdomainname",
	"acct",
	"quotactl",
	"quotactl_fd",
	"lookup_dcookie",
	"vhangup",
	"syslog",
};

/* Needed by the zygote, or by an instance until its own filter stands. */
static const char *const zygote_calls[] = {
	"execve",
	"execveat",
	"sendmsg",
	"recvmsg",
	"pidfd_open",
	"setsid",
	"setpgid",
	"setrlimit",
	"capset",
	"landlock_create_ruleset",
	"landlock_add_rule",
	"landlock_restrict_self",
};

#include "jail/rules_args.h"

#endif
