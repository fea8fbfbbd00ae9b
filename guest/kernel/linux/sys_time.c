/*
 * Clocks, sleeping, interval timers.
 *
 * Trust boundary: as clock.c.
 */
#include "syscalls.h"

#define TIMER_ABSTIME 1u
#define NS_PER_US UINT64_C(1000)
#define US_PER_SEC UINT64_C(1000000)
#define TIMERFD_FLAGS ((uint64_t)(LX_O_CLOEXEC | LX_O_NONBLOCK))

/* Linux's clock numbers. */
static int read_clock(struct kernel *kernel, uint64_t clock, uint64_t *ns)
{
	switch ((int32_t)clock) {
	case 0: /* REALTIME */
	case 5: /* REALTIME_COARSE */
	case 8: /* REALTIME_ALARM */
	case 11: /* TAI */ *ns = clock_ns(kernel, CLOCK_WALL); return 0;
	case 1: /* MONOTONIC */
	case 4: /* MONOTONIC_RAW */
	case 6: /* MONOTONIC_COARSE */
	case 7: /* BOOTTIME */
	case 9: /* BOOTTIME_ALARM */ *ns = clock_ns(kernel, CLOCK_STEADY); return 0;
	case 2: /* PROCESS_CPUTIME_ID */
	case 3: /* THREAD_CPUTIME_ID */ *ns = clock_cpu_ns(kernel); return 0;
	default:
		if ((int32_t)clock >= 0)
			return -EINVAL;
		*ns = clock_cpu_ns(kernel); /* of a process or thread by number: there is one */
		return 0;
	}
}

int64_t sys_clock_gettime(struct kernel *kernel, const struct call *call)
{
	uint64_t ns;
	int error = read_clock(kernel, call->a, &ns);

	return error ? error : clock_put_timespec(kernel, call->b, ns);
}

int64_t sys_clock_getres(struct kernel *kernel, const struct call *call)
{
	uint64_t ns;
	int error = read_clock(kernel, call->a, &ns);

	if (error || !call->b)
		return error;
	return clock_put_timespec(kernel, call->b, 1);
}

int64_t sys_gettimeofday(struct kernel *kernel, const struct call *call)
{
	uint64_t ns = clock_ns(kernel, CLOCK_WALL);
	struct lx_timespec time = {(int64_t)(ns / NS_PER_SEC),
				   (int64_t)(ns % NS_PER_SEC / NS_PER_US)};
	uint64_t zone = 0;

	if (call->a && user_put(kernel, call->a, &time, sizeof(time)))
		return -EFAULT;
	return call->b ? user_put(kernel, call->b, &zone, sizeof(zone)) : 0;
}

int64_t sys_time(struct kernel *kernel, const struct call *call)
{
	int64_t seconds = (int64_t)(clock_ns(kernel, CLOCK_WALL) / NS_PER_SEC);

	if (call->a && user_put(kernel, call->a, &seconds, sizeof(seconds)))
		return -EFAULT;
	return seconds;
}

static int64_t sleep_until(struct kernel *kernel, uint64_t deadline_ns, uint64_t left_address)
{
	struct thread *self = kernel->current;
	uint64_t now = clock_ns(kernel, CLOCK_STEADY);
	int64_t result;

	if (self->has_deadline)
		deadline_ns = self->deadline_ns;
	if (self->woken == WAKE_TIMEOUT || now >= deadline_ns)
		return 0;
	result = thread_wait(kernel, WAIT_TIME, 0, deadline_ns);
	if (result != -RESTART)
		return result;
	if (left_address && clock_put_timespec(kernel, left_address, deadline_ns - now))
		return -EFAULT;
	return -EINTR;
}

int64_t sys_nanosleep(struct kernel *kernel, const struct call *call)
{
	uint64_t ns;
	int error = clock_get_timespec(kernel, call->a, &ns);

	if (error)
		return error;
	return sleep_until(kernel, clock_ns(kernel, CLOCK_STEADY) + ns, call->b);
}

int64_t sys_clock_nanosleep(struct kernel *kernel, const struct call *call)
{
	uint64_t steady = clock_ns(kernel, CLOCK_STEADY);
	uint64_t now;
	uint64_t ns;
	int error = read_clock(kernel, call->a, &now);

	if (!error)
		error = clock_get_timespec(kernel, call->c, &ns);
	if (error)
		return error;
	if (call->b & TIMER_ABSTIME)
		return sleep_until(kernel, steady + (ns > now ? ns - now : 0), 0);
	return sleep_until(kernel, steady + ns, call->d);
}

struct timevals { /* struct itimerval: period, then what is left; in microseconds */
	int64_t period_s, period_us, first_s, first_us;
};

static uint64_t timer_now(struct kernel *kernel, uint64_t which)
{
	return which == TIMER_REAL ? clock_ns(kernel, CLOCK_STEADY) : clock_cpu_ns(kernel);
}

static struct timevals timer_state(struct kernel *kernel, uint64_t which)
{
	const struct interval_timer *timer = &kernel->timers[which];
	uint64_t now = timer_now(kernel, which);
	uint64_t left = timer->next_ns > now ? timer->next_ns - now : 0;
	uint64_t left_us = timer->next_ns && left < NS_PER_US ? 1 : left / NS_PER_US;
	uint64_t period_us = timer->period_ns / NS_PER_US;

	if (timer->next_ns == 0)
		left_us = 0;
	return (struct timevals){(int64_t)(period_us / US_PER_SEC),
				 (int64_t)(period_us % US_PER_SEC), (int64_t)(left_us / US_PER_SEC),
				 (int64_t)(left_us % US_PER_SEC)};
}

static int ns_of(int64_t seconds, int64_t us, uint64_t *ns)
{
	if (seconds < 0 || us < 0 || (uint64_t)us >= US_PER_SEC)
		return -EINVAL;
	if ((uint64_t)seconds > (uint64_t)INT64_MAX / NS_PER_SEC / 2)
		seconds = INT64_MAX / (int64_t)NS_PER_SEC / 2;
	*ns = (uint64_t)seconds * NS_PER_SEC + (uint64_t)us * NS_PER_US;
	return 0;
}

int64_t sys_getitimer(struct kernel *kernel, const struct call *call)
{
	struct timevals state;

	if (call->a >= TIMER_COUNT)
		return -EINVAL;
	state = timer_state(kernel, call->a);
	return user_put(kernel, call->b, &state, sizeof(state));
}

static void set_timer(struct kernel *kernel, uint64_t which, uint64_t first_ns, uint64_t period_ns)
{
	struct interval_timer *timer = &kernel->timers[which];

	timer->next_ns = first_ns ? timer_now(kernel, which) + first_ns : 0;
	timer->period_ns = period_ns;
	kernel->review_kicks = true;
}

int64_t sys_setitimer(struct kernel *kernel, const struct call *call)
{
	struct timevals new;
	struct timevals old;
	uint64_t first_ns;
	uint64_t period_ns;

	if (call->a >= TIMER_COUNT)
		return -EINVAL;
	if (user_get(kernel, &new, call->b, sizeof(new)))
		return -EFAULT;
	if (ns_of(new.first_s, new.first_us, &first_ns) ||
	    ns_of(new.period_s, new.period_us, &period_ns))
		return -EINVAL;
	old = timer_state(kernel, call->a);
	if (call->c && user_put(kernel, call->c, &old, sizeof(old)))
		return -EFAULT;
	set_timer(kernel, call->a, first_ns, period_ns);
	return 0;
}

int64_t sys_alarm(struct kernel *kernel, const struct call *call)
{
	struct timevals old = timer_state(kernel, TIMER_REAL);
	int64_t left = old.first_s + (old.first_us >= (int64_t)US_PER_SEC / 2 ||
				      (old.first_s == 0 && old.first_us > 0));

	set_timer(kernel, TIMER_REAL, (uint32_t)call->a * NS_PER_SEC, 0);
	return left;
}

int64_t sys_times(struct kernel *kernel, const struct call *call)
{
	uint64_t ticks = clock_cpu_ns(kernel) / (NS_PER_SEC / 100);
	uint64_t out[4] = {ticks, 0, 0, 0};

	if (call->a && user_put(kernel, call->a, out, sizeof(out)))
		return -EFAULT;
	return (int64_t)(clock_ns(kernel, CLOCK_STEADY) / (NS_PER_SEC / 100));
}

int64_t sys_timerfd_create(struct kernel *kernel, const struct call *call)
{
	struct file *file;
	int error;

	if ((call->a != 0 && call->a != 1 && call->a != 7) || (call->b & ~TIMERFD_FLAGS))
		return -EINVAL;
	error = timerfd_make(&kernel->vfs, call->a == 0 ? CLOCK_WALL : CLOCK_STEADY,
			     (uint32_t)call->b, &file);
	return error ? error : install_or_drop(kernel, file, (uint32_t)call->b);
}

static int64_t put_timer(struct kernel *kernel, struct file *file, uint64_t address)
{
	uint64_t left_ns;
	uint64_t period_ns;
	int error = timerfd_get(file, &left_ns, &period_ns);

	if (error)
		return error;
	error = clock_put_timespec(kernel, address, period_ns);
	return error ? error
		     : clock_put_timespec(kernel, address + sizeof(struct lx_timespec), left_ns);
}

int64_t sys_timerfd_settime(struct kernel *kernel, const struct call *call)
{
	struct file *file = fd_get(&kernel->fds, (uint32_t)call->a);
	uint64_t first_ns;
	uint64_t period_ns;
	int error;

	if (!file)
		return -EBADF;
	if (call->b & ~UINT64_C(3))
		return -EINVAL;
	error = clock_get_timespec(kernel, call->c, &period_ns);
	if (!error)
		error = clock_get_timespec(kernel, call->c + sizeof(struct lx_timespec), &first_ns);
	if (!error && call->d)
		error = (int)put_timer(kernel, file, call->d);
	if (error)
		return error;
	kernel->review_kicks = true;
	return timerfd_set(file, first_ns, period_ns, call->b & 1);
}

int64_t sys_timerfd_gettime(struct kernel *kernel, const struct call *call)
{
	struct file *file = fd_get(&kernel->fds, (uint32_t)call->a);

	return file ? put_timer(kernel, file, call->b) : -EBADF;
}
