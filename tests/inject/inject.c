/*
 * Wrappers (ld --wrap) around what the code under test asks of libc and the kernel: allocations and
 * system calls. One of them, by its number, fails with an error that it may really give.
 *
 * All arguments are passed on as seven words: on x86-64 that fits every function in the list,
 * variadic ones too.
 */
#include "inject.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct inject idle;
static struct inject *shared = &idle;

/* Bare system calls: libc's functions are wrapped. */
long __real_syscall(long number, ...);
int __real_close(int fd);

struct inject *inject_open(const char *path, bool use)
{
	int fd =
		(int)__real_syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *mapped;

	if (fd < 0 || __real_syscall(SYS_ftruncate, fd, (long)sizeof(*shared)) < 0)
		abort();
	mapped = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapped == MAP_FAILED)
		abort();
	(void)__real_close(fd);
	if (use)
		shared = mapped;
	return mapped;
}

/* Two processes that find a new site at the same time both list it: it is then tried twice. */
static void note(void *caller)
{
	int count = __atomic_load_n(&shared->site_count, __ATOMIC_ACQUIRE);
	int i = 0;

	while (i < count && shared->sites[i].caller != caller)
		i++;
	if (i == count)
		i = __atomic_fetch_add(&shared->site_count, 1, __ATOMIC_ACQ_REL);
	if (i >= INJECT_MAX_SITES)
		abort();
	shared->sites[i].caller = caller;
	(void)__atomic_fetch_add(&shared->sites[i].calls, 1, __ATOMIC_RELAXED);
}

static bool is_wanted(void *caller)
{
	long number = __atomic_fetch_add(&shared->count, 1, __ATOMIC_RELAXED);

	if (!shared->at)
		return number == shared->target;
	return caller == shared->at &&
	       __atomic_fetch_add(&shared->at_calls, 1, __ATOMIC_RELAXED) == shared->nth;
}

static bool fails_at(const char *name, int error, void *caller)
{
	if (!shared->armed || (shared->only[0] && strcmp(shared->only, name) != 0))
		return false;
	if (shared->noting)
		note(caller);
	if (!is_wanted(caller))
		return false;
	for (size_t i = 0; i < sizeof(shared->fired) - 1 && name[i]; i++)
		shared->fired[i] = name[i];
	shared->caller = caller;
	errno = error;
	return true;
}

#define fails(name, error) fails_at(name, error, __builtin_return_address(0))

#define SEVEN intptr_t a, intptr_t b, intptr_t c, intptr_t d, intptr_t e, intptr_t f, intptr_t g
#define WRAP(name, error, failure)                                                                 \
	intptr_t __real_##name(SEVEN);                                                             \
	intptr_t __wrap_##name(SEVEN);                                                             \
	intptr_t __wrap_##name(SEVEN)                                                              \
	{                                                                                          \
		if (fails(#name, error))                                                           \
			return failure;                                                            \
		return __real_##name(a, b, c, d, e, f, g);                                         \
	}
/* Gives memory or something that holds some. */
#define WRAP_NEW(name)                                                                             \
	intptr_t __real_##name(SEVEN);                                                             \
	intptr_t __wrap_##name(SEVEN);                                                             \
	intptr_t __wrap_##name(SEVEN)                                                              \
	{                                                                                          \
		intptr_t made = fails(#name, ENOMEM) ? 0 : __real_##name(a, b, c, d, e, f, g);     \
                                                                                                   \
		shared->alive += made != 0;                                                        \
		return made;                                                                       \
	}
#define WRAP_GROW(name)                                                                            \
	intptr_t __real_##name(SEVEN);                                                             \
	intptr_t __wrap_##name(SEVEN);                                                             \
	intptr_t __wrap_##name(SEVEN)                                                              \
	{                                                                                          \
		intptr_t made = fails(#name, ENOMEM) ? 0 : __real_##name(a, b, c, d, e, f, g);     \
                                                                                                   \
		shared->alive += made != 0 && a == 0;                                              \
		return made;                                                                       \
	}
/* realpath() into a buffer of the caller's gives no memory. */
#define WRAP_PATH(name)                                                                            \
	intptr_t __real_##name(SEVEN);                                                             \
	intptr_t __wrap_##name(SEVEN);                                                             \
	intptr_t __wrap_##name(SEVEN)                                                              \
	{                                                                                          \
		intptr_t made = fails(#name, ENOMEM) ? 0 : __real_##name(a, b, c, d, e, f, g);     \
                                                                                                   \
		shared->alive += made != 0 && b == 0;                                              \
		return made;                                                                       \
	}

WRAP_NEW(malloc)
WRAP_NEW(calloc)
WRAP_NEW(strdup)
WRAP_NEW(strndup)
WRAP_GROW(realloc)
WRAP_GROW(reallocarray)
WRAP_PATH(realpath)
WRAP_PATH(__realpath_chk)

intptr_t __real_free(SEVEN);
intptr_t __wrap_free(SEVEN);
intptr_t __wrap_free(SEVEN)
{
	shared->alive -= a != 0;
	return __real_free(a, b, c, d, e, f, g);
}

WRAP(opendir, EMFILE, 0)
WRAP(fdopendir, ENOMEM, 0)
WRAP(fopen64, EMFILE, 0)
WRAP(access, EACCES, -1)
WRAP(chdir, EACCES, -1)
WRAP(clock_nanosleep, EINTR, EINTR)
WRAP(clone, EAGAIN, -1)
WRAP(dup2, EBUSY, -1)
WRAP(dup3, EBUSY, -1)
WRAP(epoll_create1, EMFILE, -1)
WRAP(epoll_ctl, ENOSPC, -1)
WRAP(epoll_wait, EINTR, -1)
WRAP(eventfd, EMFILE, -1)
WRAP(execve, ENOMEM, -1)
WRAP(fchdir, EACCES, -1)
WRAP(fcntl64, EINVAL, -1)
WRAP(fchmodat, EPERM, -1)
WRAP(fchownat, EPERM, -1)
WRAP(fdopen, ENOMEM, 0)
WRAP(flock, ENOLCK, -1)
WRAP(fork, EAGAIN, -1)
WRAP(fstat64, EIO, -1)
WRAP(fstatat64, EIO, -1)
WRAP(fstatvfs64, EIO, -1)
WRAP(fsync, EIO, -1)
WRAP(ftruncate64, EIO, -1)
WRAP(futimens, EPERM, -1)
WRAP(getrandom, EAGAIN, -1)
WRAP(getrlimit64, EINVAL, -1)
WRAP(getsockopt, ENOBUFS, -1)
WRAP(ioctl, ENOTTY, -1)
WRAP(kill, EPERM, -1)
WRAP(lseek64, EINVAL, -1)
WRAP(madvise, EAGAIN, -1)
WRAP(mkdir, ENOSPC, -1)
WRAP(mkdirat, ENOSPC, -1)
WRAP(memfd_create, EMFILE, -1)
WRAP(mmap64, ENOMEM, -1)
WRAP(mount, EPERM, -1)
WRAP(mprotect, ENOMEM, -1)
WRAP(munmap, EINVAL, -1)
WRAP(open64, EMFILE, -1)
WRAP(openat64, EMFILE, -1)
WRAP(__open64_2, EMFILE, -1)
WRAP(__openat64_2, EMFILE, -1)
WRAP(pipe2, EMFILE, -1)
WRAP(poll, EINTR, -1)
WRAP(prctl, EINVAL, -1)
WRAP(pread64, EIO, -1)
WRAP(prlimit64, EPERM, -1)
WRAP(pwrite64, EIO, -1)
WRAP(read, EIO, -1)
WRAP(recv, ENOBUFS, -1)
WRAP(recvmsg, ENOBUFS, -1)
WRAP(renameat, EIO, -1)
WRAP(rmdir, EBUSY, -1)
WRAP(sched_getaffinity, EPERM, -1)
WRAP(sched_setaffinity, EPERM, -1)
WRAP(sched_setscheduler, EPERM, -1)
WRAP(send, ENOBUFS, -1)
WRAP(sendmsg, ENOBUFS, -1)
WRAP(setgroups, EPERM, -1)
WRAP(sethostname, EPERM, -1)
WRAP(setpgid, EPERM, -1)
WRAP(setpriority, EPERM, -1)
WRAP(setresgid, EAGAIN, -1)
WRAP(setresuid, EAGAIN, -1)
WRAP(setrlimit64, EPERM, -1)
WRAP(setsid, EPERM, -1)
WRAP(setsockopt, ENOBUFS, -1)
WRAP(shutdown, ENOBUFS, -1)
WRAP(sigaction, EINVAL, -1)
WRAP(signalfd, EMFILE, -1)
WRAP(sigprocmask, EINVAL, -1)
WRAP(sigqueue, EAGAIN, -1)
WRAP(socketpair, EMFILE, -1)
WRAP(stat64, EIO, -1)
WRAP(symlinkat, ENOSPC, -1)

long __wrap_syscall(SEVEN);
long __wrap_syscall(SEVEN)
{
	/* Without waiting, and of one's own children: there is no way for it to fail. */
	if (a != SYS_waitid && fails("syscall", EPERM))
		return -1;
	return __real_syscall(a, b, c, d, e, f, g);
}

WRAP(timer_create, EAGAIN, -1)
WRAP(timer_settime, EINVAL, -1)
WRAP(timerfd_create, EMFILE, -1)
WRAP(timerfd_settime, ECANCELED, -1)
WRAP(umount2, EBUSY, -1)
WRAP(unlinkat, EBUSY, -1)
WRAP(unshare, EPERM, -1)
WRAP(wait, EINTR, -1)
WRAP(wait4, EINTR, -1)
WRAP(waitpid, EINTR, -1)
WRAP(write, EIO, -1)

/* It is closed all the same: so does Linux. */
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	int rc = __real_close(fd);

	return fails("close", EIO) ? -1 : rc;
}

/* Its child returns through the same stack frame: no frame of ours may be in between. */
int inject_vfork(void);
int inject_vfork(void)
{
	return fails("vfork", EAGAIN);
}

__asm__(".globl __wrap_vfork\n"
	".type __wrap_vfork, @function\n"
	"__wrap_vfork:\n"
	"	subq $8, %rsp\n"
	"	call inject_vfork\n"
	"	addq $8, %rsp\n"
	"	testl %eax, %eax\n"
	"	jne 1f\n"
	"	jmp __real_vfork\n"
	"1:	movl $-1, %eax\n"
	"	ret\n"
	".size __wrap_vfork, .-__wrap_vfork\n");
