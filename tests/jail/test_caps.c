/*
 * The capability steps in the kernel, from full capabilities in a user namespace down to none, as
 * root and as an ordinary user of the host.
 */
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"
#include "jail/jail.h"

static uint64_t permitted(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	CHECK(syscall(SYS_capget, &header, data) == 0);
	return data[0].permitted | data[0].effective | data[0].inheritable |
	       (uint64_t)(data[1].permitted | data[1].effective | data[1].inheritable) << 32;
}

static void capabilities_body(void)
{
	const uint64_t keep = JAIL_CAP(CAP_SYS_ADMIN) | JAIL_CAP(CAP_SETUID) | JAIL_CAP(CAP_SETGID);
	struct jail_fault fault = {0};

	child_namespaces();
	CHECK(jail_caps_bound(keep, &fault) == 0 && jail_caps_ambient(keep, &fault) == 0);
	CHECK(permitted() == keep);
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++) {
		int want = (keep & JAIL_CAP(cap)) != 0;

		CHECK(prctl(PR_CAPBSET_READ, cap) == want);
		CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == want);
	}
	CHECK(jail_no_new_privs(&fault) == 0 && jail_caps_clear(&fault) == 0);
	CHECK(permitted() == 0);
	CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_SYS_ADMIN, 0, 0) == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK(jail_caps_ambient(keep, &fault) == -1 && fault.sys_errno == EPERM);
	CHECK(unshare(CLONE_NEWNS) == -1 && errno == EPERM);
}

static void keep_body(void)
{
	const uint64_t keep = JAIL_CAP(CAP_SYS_ADMIN);
	struct jail_fault fault = {0};

	if (geteuid() != 0)
		SKIP("needs root");
	CHECK(jail_caps_keep(&fault) == 0);
	CHECK(syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY) == 0);
	CHECK(jail_caps_ambient(keep, &fault) == 0 && permitted() == keep);
}

static void capabilities_end(void **state)
{
	(void)state;
	(void)child_run(capabilities_body, false, false);
	(void)child_run(capabilities_body, true, false);
}

static void capabilities_outlive_a_change_of_user(void **state)
{
	(void)state;
	(void)child_run(keep_body, false, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capabilities_end),
		cmocka_unit_test(capabilities_outlive_a_change_of_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
