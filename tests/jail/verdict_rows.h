/* Calls that the policy judges by their arguments: what is expected of whom. */
#ifndef PSB_TEST_VERDICT_ROWS_H
#define PSB_TEST_VERDICT_ROWS_H

#define OWN_PID 4242
#define ZYGOTE_PID 4141
#define RESULT_FD 250

#define ALLOW SECCOMP_RET_ALLOW
#define REPORT SECCOMP_RET_USER_NOTIF
#define REFUSE(error) (SECCOMP_RET_ERRNO | (error))

struct row {
	int line;
	const char *rungs;
	int number;
	uint64_t args[6];
	uint32_t zygote;
	uint32_t instance;
	uint32_t forker;
};

#define YES(call, ...)                                                                             \
	{                                                                                          \
		__LINE__, "ABCD", SYS_##call, {__VA_ARGS__}, ALLOW, ALLOW, ALLOW                   \
	}
#define NO(call, ...)                                                                              \
	{                                                                                          \
		__LINE__, "ABCD", SYS_##call, {__VA_ARGS__}, REFUSE(EPERM), REFUSE(EPERM),         \
			REFUSE(EPERM)                                                              \
	}
#define NO_ON(rungs, call, ...)                                                                    \
	{                                                                                          \
		__LINE__, rungs, SYS_##call, {__VA_ARGS__}, REFUSE(EPERM), REFUSE(EPERM),          \
			REFUSE(EPERM)                                                              \
	}
#define YES_ON(rungs, call, ...)                                                                   \
	{                                                                                          \
		__LINE__, rungs, SYS_##call, {__VA_ARGS__}, ALLOW, ALLOW, ALLOW                    \
	}
#define ZYGOTE_ON(rungs, call, ...)                                                                \
	{                                                                                          \
		__LINE__, rungs, SYS_##call, {__VA_ARGS__}, ALLOW, REFUSE(EPERM), REFUSE(EPERM)    \
	}
#define TRIMMED(rungs, call, error, ...)                                                           \
	{                                                                                          \
		__LINE__, rungs, SYS_##call, {__VA_ARGS__}, ALLOW, REFUSE(error), REFUSE(error)    \
	}
#define FORKER_MAY(call, ...)                                                                      \
	{                                                                                          \
		__LINE__, "ABCD", SYS_##call, {__VA_ARGS__}, ALLOW, REFUSE(EAGAIN), ALLOW          \
	}
#define REPORTED_ON(rungs, call, ...)                                                              \
	{                                                                                          \
		__LINE__, rungs, SYS_##call, {__VA_ARGS__}, REPORT, REPORT, REPORT                 \
	}

/* The zygote's own pid: no instance of a pool has it. */
#define OWN_ON(rungs, call, ...)                                                                   \
	{                                                                                          \
		__LINE__, rungs, SYS_##call, {__VA_ARGS__}, ALLOW, REFUSE(EPERM), REFUSE(EPERM)    \
	}
#define PINNED(rungs, call, ...)                                                                   \
	{                                                                                          \
		__LINE__, rungs, SYS_##call, {__VA_ARGS__}, REPORT, REFUSE(EPERM), REFUSE(EPERM)   \
	}

#define CWD (uint64_t) AT_FDCWD
#define HIGH (UINT64_C(1) << 32)

static const struct row rows[] = {
	/* Threads, forks and the zygote's clones; nothing else. */
	YES(clone, 0x3d0f00),
	YES(clone, 0x7d0f00),
	FORKER_MAY(clone, 0x1200011),
	FORKER_MAY(clone, 0x4111),
	ZYGOTE_ON("AB", clone, JAIL_CLONE_INIT_FLAGS),
	ZYGOTE_ON("AB", clone, JAIL_CLONE_INIT_FLAGS | CLONE_PIDFD),
	ZYGOTE_ON("AB", clone, JAIL_CLONE_GUEST_FLAGS),
	NO_ON("CD", clone, JAIL_CLONE_INIT_FLAGS),
	NO_ON("CD", clone, JAIL_CLONE_GUEST_FLAGS),
	ZYGOTE_ON("CD", clone, JAIL_CLONE_PLAIN_FLAGS),
	NO_ON("AB", clone, JAIL_CLONE_PLAIN_FLAGS),
	NO(clone, 0),
	NO(clone, SIGCHLD),
	NO(clone, 0x3d0f00 | CLONE_NEWUSER),
	NO(clone, 0x3d0f00 | CLONE_NEWNS),
	NO(clone, 0x3d0f00 | CLONE_PARENT),
	NO(clone, 0x3d0f00 | CLONE_UNTRACED),
	NO(clone, 0x3d0f00 | CLONE_PTRACE),
	NO(clone, 0x3d0f00 | HIGH),
	NO(clone, 0x1200011 | CLONE_NEWUSER),
	NO(clone, 0x1200011 | CLONE_NEWPID),
	NO(clone, 0x1200011 | CLONE_NEWNET),
	NO(clone, 0x1200011 | CLONE_NEWCGROUP),
	NO(clone, 0x1200011 | CLONE_PARENT),
	NO(clone, JAIL_CLONE_GUEST_FLAGS | CLONE_NEWUSER),
	NO(clone, JAIL_CLONE_INIT_FLAGS | CLONE_NEWUSER),

	/* Namespaces and mounts. */
	ZYGOTE_ON("AB", setns, 5, CLONE_NEWPID),
	NO_ON("AB", setns, 5, 0),
	NO_ON("AB", setns, 5, CLONE_NEWUSER),
	NO_ON("AB", setns, 5, CLONE_NEWNS),
	NO_ON("AB", setns, 5, CLONE_NEWPID | CLONE_NEWNS),
	REPORTED_ON("CD", setns, 5, CLONE_NEWPID),
	ZYGOTE_ON("AB", mount, 1, 2, 3, 0xe, 5),
	NO_ON("AB", mount, 1, 2, 3, 0),
	NO_ON("AB", mount, 1, 2, 3, 0x1000),
	NO_ON("AB", mount, 1, 2, 3, 0x5000),
	NO_ON("AB", mount, 0, 2, 0, 0x102e),
	NO_ON("AB", mount, 0, 2, 0, 0x2000),
	REPORTED_ON("CD", mount, 1, 2, 3, 0xe, 5),
	ZYGOTE_ON("AB", umount2, 1, 2),
	REPORTED_ON("CD", umount2, 1, 2),
	ZYGOTE_ON("ABCD", seccomp, 1, 0, 7),
	NO(seccomp, 1, 8, 7), /* no listener of one's own */
	NO(seccomp, 1, 1, 7),
	NO(seccomp, 0, 0, 0),
	NO(seccomp, 2, 0, 7),

	/* Signals. */
	YES_ON("AB", kill, 1, 9),
	YES_ON("AB", tgkill, 1, 2, 9),
	OWN_ON("CD", kill, ZYGOTE_PID, 9),
	OWN_ON("CD", tgkill, ZYGOTE_PID, 77, 9),
	REPORTED_ON("CD", kill, OWN_PID, 9),
	REPORTED_ON("CD", tgkill, OWN_PID, 77, 9),
	PINNED("CD", kill, 1, 9),
	PINNED("CD", kill, 0, 9),
	PINNED("CD", kill, UINT64_MAX, 9),
	PINNED("CD", kill, 0xffffffff, 9),
	PINNED("CD", kill, OWN_PID | HIGH, 9),
	PINNED("CD", kill, ZYGOTE_PID | HIGH, 9),
	PINNED("CD", kill, (uint64_t)-OWN_PID, 9),
	PINNED("CD", kill, (uint64_t)-ZYGOTE_PID, 9),
	PINNED("CD", tgkill, OWN_PID + 1, OWN_PID, 9),
	PINNED("CD", tgkill, 0, OWN_PID, 9),
	NO_ON("CD", tkill, OWN_PID, 9),
	NO_ON("CD", rt_sigqueueinfo, OWN_PID, 9, 7),
	NO_ON("CD", rt_tgsigqueueinfo, OWN_PID, OWN_PID, 9, 7),

	/* Limits. */
	YES(prlimit64, 0, 7, 0, 99),
	TRIMMED("ABCD", prlimit64, EPERM, 0, 7, 99, 0),
	TRIMMED("ABCD", prlimit64, EPERM, 0, 7, HIGH, 0),
	YES_ON("AB", prlimit64, OWN_PID, 7, 0, 99),
	NO_ON("CD", prlimit64, OWN_PID, 7, 0, 99),
	NO_ON("CD", prlimit64, ZYGOTE_PID, 7, 99, 0),
	NO_ON("CD", prlimit64, HIGH, 7, 0, 99),

	/* The result pipe. */
	YES(close, 3),
	YES(close, RESULT_FD + 1),
	TRIMMED("ABCD", close, 0, RESULT_FD),
	TRIMMED("ABCD", close, 0, RESULT_FD | HIGH),
	TRIMMED("ABCD", close, 0, RESULT_FD | (UINT64_C(0xffffffff) << 32)),
	YES(dup2, RESULT_FD, 5),
	TRIMMED("ABCD", dup2, EBADF, 5, RESULT_FD),
	TRIMMED("ABCD", dup2, EBADF, 5, RESULT_FD | HIGH),
	YES(dup3, RESULT_FD, 5, 0),
	TRIMMED("ABCD", dup3, EBADF, 5, RESULT_FD, O_CLOEXEC),
	TRIMMED("ABCD", dup3, EBADF, 5, RESULT_FD | HIGH, 0),
	TRIMMED("ABCD", fcntl, EPERM, RESULT_FD, F_SETFD, FD_CLOEXEC),
	TRIMMED("ABCD", fcntl, EPERM, RESULT_FD, F_SETFL, O_NONBLOCK),
	TRIMMED("ABCD", fcntl, EPERM, RESULT_FD | HIGH, F_SETFL, O_NONBLOCK),
	YES(fcntl, RESULT_FD, F_GETFL),
	TRIMMED("ABCD", close_range, ENOSYS, 3, 0xffffffff, 0),

	/* Descriptors. */
	YES(fcntl, 3, F_DUPFD, 5),
	YES(fcntl, 3, F_DUPFD_CLOEXEC, 5),
	YES(fcntl, 3, F_GETFD),
	YES(fcntl, 3, F_SETFD, 1),
	YES(fcntl, 3, F_GETFL),
	YES(fcntl, 3, F_SETFL, O_NONBLOCK | O_APPEND),
	NO(fcntl, 3, F_SETFL, O_ASYNC),
	YES(fcntl, 3, F_GETLK, 9),
	YES(fcntl, 3, F_SETLK, 9),
	YES(fcntl, 3, F_SETLKW, 9),
	YES(fcntl, 3, F_OFD_GETLK, 9),
	YES(fcntl, 3, F_OFD_SETLK, 9),
	YES(fcntl, 3, F_OFD_SETLKW, 9),
	YES(fcntl, 3, F_GETPIPE_SZ),
	YES(fcntl, 3, F_ADD_SEALS, 1),
	YES(fcntl, 3, F_GET_SEALS),
	NO(fcntl, 3, F_SETOWN, 1),
	NO(fcntl, 3, F_GETOWN),
	NO(fcntl, 3, F_SETSIG, 9),
	NO(fcntl, 3, F_SETOWN_EX, 9),
	NO(fcntl, 3, F_SETLEASE, 1),
	NO(fcntl, 3, F_NOTIFY, 1),
	NO(fcntl, 3, F_SETPIPE_SZ, 1 << 20),
	NO(fcntl, 3, F_GETFD | HIGH),
	YES(ioctl, 0, TCGETS),
	YES(ioctl, 0, FIONREAD),
	YES(ioctl, 0, FIONBIO),
	YES(ioctl, 0, FIOCLEX),
	YES(ioctl, 0, FIONCLEX),
	YES(ioctl, 0, TIOCGWINSZ),
	NO(ioctl, 0, TIOCSTI),
	NO(ioctl, 0, TIOCSTI | HIGH),
	NO(ioctl, 0, TCSETS),
	NO(ioctl, 0, TIOCLINUX),
	NO(ioctl, 0, TIOCSCTTY),
	NO(ioctl, 0, FIOASYNC),
	NO(ioctl, 0, 0x40049409), /* FICLONE */

	/* Files. */
	YES(open, 1, O_RDONLY, 0),
	YES(open, 1, O_CREAT | O_RDWR, 0666),
	YES(openat, CWD, 1, O_CREAT | O_RDWR, 0777),
	YES(creat, 1, 0644),
	YES_ON("AB", open, 1, O_CREAT, 04755),
	NO_ON("CD", open, 1, O_CREAT, 04755),
	NO_ON("CD", openat, CWD, 1, O_CREAT, 02755),
	NO_ON("CD", creat, 1, 04755),
	YES_ON("AB", chmod, 1, 0755),
	YES_ON("AB", fchmod, 1, 01777),
	YES_ON("AB", fchmodat, CWD, 1, 0600),
	TRIMMED("CD", chmod, 0, 1, 0755),
	TRIMMED("CD", fchmod, 0, 1, 01777),
	TRIMMED("CD", fchmodat, 0, CWD, 1, 0600),
	TRIMMED("CD", chown, EPERM, 1, 7, 7),
	TRIMMED("CD", fchown, EPERM, 1, 7, 7),
	TRIMMED("CD", lchown, EPERM, 1, 7, 7),
	TRIMMED("CD", fchownat, EPERM, CWD, 1, 7, 7),
	TRIMMED("CD", utime, 0, 1, 0),
	TRIMMED("CD", utimes, 0, 1, 0),
	TRIMMED("CD", utimensat, 0, CWD, 1, 0),
	TRIMMED("CD", futimesat, 0, CWD, 1, 0),
	YES_ON("AB", chown, 1, 7, 7),
	YES_ON("AB", fchown, 1, 7, 7),
	YES_ON("AB", lchown, 1, 7, 7),
	YES_ON("AB", fchownat, CWD, 1, 7, 7),
	YES_ON("AB", utime, 1, 0),
	YES_ON("AB", utimes, 1, 0),
	YES_ON("AB", utimensat, CWD, 1, 0),
	YES_ON("AB", futimesat, CWD, 1, 0),
	NO_ON("AB", chmod, 1, 04755),
	NO_ON("AB", fchmod, 1, 02755),
	NO_ON("AB", fchmodat, CWD, 1, 06755),
	YES(mknod, 1, 0644, 0),
	YES(mknod, 1, S_IFREG | 0644, 0),
	YES(mknod, 1, S_IFIFO | 0644, 0),
	NO(mknod, 1, S_IFCHR | 0644, 0x103),
	NO(mknod, 1, S_IFBLK | 0644, 0x800),
	NO(mknod, 1, S_IFSOCK | 0644, 0),
	NO(mknod, 1, S_IFREG | 04755, 0),
	YES(mknodat, CWD, 1, 0644, 0),
	YES(mknodat, CWD, 1, S_IFREG | 0644, 0),
	YES(mknodat, CWD, 1, S_IFIFO | 0644, 0),
	NO(mknodat, CWD, 1, S_IFCHR | 0644, 0x103),
	NO(mknodat, CWD, 1, S_IFBLK | 0644, 0x800),

	/* Sockets. */
	YES(socketpair, AF_UNIX, SOCK_STREAM, 0, 9),
	YES(socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, 9),
	NO(socketpair, AF_UNIX, SOCK_DGRAM, 0, 9),
	NO(socketpair, AF_UNIX, SOCK_SEQPACKET, 0, 9),
	NO(socketpair, AF_UNIX, SOCK_STREAM, 1, 9),
	NO(socketpair, AF_INET, SOCK_STREAM, 0, 9),
	NO(socketpair, AF_TIPC, SOCK_STREAM, 0, 9),
	YES(sendto, 3, 1, 1, 0, 0, 0),
	YES(sendto, 3, 1, 1, MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0),
	NO(sendto, 3, 1, 1, 0, 9, 16),
	NO(sendto, 3, 1, 1, MSG_OOB, 0, 0),
	YES(recvfrom, 3, 1, 1, 0, 0, 0),
	YES(recvfrom, 3, 1, 1, MSG_PEEK | MSG_DONTWAIT, 0, 0),
	NO(recvfrom, 3, 1, 1, 0, 9, 9),
	NO(recvfrom, 3, 1, 1, MSG_OOB, 0, 0),
	NO(recvfrom, 3, 1, 1, MSG_ERRQUEUE, 0, 0),
	YES(getsockopt, 3, SOL_SOCKET, SO_TYPE),
	YES(getsockopt, 3, SOL_SOCKET, SO_ERROR),
	YES(getsockopt, 3, SOL_SOCKET, SO_DOMAIN),
	YES(getsockopt, 3, SOL_SOCKET, SO_PROTOCOL),
	NO(getsockopt, 3, SOL_SOCKET, SO_PEERCRED),
	NO(getsockopt, 3, SOL_SOCKET, 77), /* SO_PEERPIDFD */
	NO(getsockopt, 3, 6, SO_TYPE),

	/* Memory. */
	YES(mmap, 0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS),
	YES(mmap, 0, 4096, 5, MAP_PRIVATE),
	NO(mmap, 0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB),
	YES_ON("A", memfd_create, 1, MFD_CLOEXEC | MFD_ALLOW_SEALING),
	NO_ON("A", memfd_create, 1, MFD_HUGETLB),
	NO_ON("BCD", memfd_create, 1, MFD_CLOEXEC),
	YES(madvise, 1, 4096, MADV_DONTNEED),
	YES(madvise, 1, 4096, MADV_FREE),
	YES(madvise, 1, 4096, MADV_DOFORK),
	YES(madvise, 1, 4096, MADV_HUGEPAGE),
	YES(madvise, 1, 4096, MADV_NOHUGEPAGE),
	YES(madvise, 1, 4096, MADV_DONTDUMP),
	YES(madvise, 1, 4096, MADV_DODUMP),
	YES(madvise, 1, 4096, MADV_WIPEONFORK),
	YES(madvise, 1, 4096, MADV_KEEPONFORK),
	YES(madvise, 1, 4096, MADV_POPULATE_READ),
	YES(madvise, 1, 4096, MADV_POPULATE_WRITE),
	ZYGOTE_ON("ABCD", madvise, 1, 4096, JAIL_MADV_COLLAPSE),
	NO(madvise, 1, 4096, MADV_MERGEABLE),
	NO(madvise, 1, 4096, MADV_PAGEOUT),
	NO(madvise, 1, 4096, MADV_HWPOISON),
	NO(madvise, 1, 4096, 101),
	YES(futex, 1, FUTEX_WAIT_PRIVATE),
	YES(futex, 1, FUTEX_WAKE_PRIVATE),
	YES(futex, 1, FUTEX_REQUEUE),
	YES(futex, 1, FUTEX_CMP_REQUEUE_PRIVATE),
	YES(futex, 1, FUTEX_WAKE_OP_PRIVATE),
	YES(futex, 1, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME),
	YES(futex, 1, FUTEX_WAKE_BITSET),
	NO(futex, 1, FUTEX_LOCK_PI),
	NO(futex, 1, FUTEX_WAIT_REQUEUE_PI_PRIVATE),
	NO(futex, 1, FUTEX_CMP_REQUEUE_PI_PRIVATE),

	/* Attributes. */
	YES(personality, 0xffffffff),
	REPORTED_ON("ABCD", personality, 0x0400000),
	REPORTED_ON("ABCD", personality, 0),
	YES(prctl, PR_SET_NAME, 1),
	YES(prctl, PR_GET_NAME, 1),
	YES(prctl, PR_GET_DUMPABLE),
	YES(prctl, PR_GET_NO_NEW_PRIVS),
	YES(prctl, 0x53564d41, 0),
	ZYGOTE_ON("ABCD", prctl, PR_SET_NO_NEW_PRIVS, 1),
	ZYGOTE_ON("ABCD", prctl, PR_SET_DUMPABLE, 1),
	ZYGOTE_ON("ABCD", prctl, PR_SET_PDEATHSIG, 9),
	ZYGOTE_ON("ABCD", prctl, PR_SET_KEEPCAPS, 1),
	ZYGOTE_ON("ABCD", prctl, PR_CAPBSET_READ, 1),
	ZYGOTE_ON("ABCD", prctl, PR_CAPBSET_DROP, 1),
	ZYGOTE_ON("ABCD", prctl, PR_CAP_AMBIENT, 2),
	ZYGOTE_ON("ABCD", prctl, PR_SET_CHILD_SUBREAPER, 1),
	ZYGOTE_ON("ABCD", prctl, PR_SET_TIMERSLACK, 1),
	ZYGOTE_ON("ABCD", prctl, PR_SET_THP_DISABLE, 1),
	ZYGOTE_ON("ABCD", prctl, PR_GET_SPECULATION_CTRL, 1),
	ZYGOTE_ON("ABCD", prctl, PR_SET_SPECULATION_CTRL, 1),
	NO(prctl, PR_SET_SECCOMP, 2),
	NO(prctl, PR_SET_PTRACER, 1),
	NO(prctl, PR_SET_MM, 1),
	NO(prctl, PR_SET_SECUREBITS, 0),
	NO(prctl, PR_SET_TSC, 2),
	NO(prctl, PR_SET_NAME | HIGH, 1),
};

#endif
