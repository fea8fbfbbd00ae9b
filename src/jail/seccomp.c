/*
 * Installs the generated filters. The template's holds for the zygote and all that it makes; the
 * instance's only takes away. The kernel takes the most restrictive verdict of both, where an
 * errno beats a notification, so the instance's program never notifies (without a listener of its
 * own that would read as ENOSYS) and never masks a member of the kill class.
 * Trust boundary: the programs are constants; the only run-time values, a pid and a descriptor,
 * come from the caller and are patched into a copy on the stack, counted against the generator.
 */
#include "jail/jail.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "jail/filters.h"

struct filter {
	const struct sock_filter *code;
	size_t count;
	size_t pids;
	size_t fds;
};

#define FILTER(name)                                                                               \
	{                                                                                          \
		name, sizeof(name) / sizeof((name)[0]), name##_PIDS, name##_FDS                    \
	}

static const struct filter templates[] = {
	[RUNG_A] = FILTER(template_a),
	[RUNG_B] = FILTER(template_b),
	[RUNG_C] = FILTER(template_plain),
	[RUNG_D] = FILTER(template_plain),
};

static const struct filter instances[][2] = {
	[RUNG_A] = {FILTER(instance_ns), FILTER(instance_ns_fork)},
	[RUNG_B] = {FILTER(instance_ns), FILTER(instance_ns_fork)},
	[RUNG_C] = {FILTER(instance_plain), FILTER(instance_plain_fork)},
	[RUNG_D] = {FILTER(instance_plain), FILTER(instance_plain_fork)},
};

static const struct filter *filter_find(enum jail_rung rung, bool instance, bool allow_fork)
{
	if ((unsigned int)rung > RUNG_D)
		return NULL;
	return instance ? &instances[rung][allow_fork] : &templates[rung];
}

const struct sock_filter *jail_seccomp_program(enum jail_rung rung, bool instance, bool allow_fork,
					       size_t *count)
{
	const struct filter *filter = filter_find(rung, instance, allow_fork);

	*count = filter ? filter->count : 0;
	return filter ? filter->code : NULL;
}

const char *jail_syscall_name(int number)
{
	if (number < 0 || (size_t)number >= sizeof(syscall_names) / sizeof(syscall_names[0]))
		return NULL;
	return syscall_names[number];
}

static int install(const struct sock_filter *code, size_t count, unsigned int flags)
{
	struct sock_fprog program = {.len = (unsigned short)count};

	/* The kernel only reads the program; its header lacks the const. */
	memcpy(&program.filter, &code, sizeof(program.filter));
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

/* Returns how often the sentinel stood there. */
static size_t patch(struct sock_filter *code, size_t count, uint32_t sentinel, uint32_t value)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		if (code[i].k == sentinel) {
			code[i].k = value;
			found++;
		}
	}
	return found;
}

/* Returns what seccomp(2) does. */
static int install_for(const struct filter *filter, pid_t own_pid, int result_fd,
		       unsigned int flags)
{
	struct sock_filter code[FILTER_MAX];

	memcpy(code, filter->code, filter->count * sizeof(code[0]));
	if (patch(code, filter->count, FILTER_SENTINEL_PID, (uint32_t)own_pid) != filter->pids ||
	    patch(code, filter->count, FILTER_SENTINEL_FD, (uint32_t)result_fd) != filter->fds) {
		errno = EINVAL; /* not the generator's program */
		return -1;
	}
	return install(code, filter->count, flags);
}

int jail_seccomp_template(enum jail_rung rung, int *listener_fd, struct jail_fault *fault)
{
	const struct filter *filter = filter_find(rung, false, false);
	unsigned int flags = listener_fd ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
	int rc;

	if (!filter)
		return jail_fail(fault, EINVAL, "seccomp rung %d", (int)rung);
	if (jail_no_new_privs(fault) < 0)
		return -1;
	rc = install_for(filter, getpid(), -1, flags);
	if (rc < 0)
		return jail_fail(fault, errno, "install the template's seccomp filter");
	if (listener_fd)
		*listener_fd = rc;
	return 0;
}

int jail_seccomp_instance(enum jail_rung rung, bool allow_fork, pid_t own_pid, int result_fd,
			  struct jail_fault *fault)
{
	const struct filter *filter = filter_find(rung, true, allow_fork);

	if (!filter || own_pid <= 0 || result_fd < 0)
		return jail_fail(fault, EINVAL, "seccomp rung %d pid %d descriptor %d", (int)rung,
				 (int)own_pid, result_fd);
	if (install_for(filter, own_pid, result_fd, 0) < 0)
		return jail_fail(fault, errno, "install the instance's seccomp filter");
	return 0;
}
