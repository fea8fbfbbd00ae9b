/*
 * Capabilities, by the raw system calls: libcap allocates and is one more library in the cage.
 * The template keeps three of them through its exec (ambient), each instance drops the rest.
 * Invariant: no function here ever adds to the permitted set.
 */
#include "jail/jail.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAP_NUMBER_END 64 /* the width of the kernel's sets */

static int caps_set(uint64_t effective, uint64_t inheritable)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{(uint32_t)effective, (uint32_t)effective, (uint32_t)inheritable},
		{(uint32_t)(effective >> 32), (uint32_t)(effective >> 32),
		 (uint32_t)(inheritable >> 32)},
	};

	return (int)syscall(SYS_capset, &header, data);
}

int jail_no_new_privs(struct jail_fault *fault)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return jail_fail(fault, errno, "no_new_privs");
	return 0;
}

int jail_caps_keep(struct jail_fault *fault)
{
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return jail_fail(fault, errno, "keep capabilities over setresuid");
	return 0;
}

int jail_caps_bound(uint64_t keep, struct jail_fault *fault)
{
	for (unsigned int cap = 0; cap < CAP_NUMBER_END; cap++) {
		int saved;

		if ((keep & JAIL_CAP(cap)) || prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		saved = errno;
		if (saved == EINVAL)
			break; /* past the last one that this kernel knows */
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != 0)
			return jail_fail(fault, saved, "drop capability %u from the bound", cap);
	}
	return 0;
}

int jail_caps_ambient(uint64_t keep, struct jail_fault *fault)
{
	if (caps_set(keep, keep) < 0)
		return jail_fail(fault, errno, "capset");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return jail_fail(fault, errno, "clear ambient capabilities");
	for (unsigned int cap = 0; cap < CAP_NUMBER_END; cap++) {
		if (!(keep & JAIL_CAP(cap)))
			continue;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return jail_fail(fault, errno, "ambient capability %u", cap);
	}
	return 0;
}

/* One call is enough: the kernel cuts the ambient set down to permitted & inheritable. */
int jail_caps_clear(struct jail_fault *fault)
{
	if (caps_set(0, 0) < 0)
		return jail_fail(fault, errno, "capset to none");
	return 0;
}
