/*
 * The rows of the policy that look at arguments; read through rules.h only. Rows that allow compare
 * all 64 bits (odd upper halves are refused); rows that refuse compare what the kernel looks at.
 */
#ifndef PSB_JAIL_RULES_ARGS_H
#define PSB_JAIL_RULES_ARGS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "jail/jail.h"

#define CLONE_THREAD_GLIBC 0x003d0f00u
#define CLONE_THREAD_MUSL 0x007d0f00u
#define CLONE_FORK_GLIBC 0x01200011u
#define CLONE_SPAWN_GLIBC 0x00004111u
#define SETID_BITS (S_ISUID | S_ISGID)
#define WORKSPACE_MOUNT (MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define SEND_FLAGS (MSG_NOSIGNAL | MSG_DONTWAIT) /* MSG_OOB on AF_UNIX has a bad record */
#define RECV_FLAGS (MSG_DONTWAIT | MSG_PEEK | MSG_WAITALL | MSG_TRUNC)
#define MEMFD_FLAGS (MFD_CLOEXEC | MFD_ALLOW_SEALING | 0x18u) /* NOEXEC_SEAL, EXEC */
#define FUTEX_COMMAND(op) BITS(1, 0x7f, op) /* without PRIVATE and CLOCK_REALTIME */
#define VMA_NAME 0x53564d41u                /* PR_SET_VMA */

static const struct rule argument_rules[] = {
	/* Processes. clone3 hides its flags behind a pointer: libc falls back to clone. */
	ON(ON_ALL, RULE_ABSENT, "clone3"),
	ON(ON_ALL, RULE_FORK, "fork"),
	ON(ON_ALL, RULE_FORK, "vfork"),
	ALLOW1("clone", EQ(0, CLONE_THREAD_GLIBC)),
	ALLOW1("clone", EQ(0, CLONE_THREAD_MUSL)),
	{"clone", RULE_FORK, ON_ALL, 1, 0, {EQ(0, CLONE_FORK_GLIBC)}},
	{"clone", RULE_FORK, ON_ALL, 1, 0, {EQ(0, CLONE_SPAWN_GLIBC)}},
	{"clone", RULE_ZYGOTE, ON_NS, 1, 0, {EQ(0, JAIL_CLONE_INIT_FLAGS)}},
	{"clone", RULE_ZYGOTE, ON_NS, 1, 0, {EQ(0, JAIL_CLONE_INIT_FLAGS | CLONE_PIDFD)}},
	{"clone", RULE_ZYGOTE, ON_NS, 1, 0, {EQ(0, JAIL_CLONE_GUEST_FLAGS)}},
	{"clone", RULE_ZYGOTE, ON_PLAIN, 1, 0, {EQ(0, JAIL_CLONE_PLAIN_FLAGS)}},
	{"setns", RULE_ZYGOTE, ON_NS, 1, 0, {EQ(1, CLONE_NEWPID)}},
	ON(ON_PLAIN, RULE_REPORT, "setns"),
	{"mount", RULE_ZYGOTE, ON_NS, 1, 0, {EQ(3, WORKSPACE_MOUNT)}},
	ON(ON_PLAIN, RULE_REPORT, "mount"),
	ON(ON_NS, RULE_ZYGOTE, "umount2"),
	ON(ON_PLAIN, RULE_REPORT, "umount2"),
	ON(ON_NS, RULE_ZYGOTE, "setresuid"),
	ON(ON_NS, RULE_ZYGOTE, "setresgid"),
	ON(ON_NS, RULE_ZYGOTE, "setgroups"),
	{"seccomp", RULE_ZYGOTE, ON_ALL, 2, 0, {EQ(0, SECCOMP_SET_MODE_FILTER), EQ(1, 0)}},

	/* Signals: without a pid namespace only to oneself. The template's pid is the zygote's; an
	 * instance that signals itself is let through by the keeper, who knows it. */
	ON(ON_NS, RULE_ALLOW, "kill"),
	ON(ON_NS, RULE_ALLOW, "tgkill"),
	{"kill", RULE_ALLOW, ON_PLAIN, 1, 0, {EQ(0, SENTINEL_PID)}},
	{"kill", RULE_REPORT, ON_PLAIN, 1, 0, {NE(0, SENTINEL_PID)}},
	{"tgkill", RULE_ALLOW, ON_PLAIN, 1, 0, {EQ(0, SENTINEL_PID)}},
	{"tgkill", RULE_REPORT, ON_PLAIN, 1, 0, {NE(0, SENTINEL_PID)}},
	{"kill", RULE_TRIM, ON_PLAIN, 1, EPERM, {NE(0, SENTINEL_PID)}},
	{"tgkill", RULE_TRIM, ON_PLAIN, 1, EPERM, {NE(0, SENTINEL_PID)}},
	ON(ON_NS, RULE_ALLOW, "tkill"),
	ON(ON_NS, RULE_ALLOW, "rt_sigqueueinfo"),
	ON(ON_NS, RULE_ALLOW, "rt_tgsigqueueinfo"),

	/* Limits may be read; without a pid namespace only one's own, and the zygote sets only those. */
	ON(ON_NS, RULE_ALLOW, "prlimit64"),
	{"prlimit64", RULE_ALLOW, ON_PLAIN, 1, 0, {EQ(0, 0)}},
	{"prlimit64", RULE_TRIM, ON_ALL, 1, EPERM, {NE(2, 0)}},

	/* The result pipe stays open and where it is. */
	{"close", RULE_TRIM, ON_ALL, 1, 0, {INT(0, SENTINEL_FD)}},
	{"dup2", RULE_TRIM, ON_ALL, 1, EBADF, {INT(1, SENTINEL_FD)}},
	{"dup3", RULE_TRIM, ON_ALL, 1, EBADF, {INT(1, SENTINEL_FD)}},
	{"fcntl", RULE_TRIM, ON_ALL, 2, EPERM, {INT(0, SENTINEL_FD), INT(1, F_SETFD)}},
	{"fcntl", RULE_TRIM, ON_ALL, 2, EPERM, {INT(0, SENTINEL_FD), INT(1, F_SETFL)}},
	{"close_range", RULE_TRIM, ON_ALL, 0, ENOSYS, {{0}}},

	/* Landlock has no right for these: without a mount namespace they would reach every file of
	 * the same owner. What copying a file calls as a matter of course succeeds without effect. */
	{"chmod", RULE_TRIM, ON_PLAIN, 0, 0, {{0}}},
	{"fchmod", RULE_TRIM, ON_PLAIN, 0, 0, {{0}}},
	{"fchmodat", RULE_TRIM, ON_PLAIN, 0, 0, {{0}}},
	{"chown", RULE_TRIM, ON_PLAIN, 0, EPERM, {{0}}},
	{"fchown", RULE_TRIM, ON_PLAIN, 0, EPERM, {{0}}},
	{"lchown", RULE_TRIM, ON_PLAIN, 0, EPERM, {{0}}},
	{"fchownat", RULE_TRIM, ON_PLAIN, 0, EPERM, {{0}}},
	{"utime", RULE_TRIM, ON_PLAIN, 0, 0, {{0}}},
	{"utimes", RULE_TRIM, ON_PLAIN, 0, 0, {{0}}},
	{"utimensat", RULE_TRIM, ON_PLAIN, 0, 0, {{0}}},
	{"futimesat", RULE_TRIM, ON_PLAIN, 0, 0, {{0}}},

	/* Files. Without a mount namespace the workspace is the host's: no set-id bits there. */
	ON(ON_ALL, RULE_ABSENT, "openat2"),
	ON(ON_NS, RULE_ALLOW, "open"),
	ON(ON_NS, RULE_ALLOW, "openat"),
	ON(ON_NS, RULE_ALLOW, "creat"),
	{"open", RULE_ALLOW, ON_PLAIN, 1, 0, {NONE_OF(2, SETID_BITS)}},
	{"openat", RULE_ALLOW, ON_PLAIN, 1, 0, {NONE_OF(3, SETID_BITS)}},
	{"creat", RULE_ALLOW, ON_PLAIN, 1, 0, {NONE_OF(1, SETID_BITS)}},
	ALLOW1("chmod", NONE_OF(1, SETID_BITS)),
	ALLOW1("fchmod", NONE_OF(1, SETID_BITS)),
	ALLOW1("fchmodat", NONE_OF(2, SETID_BITS)),
	ALLOW1("mknod", BITS(1, S_IFMT | SETID_BITS, 0)),
	ALLOW1("mknod", BITS(1, S_IFMT | SETID_BITS, S_IFREG)),
	ALLOW1("mknod", BITS(1, S_IFMT | SETID_BITS, S_IFIFO)),
	ALLOW1("mknodat", BITS(2, S_IFMT | SETID_BITS, 0)),
	ALLOW1("mknodat", BITS(2, S_IFMT | SETID_BITS, S_IFREG)),
	ALLOW1("mknodat", BITS(2, S_IFMT | SETID_BITS, S_IFIFO)),
	ALLOW1("fcntl", EQ(1, F_DUPFD)),
	ALLOW1("fcntl", EQ(1, F_DUPFD_CLOEXEC)),
	ALLOW1("fcntl", EQ(1, F_GETFD)),
	ALLOW1("fcntl", EQ(1, F_SETFD)),
	ALLOW1("fcntl", EQ(1, F_GETFL)),
	ALLOW2("fcntl", EQ(1, F_SETFL), NONE_OF(2, O_ASYNC)),
	ALLOW1("fcntl", EQ(1, F_GETLK)),
	ALLOW1("fcntl", EQ(1, F_SETLK)),
	ALLOW1("fcntl", EQ(1, F_SETLKW)),
	ALLOW1("fcntl", EQ(1, F_OFD_GETLK)),
	ALLOW1("fcntl", EQ(1, F_OFD_SETLK)),
	ALLOW1("fcntl", EQ(1, F_OFD_SETLKW)),
	ALLOW1("fcntl", EQ(1, F_GETPIPE_SZ)),
	ALLOW1("fcntl", EQ(1, F_ADD_SEALS)),
	ALLOW1("fcntl", EQ(1, F_GET_SEALS)),
	ALLOW1("ioctl", EQ(1, TCGETS)),
	ALLOW1("ioctl", EQ(1, FIONREAD)),
	ALLOW1("ioctl", EQ(1, FIONBIO)),
	ALLOW1("ioctl", EQ(1, FIOCLEX)),
	ALLOW1("ioctl", EQ(1, FIONCLEX)),
	ALLOW1("ioctl", EQ(1, TIOCGWINSZ)),

	/* Sockets: the self-pipe of an event loop and nothing else. */
	ALLOW3("socketpair", EQ(0, AF_UNIX),
	       BITS(1, ~(uint64_t)(SOCK_CLOEXEC | SOCK_NONBLOCK), SOCK_STREAM), EQ(2, 0)),
	ALLOW2("sendto", ONLY(3, SEND_FLAGS), EQ(4, 0)),
	ALLOW2("recvfrom", ONLY(3, RECV_FLAGS), EQ(4, 0)),
	ALLOW2("getsockopt", EQ(1, SOL_SOCKET), EQ(2, SO_TYPE)),
	ALLOW2("getsockopt", EQ(1, SOL_SOCKET), EQ(2, SO_ERROR)),
	ALLOW2("getsockopt", EQ(1, SOL_SOCKET), EQ(2, SO_DOMAIN)),
	ALLOW2("getsockopt", EQ(1, SOL_SOCKET), EQ(2, SO_PROTOCOL)),

	/* Memory. Huge pages of hugetlbfs and, without a cgroup, memfds escape every limit. */
	ALLOW1("mmap", NONE_OF(3, MAP_HUGETLB)),
	{"memfd_create", RULE_ALLOW, ON_A, 1, 0, {ONLY(1, MEMFD_FLAGS)}},
	ALLOW1("madvise", LT(2, 12)), /* up to DOFORK; not MERGEABLE, PAGEOUT, HWPOISON */
	ALLOW1("madvise", EQ(2, MADV_HUGEPAGE)),
	ALLOW1("madvise", EQ(2, MADV_NOHUGEPAGE)),
	ALLOW1("madvise", EQ(2, MADV_DONTDUMP)),
	ALLOW1("madvise", EQ(2, MADV_DODUMP)),
	ALLOW1("madvise", EQ(2, MADV_WIPEONFORK)),
	ALLOW1("madvise", EQ(2, MADV_KEEPONFORK)),
	ALLOW1("madvise", EQ(2, MADV_POPULATE_READ)),
	ALLOW1("madvise", EQ(2, MADV_POPULATE_WRITE)),
	{"madvise", RULE_ZYGOTE, ON_ALL, 1, 0, {EQ(2, JAIL_MADV_COLLAPSE)}},
	ALLOW1("futex", FUTEX_COMMAND(FUTEX_WAIT)),
	ALLOW1("futex", FUTEX_COMMAND(FUTEX_WAKE)),
	ALLOW1("futex", FUTEX_COMMAND(FUTEX_REQUEUE)),
	ALLOW1("futex", FUTEX_COMMAND(FUTEX_CMP_REQUEUE)),
	ALLOW1("futex", FUTEX_COMMAND(FUTEX_WAKE_OP)),
	ALLOW1("futex", FUTEX_COMMAND(FUTEX_WAIT_BITSET)),
	ALLOW1("futex", FUTEX_COMMAND(FUTEX_WAKE_BITSET)),

	/* Process attributes. */
	ALLOW1("personality", EQ(0, LOW32)),
	{"personality", RULE_REPORT, ON_ALL, 1, 0, {NE(0, LOW32)}},
	ALLOW1("prctl", EQ(0, PR_SET_NAME)),
	ALLOW1("prctl", EQ(0, PR_GET_NAME)),
	ALLOW1("prctl", EQ(0, VMA_NAME)),
	ALLOW1("prctl", EQ(0, PR_GET_DUMPABLE)),
	ALLOW1("prctl", EQ(0, PR_GET_NO_NEW_PRIVS)),
	ZYGOTE1("prctl", EQ(0, PR_SET_NO_NEW_PRIVS)),
	ZYGOTE1("prctl", EQ(0, PR_SET_DUMPABLE)),
	ZYGOTE1("prctl", EQ(0, PR_SET_PDEATHSIG)),
	ZYGOTE1("prctl", EQ(0, PR_SET_KEEPCAPS)),
	ZYGOTE1("prctl", EQ(0, PR_CAPBSET_READ)),
	ZYGOTE1("prctl", EQ(0, PR_CAPBSET_DROP)),
	ZYGOTE1("prctl", EQ(0, PR_CAP_AMBIENT)),
	ZYGOTE1("prctl", EQ(0, PR_SET_CHILD_SUBREAPER)),
	ZYGOTE1("prctl", EQ(0, PR_SET_TIMERSLACK)),
	ZYGOTE1("prctl", EQ(0, PR_SET_THP_DISABLE)),
	ZYGOTE1("prctl", EQ(0, PR_GET_SPECULATION_CTRL)),
	ZYGOTE1("prctl", EQ(0, PR_SET_SPECULATION_CTRL)),
};

#endif
