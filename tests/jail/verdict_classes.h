/*
 * The verdicts by number, written down apart from src/jail/rules.h: a change of the policy has to
 * be made, and meant, twice. What no list names is refused with EPERM, and with ENOSYS above 450.
 */
#ifndef PSB_TEST_VERDICT_CLASSES_H
#define PSB_TEST_VERDICT_CLASSES_H

static const char allowed_always[] =
	/* data */
	" read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek sendfile"
	" copy_file_range pipe pipe2 dup select pselect6 poll ppoll epoll_create"
	" epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd eventfd2"
	" timerfd_create timerfd_settime timerfd_gettime signalfd signalfd4 shutdown getsockname"
	" getpeername"
	/* files */
	" stat fstat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat"
	" getdents getdents64 getcwd chdir fchdir statfs fstatfs umask mkdir mkdirat rmdir unlink"
	" unlinkat rename renameat renameat2 link linkat symlink symlinkat"
	" truncate ftruncate fallocate flock fsync"
	" fdatasync fadvise64 readahead getxattr lgetxattr fgetxattr listxattr llistxattr "
	"flistxattr"
	/* memory and threads */
	" munmap mremap mprotect brk msync futex_waitv rseq membarrier set_robust_list"
	" set_tid_address arch_prctl restart_syscall exit exit_group wait4 waitid"
	/* signals and time */
	" rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend"
	" sigaltstack pause alarm getitimer setitimer timer_create timer_settime timer_gettime"
	" timer_getoverrun timer_delete nanosleep clock_nanosleep clock_gettime clock_getres"
	" gettimeofday time times"
	/* questions */
	" getpid getppid gettid getpgid getpgrp getsid getuid geteuid getgid getegid getresuid"
	" getresgid getgroups capget uname sysinfo getrusage getrlimit getcpu getrandom getpriority"
	" sched_yield sched_getaffinity sched_getscheduler sched_getparam sched_getattr"
	" sched_get_priority_max sched_get_priority_min sched_rr_get_interval ";

static const char reported_always[] =
	" ptrace process_vm_readv process_vm_writev process_madvise kcmp bpf perf_event_open"
	" userfaultfd keyctl add_key request_key io_uring_setup io_uring_enter io_uring_register"
	" unshare pivot_root chroot move_mount open_tree fsopen fsmount fsconfig fspick"
	" mount_setattr kexec_load kexec_file_load init_module finit_module delete_module reboot"
	" swapon swapoff iopl ioperm modify_ldt open_by_handle_at name_to_handle_at pidfd_getfd"
	" pidfd_send_signal settimeofday clock_settime clock_adjtime adjtimex sethostname"
	" setdomainname acct quotactl quotactl_fd lookup_dcookie vhangup syslog ";

static const char zygote_only[] =
	" execve execveat sendmsg recvmsg pidfd_open setsid setpgid setrlimit capset"
	" landlock_create_ruleset landlock_add_rule landlock_restrict_self ";

/* ... and only where there are namespaces; elsewhere EPERM, or reported. */
static const char zygote_of_namespaces[] = " setresuid setresgid setgroups ";
static const char namespaces_only[] = " tkill rt_sigqueueinfo rt_tgsigqueueinfo ";
static const char forks[] = " fork vfork ";
static const char absent_always[] = " clone3 openat2 ";

/* Judged by rows with arguments in test_verdicts.c. */
static const char by_argument[] =
	" clone setns mount umount2 seccomp kill tgkill prlimit64 close dup2 dup3 fcntl close_range"
	" open openat creat chmod fchmod fchmodat mknod mknodat ioctl socketpair sendto recvfrom"
	" getsockopt mmap memfd_create madvise futex personality prctl"
	" chown fchown lchown fchownat utime utimes utimensat futimesat ";

#endif
