/*
 * System calls that ask who and where we are: identity, limits, usage, random bytes.
 *
 * Trust boundary: nothing told here is about the host; buffers are checked before they are filled.
 */
#include "syscalls.h"

#define UTS_FIELD_BYTES 65u
#define NS_PER_US UINT64_C(1000)
#define US_PER_SEC UINT64_C(1000000)

enum {
	LIMIT_CPU,
	LIMIT_FSIZE,
	LIMIT_DATA,
	LIMIT_STACK,
	LIMIT_CORE,
	LIMIT_RSS,
	LIMIT_NPROC,
	LIMIT_NOFILE,
	LIMIT_MEMLOCK,
	LIMIT_AS,
	LIMITS = 16
};

struct limit {
	uint64_t soft, hard;
};

int64_t sys_uname(struct kernel *kernel, const struct call *call)
{
	static const char *const fields[6] = {"Linux",       "sandbox", GUEST_RELEASE,
					      GUEST_VERSION, "x86_64",  "(none)"};
	char *out = user_range(kernel, call->a,
			       sizeof(fields) / sizeof(fields[0]) * UTS_FIELD_BYTES, LX_PROT_WRITE);

	if (!out)
		return -EFAULT;
	memset(out, 0, 6 * UTS_FIELD_BYTES);
	for (unsigned i = 0; i < 6; i++)
		memcpy(out + i * UTS_FIELD_BYTES, fields[i], strlen(fields[i]));
	return 0;
}

int64_t sys_getuid(struct kernel *kernel, const struct call *call)
{
	(void)kernel, (void)call;
	return GUEST_UID;
}

int64_t sys_getresuid(struct kernel *kernel, const struct call *call)
{
	const uint32_t uid = GUEST_UID;

	if (user_put(kernel, call->a, &uid, sizeof(uid)) ||
	    user_put(kernel, call->b, &uid, sizeof(uid)) ||
	    user_put(kernel, call->c, &uid, sizeof(uid)))
		return -EFAULT;
	return 0;
}

int64_t sys_getgroups(struct kernel *kernel, const struct call *call)
{
	(void)kernel, (void)call;
	return 0;
}

/* Becoming somebody else, or what only root of a real machine may do. */
int64_t sys_not_permitted(struct kernel *kernel, const struct call *call)
{
	(void)kernel, (void)call;
	return -EPERM;
}

/* Extended attributes: no file system in here has them. */
int64_t sys_not_supported(struct kernel *kernel, const struct call *call)
{
	(void)kernel, (void)call;
	return -EOPNOTSUPP;
}

int64_t sys_fchown(struct kernel *kernel, const struct call *call)
{
	return fd_get(&kernel->fds, (uint32_t)call->a) ? -EPERM : -EBADF;
}

int64_t sys_return_zero(struct kernel *kernel, const struct call *call)
{
	(void)kernel, (void)call;
	return 0;
}

/* Of ourselves only; getpriority answers 20 - nice. */
static bool is_self(const struct kernel *kernel, const struct call *call)
{
	return call->a == 0 && (call->b == 0 || call->b == kernel->pid);
}

int64_t sys_getpriority(struct kernel *kernel, const struct call *call)
{
	return is_self(kernel, call) ? 20 - (int64_t)kernel->nice : -EPERM;
}

int64_t sys_setpriority(struct kernel *kernel, const struct call *call)
{
	int32_t nice = (int32_t)call->c;

	if (!is_self(kernel, call))
		return -EPERM;
	if (nice < (int32_t)kernel->nice)
		return -EACCES;
	kernel->nice = (uint32_t)min_u64((uint64_t)nice, 19);
	return 0;
}

int64_t sys_getppid(struct kernel *kernel, const struct call *call)
{
	(void)kernel, (void)call;
	return 1;
}

int64_t sys_getpgid(struct kernel *kernel, const struct call *call)
{
	if (call->a != 0 && call->a != kernel->pid)
		return -ESRCH;
	return kernel->pid;
}

int64_t sys_wait4(struct kernel *kernel, const struct call *call)
{
	(void)kernel, (void)call;
	return -ECHILD;
}

static struct limit limit_of(const struct kernel *kernel, uint64_t which)
{
	struct limit limit = {UINT64_MAX, UINT64_MAX};

	if (which == LIMIT_NOFILE)
		limit.soft = limit.hard = kernel->fds.limit;
	if (which == LIMIT_CORE || which == LIMIT_MEMLOCK)
		limit.soft = limit.hard = 0;
	if (which == LIMIT_NPROC)
		limit.soft = limit.hard =
			kernel->run->max_threads ? kernel->run->max_threads : MAX_THREADS;
	if (which == LIMIT_AS)
		limit.soft = limit.hard = kernel->mm.limit;
	if (which == LIMIT_FSIZE)
		limit.soft = limit.hard = kernel->vfs.tmpfs.max_bytes;
	return limit;
}

/* Lowering a limit is accepted for descriptors and otherwise left without effect, raising is not. */
static int64_t set_limit(struct kernel *kernel, uint64_t which, struct limit new)
{
	struct limit old = limit_of(kernel, which);

	if (new.soft > new.hard)
		return -EINVAL;
	if (new.hard > old.hard)
		return -EPERM;
	if (which == LIMIT_NOFILE)
		kernel->fds.limit = (uint32_t)min_u64(new.soft, old.soft);
	return 0;
}

int64_t sys_prlimit64(struct kernel *kernel, const struct call *call)
{
	struct limit new;
	struct limit old;

	if (call->a != 0 && call->a != kernel->pid)
		return -EPERM;
	if (call->b >= LIMITS)
		return -EINVAL;
	old = limit_of(kernel, call->b);
	if (call->c && user_get(kernel, &new, call->c, sizeof(new)))
		return -EFAULT;
	if (call->d && user_put(kernel, call->d, &old, sizeof(old)))
		return -EFAULT;
	return call->c ? set_limit(kernel, call->b, new) : 0;
}

int64_t sys_getrlimit(struct kernel *kernel, const struct call *call)
{
	struct call inner = {.b = call->a, .d = call->b};

	return sys_prlimit64(kernel, &inner);
}

int64_t sys_setrlimit(struct kernel *kernel, const struct call *call)
{
	struct call inner = {.b = call->a, .c = call->b};

	return sys_prlimit64(kernel, &inner);
}

struct usage {
	int64_t user_s, user_us, system_s, system_us, max_kib;
	int64_t rest[13];
};

int64_t sys_getrusage(struct kernel *kernel, const struct call *call)
{
	uint64_t us = clock_cpu_ns(kernel) / NS_PER_US;
	struct usage usage = {0};

	if ((int32_t)call->a > 1 || (int32_t)call->a < -1)
		return -EINVAL;
	if ((int32_t)call->a != -1) {
		usage.user_s = (int64_t)(us / US_PER_SEC);
		usage.user_us = (int64_t)(us % US_PER_SEC);
		usage.max_kib = (int64_t)(kernel->mm.peak / 1024);
	}
	return user_put(kernel, call->b, &usage, sizeof(usage));
}

uint64_t memory_total(const struct kernel *kernel)
{
	uint64_t space = kernel->mm.high - kernel->mm.low;

	return kernel->mm.limit < space ? kernel->mm.limit : space;
}

uint64_t memory_free(const struct kernel *kernel)
{
	uint64_t total = memory_total(kernel);

	return total > kernel->mm.charged ? total - kernel->mm.charged : 0;
}

struct system_info {
	int64_t uptime;
	uint64_t loads[3];
	uint64_t total, free, shared, buffers, swap_total, swap_free;
	uint16_t processes, pad;
	uint32_t pad2;
	uint64_t high_total, high_free;
	uint32_t unit;
	uint32_t pad3;
};

_Static_assert(sizeof(struct system_info) == 112, "Linux ABI");

int64_t sys_sysinfo(struct kernel *kernel, const struct call *call)
{
	struct system_info info = {
		.uptime = (int64_t)(clock_ns(kernel, CLOCK_STEADY) / NS_PER_SEC),
		.total = memory_total(kernel),
		.free = memory_free(kernel),
		.processes = 1,
		.unit = 1,
	};

	return user_put(kernel, call->a, &info, sizeof(info));
}

int64_t sys_getrandom(struct kernel *kernel, const struct call *call)
{
	uint64_t bytes =
		user_usable(kernel, call->a, min_u64(call->b, UINT64_C(1) << 25), LX_PROT_WRITE);

	if (call->c & ~UINT64_C(7))
		return -EINVAL;
	if (bytes == 0 && call->b > 0)
		return -EFAULT;
	random_fill(&kernel->random, pointer_of(call->a), bytes);
	return (int64_t)bytes;
}

int64_t sys_eventfd2(struct kernel *kernel, const struct call *call)
{
	struct file *file;
	int error;

	if (call->b & ~(uint64_t)(LX_O_CLOEXEC | LX_O_NONBLOCK | 1))
		return -EINVAL;
	error = eventfd_make(&kernel->vfs, (uint32_t)call->a, call->b & 1,
			     (uint32_t)call->b & (LX_O_CLOEXEC | LX_O_NONBLOCK), &file);
	return error ? error : install_or_drop(kernel, file, (uint32_t)call->b);
}

int64_t sys_eventfd(struct kernel *kernel, const struct call *call)
{
	struct call inner = {.a = call->a};

	return sys_eventfd2(kernel, &inner);
}
