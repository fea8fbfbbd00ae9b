/*
 * System calls: their arguments, and what the files that implement them share.
 */
#ifndef PSB_KERNEL_SYSCALLS_H
#define PSB_KERNEL_SYSCALLS_H

#include "kernel.h"

#define GUEST_UID 1000u
#define GUEST_RELEASE "6.1.0-sandbox"
#define GUEST_VERSION "#1 SMP"
#define LARGE_FILE 0100000u /* O_LARGEFILE, as F_GETFL shows it */

struct call {
	uint64_t a, b, c, d, e, f;
};

/* Installs at the lowest free descriptor, or drops the file: the descriptor or -EMFILE. */
int64_t install_or_drop(struct kernel *kernel, struct file *file, uint32_t flags);
/* Both, and puts the two numbers at the address. */
int64_t install_pair(struct kernel *kernel, struct file *ends[2], uint32_t flags, uint64_t address);

/* sys_poll.c, for epoll as well. A deadline of 0: do not wait. */
int64_t poll_wait(struct kernel *kernel, uint64_t deadline_ns);
uint64_t poll_deadline_ms(struct kernel *kernel, int32_t ms);
int borrow_mask_at(struct kernel *kernel, uint64_t address, uint64_t bytes);
int64_t unborrow_after(struct kernel *kernel, int64_t result);

uint64_t memory_total(const struct kernel *kernel);
uint64_t memory_free(const struct kernel *kernel);

int64_t sys_access(struct kernel *kernel, const struct call *call);
int64_t sys_alarm(struct kernel *kernel, const struct call *call);
int64_t sys_arch_prctl(struct kernel *kernel, const struct call *call);
int64_t sys_brk(struct kernel *kernel, const struct call *call);
int64_t sys_chdir(struct kernel *kernel, const struct call *call);
int64_t sys_chmod(struct kernel *kernel, const struct call *call);
int64_t sys_clock_getres(struct kernel *kernel, const struct call *call);
int64_t sys_clock_gettime(struct kernel *kernel, const struct call *call);
int64_t sys_clock_nanosleep(struct kernel *kernel, const struct call *call);
int64_t sys_clone(struct kernel *kernel, const struct call *call);
int64_t sys_clone3(struct kernel *kernel, const struct call *call);
int64_t sys_close(struct kernel *kernel, const struct call *call);
int64_t sys_close_range(struct kernel *kernel, const struct call *call);
int64_t sys_creat(struct kernel *kernel, const struct call *call);
int64_t sys_dup(struct kernel *kernel, const struct call *call);
int64_t sys_dup2(struct kernel *kernel, const struct call *call);
int64_t sys_dup3(struct kernel *kernel, const struct call *call);
int64_t sys_epoll_create(struct kernel *kernel, const struct call *call);
int64_t sys_epoll_create1(struct kernel *kernel, const struct call *call);
int64_t sys_epoll_ctl(struct kernel *kernel, const struct call *call);
int64_t sys_epoll_pwait(struct kernel *kernel, const struct call *call);
int64_t sys_epoll_wait(struct kernel *kernel, const struct call *call);
int64_t sys_eventfd(struct kernel *kernel, const struct call *call);
int64_t sys_eventfd2(struct kernel *kernel, const struct call *call);
int64_t sys_exit(struct kernel *kernel, const struct call *call);
int64_t sys_exit_group(struct kernel *kernel, const struct call *call);
int64_t sys_faccessat(struct kernel *kernel, const struct call *call);
int64_t sys_faccessat2(struct kernel *kernel, const struct call *call);
int64_t sys_fallocate(struct kernel *kernel, const struct call *call);
int64_t sys_fchdir(struct kernel *kernel, const struct call *call);
int64_t sys_fchmod(struct kernel *kernel, const struct call *call);
int64_t sys_fchmodat(struct kernel *kernel, const struct call *call);
int64_t sys_fcntl(struct kernel *kernel, const struct call *call);
int64_t sys_fchown(struct kernel *kernel, const struct call *call);
int64_t sys_flock(struct kernel *kernel, const struct call *call);
int64_t sys_fork(struct kernel *kernel, const struct call *call);
int64_t sys_fstat(struct kernel *kernel, const struct call *call);
int64_t sys_fstatfs(struct kernel *kernel, const struct call *call);
int64_t sys_fsync(struct kernel *kernel, const struct call *call);
int64_t sys_ftruncate(struct kernel *kernel, const struct call *call);
int64_t sys_futex(struct kernel *kernel, const struct call *call);
int64_t sys_getcpu(struct kernel *kernel, const struct call *call);
int64_t sys_getcwd(struct kernel *kernel, const struct call *call);
int64_t sys_getdents64(struct kernel *kernel, const struct call *call);
int64_t sys_getgroups(struct kernel *kernel, const struct call *call);
int64_t sys_getitimer(struct kernel *kernel, const struct call *call);
int64_t sys_getpgid(struct kernel *kernel, const struct call *call);
int64_t sys_getpid(struct kernel *kernel, const struct call *call);
int64_t sys_getpriority(struct kernel *kernel, const struct call *call);
int64_t sys_setpriority(struct kernel *kernel, const struct call *call);
int64_t sys_getppid(struct kernel *kernel, const struct call *call);
int64_t sys_getrandom(struct kernel *kernel, const struct call *call);
int64_t sys_getresuid(struct kernel *kernel, const struct call *call);
int64_t sys_getrlimit(struct kernel *kernel, const struct call *call);
int64_t sys_getrusage(struct kernel *kernel, const struct call *call);
int64_t sys_getsockname(struct kernel *kernel, const struct call *call);
int64_t sys_getsockopt(struct kernel *kernel, const struct call *call);
int64_t sys_gettid(struct kernel *kernel, const struct call *call);
int64_t sys_gettimeofday(struct kernel *kernel, const struct call *call);
int64_t sys_getuid(struct kernel *kernel, const struct call *call);
int64_t sys_ioctl(struct kernel *kernel, const struct call *call);
int64_t sys_kill(struct kernel *kernel, const struct call *call);
int64_t sys_link(struct kernel *kernel, const struct call *call);
int64_t sys_linkat(struct kernel *kernel, const struct call *call);
int64_t sys_lseek(struct kernel *kernel, const struct call *call);
int64_t sys_lstat(struct kernel *kernel, const struct call *call);
int64_t sys_madvise(struct kernel *kernel, const struct call *call);
int64_t sys_memfd_create(struct kernel *kernel, const struct call *call);
int64_t sys_mincore(struct kernel *kernel, const struct call *call);
int64_t sys_mkdir(struct kernel *kernel, const struct call *call);
int64_t sys_mkdirat(struct kernel *kernel, const struct call *call);
int64_t sys_mlock(struct kernel *kernel, const struct call *call);
int64_t sys_mmap(struct kernel *kernel, const struct call *call);
int64_t sys_mprotect(struct kernel *kernel, const struct call *call);
int64_t sys_mremap(struct kernel *kernel, const struct call *call);
int64_t sys_msync(struct kernel *kernel, const struct call *call);
int64_t sys_munmap(struct kernel *kernel, const struct call *call);
int64_t sys_nanosleep(struct kernel *kernel, const struct call *call);
int64_t sys_newfstatat(struct kernel *kernel, const struct call *call);
int64_t sys_not_supported(struct kernel *kernel, const struct call *call);
int64_t sys_not_permitted(struct kernel *kernel, const struct call *call);
int64_t sys_open(struct kernel *kernel, const struct call *call);
int64_t sys_openat(struct kernel *kernel, const struct call *call);
int64_t sys_pause(struct kernel *kernel, const struct call *call);
int64_t sys_pipe(struct kernel *kernel, const struct call *call);
int64_t sys_pipe2(struct kernel *kernel, const struct call *call);
int64_t sys_poll(struct kernel *kernel, const struct call *call);
int64_t sys_ppoll(struct kernel *kernel, const struct call *call);
int64_t sys_prctl(struct kernel *kernel, const struct call *call);
int64_t sys_pread64(struct kernel *kernel, const struct call *call);
int64_t sys_preadv(struct kernel *kernel, const struct call *call);
int64_t sys_preadv2(struct kernel *kernel, const struct call *call);
int64_t sys_prlimit64(struct kernel *kernel, const struct call *call);
int64_t sys_pselect6(struct kernel *kernel, const struct call *call);
int64_t sys_pwrite64(struct kernel *kernel, const struct call *call);
int64_t sys_pwritev(struct kernel *kernel, const struct call *call);
int64_t sys_pwritev2(struct kernel *kernel, const struct call *call);
int64_t sys_read(struct kernel *kernel, const struct call *call);
int64_t sys_readlink(struct kernel *kernel, const struct call *call);
int64_t sys_readlinkat(struct kernel *kernel, const struct call *call);
int64_t sys_readv(struct kernel *kernel, const struct call *call);
int64_t sys_recvfrom(struct kernel *kernel, const struct call *call);
int64_t sys_recvmsg(struct kernel *kernel, const struct call *call);
int64_t sys_rename(struct kernel *kernel, const struct call *call);
int64_t sys_renameat(struct kernel *kernel, const struct call *call);
int64_t sys_renameat2(struct kernel *kernel, const struct call *call);
int64_t sys_return_zero(struct kernel *kernel, const struct call *call);
int64_t sys_rmdir(struct kernel *kernel, const struct call *call);
int64_t sys_rt_sigaction(struct kernel *kernel, const struct call *call);
int64_t sys_rt_sigpending(struct kernel *kernel, const struct call *call);
int64_t sys_rt_sigprocmask(struct kernel *kernel, const struct call *call);
int64_t sys_rt_sigreturn(struct kernel *kernel, const struct call *call);
int64_t sys_rt_sigsuspend(struct kernel *kernel, const struct call *call);
int64_t sys_rt_sigtimedwait(struct kernel *kernel, const struct call *call);
int64_t sys_sched_getaffinity(struct kernel *kernel, const struct call *call);
int64_t sys_sched_getparam(struct kernel *kernel, const struct call *call);
int64_t sys_sched_getscheduler(struct kernel *kernel, const struct call *call);
int64_t sys_sched_priority(struct kernel *kernel, const struct call *call);
int64_t sys_sched_setaffinity(struct kernel *kernel, const struct call *call);
int64_t sys_sched_yield(struct kernel *kernel, const struct call *call);
int64_t sys_select(struct kernel *kernel, const struct call *call);
int64_t sys_sendfile(struct kernel *kernel, const struct call *call);
int64_t sys_sendmsg(struct kernel *kernel, const struct call *call);
int64_t sys_sendto(struct kernel *kernel, const struct call *call);
int64_t sys_set_robust_list(struct kernel *kernel, const struct call *call);
int64_t sys_set_tid_address(struct kernel *kernel, const struct call *call);
int64_t sys_setitimer(struct kernel *kernel, const struct call *call);
int64_t sys_setrlimit(struct kernel *kernel, const struct call *call);
int64_t sys_setsockopt(struct kernel *kernel, const struct call *call);
int64_t sys_shutdown(struct kernel *kernel, const struct call *call);
int64_t sys_sigaltstack(struct kernel *kernel, const struct call *call);
int64_t sys_socket(struct kernel *kernel, const struct call *call);
int64_t sys_socketpair(struct kernel *kernel, const struct call *call);
int64_t sys_stat(struct kernel *kernel, const struct call *call);
int64_t sys_statfs(struct kernel *kernel, const struct call *call);
int64_t sys_statx(struct kernel *kernel, const struct call *call);
int64_t sys_symlink(struct kernel *kernel, const struct call *call);
int64_t sys_symlinkat(struct kernel *kernel, const struct call *call);
int64_t sys_sysinfo(struct kernel *kernel, const struct call *call);
int64_t sys_tgkill(struct kernel *kernel, const struct call *call);
int64_t sys_time(struct kernel *kernel, const struct call *call);
int64_t sys_timerfd_create(struct kernel *kernel, const struct call *call);
int64_t sys_timerfd_gettime(struct kernel *kernel, const struct call *call);
int64_t sys_timerfd_settime(struct kernel *kernel, const struct call *call);
int64_t sys_times(struct kernel *kernel, const struct call *call);
int64_t sys_tkill(struct kernel *kernel, const struct call *call);
int64_t sys_truncate(struct kernel *kernel, const struct call *call);
int64_t sys_umask(struct kernel *kernel, const struct call *call);
int64_t sys_uname(struct kernel *kernel, const struct call *call);
int64_t sys_unlink(struct kernel *kernel, const struct call *call);
int64_t sys_unlinkat(struct kernel *kernel, const struct call *call);
int64_t sys_utimensat(struct kernel *kernel, const struct call *call);
int64_t sys_wait4(struct kernel *kernel, const struct call *call);
int64_t sys_write(struct kernel *kernel, const struct call *call);
int64_t sys_writev(struct kernel *kernel, const struct call *call);

#endif
