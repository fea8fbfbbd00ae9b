/*
 * The jail library: the steps that cut a process off from the host. Used by the keeper (for the
 * template's outer cage) and by the guest extension (for each instance's inner cage), later by
 * the workers of other engines. Freestanding of the rest: libc only, no allocation after fork,
 * async-signal-safe, no global state. Every step returns 0 or fills `fault` with the step's name
 * and errno and returns -1: fail closed, say why.
 */
#ifndef PSB_JAIL_H
#define PSB_JAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct jail_fault {
	char step[56]; /* e.g. "mount /usr/lib read-only" */
	int32_t sys_errno;
};

int jail_fail(struct jail_fault *fault, int sys_errno, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* --- root.c: a minimal read-only root; needs a mount namespace of one's own and SYS_ADMIN --- */
struct jail_bind {
	const char *source; /* host path, file or directory */
	const char *at;     /* its place in the new root; NULL: the same path */
	int source_fd;      /* if > 0: an O_PATH descriptor used instead of opening source (the
			     * caller may have had more rights when it opened it) */
	bool optional;      /* skipped when missing on the host */
};

struct jail_file { /* a small text file made in the root (parents are made too) */
	const char *path;
	const char *text;
};

struct jail_link {
	const char *path;
	const char *target;
};

struct jail_root {
	const struct jail_bind *binds;
	size_t bind_count;
	const struct jail_file *files;
	size_t file_count;
	const struct jail_link *links;
	size_t link_count;
	const char *const *dirs; /* empty directories, NULL-terminated */
	bool no_devices;
};

/* Makes every mount private, builds a tmpfs root with the binds (read-only, nosuid, nodev, noexec
 * where it can be: not for code), unless refused /dev/{null,zero,full,urandom,random}, pivots into
 * it, detaches the old root, makes the root read-only. cwd is "/" afterwards. */
int jail_root_enter(const struct jail_root *root, struct jail_fault *fault);

/* Mounts a private tmpfs (nosuid,nodev,noexec) over an existing directory. */
int jail_tmpfs_mount(const char *target, uint64_t bytes, uint64_t inodes, struct jail_fault *fault);

/* --- landlock.c --- */
int jail_landlock_abi(void); /* 0 when the kernel has none */
struct jail_landlock_rule {
	const char *path;
	bool writable; /* else read only; never execute, never devices or sockets */
	bool optional;
};
/* A ruleset handling every right this kernel knows (filesystem, TCP, signal and abstract-socket
 * scopes). Returns a close-on-exec descriptor or -1. `allow_execute` for a template that still has
 * to exec its interpreter. */
int jail_landlock_create(const struct jail_landlock_rule *rules, size_t count, bool allow_execute,
			 struct jail_fault *fault);
int jail_landlock_restrict(int ruleset_fd, struct jail_fault *fault);

/* --- caps.c --- */
#define JAIL_CAP(number) (UINT64_C(1) << (number))
int jail_no_new_privs(struct jail_fault *fault);
/* Before a setresuid from 0 to another id: the permitted set survives it (until the next exec). */
int jail_caps_keep(struct jail_fault *fault);
/* Drops all others from the bounding set. */
int jail_caps_bound(uint64_t keep, struct jail_fault *fault);
/* permitted = effective = inheritable = ambient = keep */
int jail_caps_ambient(uint64_t keep, struct jail_fault *fault);
int jail_caps_clear(struct jail_fault *fault); /* none left, ambient too */

/* What setrlimit(2) takes: glibc has a type of its own for it. */
#ifdef __GLIBC__
typedef __rlimit_resource_t jail_resource;
#else
typedef int jail_resource;
#endif

/* --- rlimits.c; a zero leaves that limit alone; CORE is always 0 --- */
struct jail_rlimits {
	uint64_t address_space_bytes;
	uint64_t file_size_bytes;
	uint64_t open_files;
	uint64_t processes;
	uint64_t stack_bytes;
};
int jail_rlimits_apply(const struct jail_rlimits *limits, struct jail_fault *fault);

/* --- seccomp.c: filters generated at build time by src/jail/gen_filters.c (libseccomp) --- */
enum jail_rung { RUNG_A, RUNG_B, RUNG_C, RUNG_D };

/*
 * The template's filter: an allowlist of what CPython, the data stack and the zygote need; EPERM
 * for what programs may try in good faith (ENOSYS for numbers newer than the policy, clone3 and
 * openat2); USER_NOTIF for the kill class; foreign architectures and x32 kill at once. With
 * listener_fd the filter is installed with NEW_LISTENER (close-on-exec); with NULL the kill class
 * reads as ENOSYS. Sets no_new_privs first. Fails with EBUSY where an outer listener exists.
 * The zygote may also: clone with exactly the flag sets of below (CLONE_PIDFD may be added to
 * JAIL_CLONE_INIT_FLAGS), seccomp(SET_MODE_FILTER, 0), landlock, recvmsg/sendmsg, execve, setpgid,
 * setsid, capset, pidfd_open, madvise(COLLAPSE), some prctls; on A and B setns(CLONE_NEWPID only),
 * mount (flags exactly nosuid,nodev,noexec: jail_tmpfs_mount), umount2, setres[ug]id, setgroups.
 */
int jail_seccomp_template(enum jail_rung rung, int *listener_fd, struct jail_fault *fault);

/* The instance's filter, on top: takes away all that only the zygote needed (errno EPERM), pins
 * clone flags to threads (and, when allow_fork, plain fork/vfork), protects descriptor
 * result_fd against close and dup (close succeeds without effect). On C and D, kill and tgkill are
 * pinned to own_pid. own_pid and result_fd are patched into the generated program. */
int jail_seccomp_instance(enum jail_rung rung, bool allow_fork, pid_t own_pid, int result_fd,
			  struct jail_fault *fault);

/* Flags of the zygote's two clones on A and B (raw clone(2), legacy argument order). */
#define JAIL_CLONE_INIT_FLAGS 0x20008100ul  /* NEWPID | PARENT | VM: the pid namespace's init */
#define JAIL_CLONE_GUEST_FLAGS 0x01228000ul /* PARENT | CHILD_SETTID | CHILD_CLEARTID | NEWNS */
/* ... and on C and D, where namespaces are missing: */
#define JAIL_CLONE_PLAIN_FLAGS 0x01208000ul /* PARENT | CHILD_SETTID | CHILD_CLEARTID */
#define JAIL_MADV_COLLAPSE 25               /* MADV_COLLAPSE of Linux 6.1: the zygote's only */

/* Plain C view of the programs for tests: BPF words and counts. */
struct sock_filter;
const struct sock_filter *jail_seccomp_program(enum jail_rung rung, bool instance, bool allow_fork,
					       size_t *count);
const char *jail_syscall_name(int number); /* "ptrace"; NULL if unknown; static */

#endif
