/*
 * Time, from the processor's counter and the host's word about it.
 *
 * Trust boundary: the multiplier comes from the VMM; time structures from the program, which may
 * hold anything: nanoseconds must be below a second, seconds are saturated at 292 years.
 */
#include "kernel.h"

static const struct guest_clock *current_clock(const struct kernel *kernel)
{
	return kernel->generation > 0 ? &kernel->run->clock : &kernel->boot->clock;
}

/* The counter may be another one than the VMM's, and may stand still while the VMM runs: what counts
 * is what it says here, when the VMM has just told the time. */
void clock_rebase(struct kernel *kernel)
{
	uint64_t told = current_clock(kernel)->base_tsc;

	if (told == kernel->told_base_tsc)
		return;
	kernel->told_base_tsc = told;
	kernel->base_tsc = cpu_ticks();
	clock_publish(kernel);
}

void clock_publish(const struct kernel *kernel)
{
	const struct guest_clock *clock = current_clock(kernel);

	if (!kernel->published)
		return;
	*kernel->published = (struct published_clock){
		.sequence = kernel->published->sequence + 1,
		.base_ticks = kernel->base_tsc,
		.multiplier = clock->multiplier,
		.steady_base_ns = clock->monotonic_base_ns,
		.wall_base_ns = clock->realtime_base_ns,
	};
}

static uint64_t since_base(const struct kernel *kernel, const struct guest_clock *clock)
{
	uint64_t ticks = cpu_ticks();
	unsigned __int128 product;

	if (ticks <= kernel->base_tsc)
		return 0;
	product = (unsigned __int128)(ticks - kernel->base_tsc) * clock->multiplier;
	return (uint64_t)(product >> 32);
}

uint64_t clock_ns(struct kernel *kernel, enum clock_kind kind)
{
	const struct guest_clock *clock = current_clock(kernel);
	uint64_t base = kind == CLOCK_WALL ? clock->realtime_base_ns : clock->monotonic_base_ns;

	return base + since_base(kernel, clock);
}

uint64_t clock_cpu_ns(struct kernel *kernel)
{
	uint64_t now = clock_ns(kernel, CLOCK_STEADY);
	uint64_t start = kernel->started_ns + kernel->idle_ns;

	return now > start ? now - start : 0;
}

int clock_get_timespec(struct kernel *kernel, uint64_t address, uint64_t *ns)
{
	struct lx_timespec time;
	int error = user_get(kernel, &time, address, sizeof(time));

	if (error)
		return error;
	if (time.tv_sec < 0 || time.tv_nsec < 0 || (uint64_t)time.tv_nsec >= NS_PER_SEC)
		return -EINVAL;
	if ((uint64_t)time.tv_sec > (uint64_t)INT64_MAX / NS_PER_SEC - 1)
		*ns = INT64_MAX;
	else
		*ns = (uint64_t)time.tv_sec * NS_PER_SEC + (uint64_t)time.tv_nsec;
	return 0;
}

int clock_deadline(struct kernel *kernel, uint64_t address, uint64_t *deadline_ns)
{
	uint64_t ns;
	int error;

	*deadline_ns = NEVER_NS;
	if (address == 0)
		return 0;
	error = clock_get_timespec(kernel, address, &ns);
	if (!error)
		*deadline_ns = clock_ns(kernel, CLOCK_STEADY) + ns;
	return error;
}

int clock_put_timespec(struct kernel *kernel, uint64_t address, uint64_t ns)
{
	struct lx_timespec time = {.tv_sec = (int64_t)(ns / NS_PER_SEC),
				   .tv_nsec = (int64_t)(ns % NS_PER_SEC)};

	return user_put(kernel, address, &time, sizeof(time));
}
