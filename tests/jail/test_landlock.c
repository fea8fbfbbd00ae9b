/*
 * Landlock and the resource limits in the kernel, without namespaces: what rung C has. Effects are
 * checked from the parent: a canary unread and unwritten, a socket without a caller.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"
#include "jail/jail.h"

static char base[] = "/tmp/psb-landlock-XXXXXX";
static int listener = -1;
static struct sockaddr_in tcp;
static int abstract_listener = -1;
static struct sockaddr_un abstract;
static socklen_t abstract_len;

static void in_base(char path[80], const char *name)
{
	(void)snprintf(path, 80, "%s/%s", base, name);
}

static int make_files(void **state)
{
	static const char *const dirs[] = {"ro", "rw", "rw/sub", "hidden"};
	static const char *const files[] = {"ro/file", "rw/file", "hidden/file"};
	char path[80];
	socklen_t len = sizeof(tcp);

	(void)state;
	assert_non_null(mkdtemp(base));
	assert_int_equal(chmod(base, 0777), 0);
	for (size_t i = 0; i < 4; i++) {
		in_base(path, dirs[i]);
		assert_true(mkdir(path, 0700) == 0 && chmod(path, 0777) == 0);
	}
	for (size_t i = 0; i < 3; i++) {
		in_base(path, files[i]);
		assert_true(mknod(path, S_IFREG | 0600, 0) == 0 && chmod(path, 0777) == 0);
	}
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	tcp = (struct sockaddr_in){.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (listener >= 0 && bind(listener, (struct sockaddr *)&tcp, len) == 0)
		(void)(listen(listener, 1) + getsockname(listener, (struct sockaddr *)&tcp, &len));
	abstract_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	abstract = (struct sockaddr_un){.sun_family = AF_UNIX};
	abstract_len = sizeof(abstract);
	(void)bind(abstract_listener, (struct sockaddr *)&abstract, sizeof(sa_family_t));
	(void)listen(abstract_listener, 1);
	(void)getsockname(abstract_listener, (struct sockaddr *)&abstract, &abstract_len);
	return 0;
}

static int remove_files(void **state)
{
	static const char *const names[] = {"ro/file", "rw/sub/file", "rw/sub",
					    "rw/fifo", "rw/file",     "rw",
					    "ro",      "hidden/file", "hidden"};
	char path[80];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		in_base(path, names[i]);
		(void)remove(path);
	}
	(void)close(listener);
	(void)close(abstract_listener);
	return rmdir(base);
}

static void restrict_self(bool allow_execute)
{
	char ro[80];
	char rw[80];
	const struct jail_landlock_rule rules[] = {
		{.path = ro},
		{.path = rw, .writable = true},
		{.path = "/dev/null", .writable = true},
		{.path = "/usr", .optional = true},
		{.path = "/psb-no-such-directory", .optional = true},
	};
	struct jail_fault fault = {0};
	int ruleset;

	if (jail_landlock_abi() == 0)
		SKIP("this kernel has no Landlock");
	in_base(ro, "ro");
	in_base(rw, "rw");
	ruleset = jail_landlock_create(rules, 5, allow_execute, &fault);
	if (ruleset < 0)
		child_end(1, "%s: errno %d", fault.step, fault.sys_errno);
	CHECK(fcntl(ruleset, F_GETFD) == FD_CLOEXEC);
	if (jail_landlock_restrict(ruleset, &fault) < 0)
		child_end(1, "%s: errno %d", fault.step, fault.sys_errno);
	CHECK(close(ruleset) == 0 && chdir(base) == 0);
}

static void files_body(void)
{
	restrict_self(false);
	CHECK(open("ro/file", O_RDONLY) >= 0 && open("rw/file", O_RDWR | O_TRUNC) >= 0);
	CHECK(open("/dev/null", O_RDWR) >= 0);
	CHECK(open("hidden/file", O_RDONLY) == -1 && errno == EACCES);
	CHECK(open("hidden/file", O_WRONLY) == -1 && errno == EACCES);
	CHECK(open("hidden", O_RDONLY | O_DIRECTORY) == -1 && errno == EACCES);
	CHECK(open("/etc/passwd", O_RDONLY) == -1 && errno == EACCES);
	CHECK(open("/proc/self/status", O_RDONLY) == -1);
	CHECK(open("ro/file", O_WRONLY) == -1 && errno == EACCES);
	CHECK(open("ro/new", O_CREAT | O_WRONLY, 0600) == -1 && errno == EACCES);
	CHECK(unlink("ro/file") == -1 && mkdir("ro/dir", 0700) == -1);
	CHECK(link("hidden/file", "rw/stolen") == -1 && symlink("/etc/passwd", "rw/way") == 0);
	CHECK(open("rw/way", O_RDONLY) == -1 && errno == EACCES && unlink("rw/way") == 0);
	CHECK(mkfifo("rw/fifo", 0600) == 0 && mknod("rw/node", S_IFSOCK | 0600, 0) == -1);
	CHECK(mknod("rw/null", S_IFCHR | 0600, 0x103) == -1);
	CHECK(jail_landlock_abi() < 2 || rename("rw/file", "rw/sub/file") == 0);
	CHECK(jail_landlock_abi() < 3 || truncate("ro/file", 0) == -1);
}

static void files_are_cut(void **state)
{
	char path[80];

	(void)state;
	(void)child_run(files_body, false, false);
	in_base(path, "rw/fifo"); /* the second run makes it anew, as another user */
	(void)remove(path);
	in_base(path, "rw/file");
	assert_true(mknod(path, S_IFREG | 0600, 0) == 0 && chmod(path, 0777) == 0);
	in_base(path, "rw/sub/file");
	(void)remove(path);
	(void)child_run(files_body, true, false);
	in_base(path, "hidden/file");
	assert_int_equal(access(path, F_OK), 0);
}

static void execute_body(void)
{
	restrict_self(false);
	CHECK(execl("/usr/bin/true", "true", (char *)NULL) == -1 && errno == EACCES);
}

static void template_execute_body(void)
{
	restrict_self(true);
	CHECK(execl("rw/file", "file", (char *)NULL) == -1 && errno == EACCES);
	if (access("/usr/bin/true", X_OK) == 0)
		(void)execl("/usr/bin/true", "true", (char *)NULL);
	child_end(1, "the template cannot exec: errno %d", errno);
}

static void only_the_template_executes(void **state)
{
	char path[80];

	(void)state;
	in_base(path, "rw/file");
	(void)remove(path);
	assert_true(mknod(path, S_IFREG | 0600, 0) == 0 && chmod(path, 0777) == 0);
	(void)child_run(execute_body, true, false);
	(void)child_run(template_execute_body, true, false);
}

static void network_body(void)
{
	int fd;

	restrict_self(false);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (jail_landlock_abi() < 4 || fd < 0)
		SKIP("this kernel's Landlock knows no TCP");
	CHECK(connect(fd, (struct sockaddr *)&tcp, sizeof(tcp)) == -1 && errno == EACCES);
	CHECK(bind(fd, (struct sockaddr *)&tcp, sizeof(tcp)) == -1 && errno == EACCES);
}

static void no_tcp(void **state)
{
	(void)state;
	(void)child_run(network_body, true, false);
	assert_int_equal(accept(listener, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
}

static void scopes_body(void)
{
	pid_t parent = getppid();
	int fd;

	restrict_self(false);
	if (jail_landlock_abi() < 6)
		SKIP("this kernel's Landlock knows no scopes");
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(connect(fd, (struct sockaddr *)&abstract, abstract_len) == -1 && errno == EPERM);
	CHECK(kill(parent, 0) == -1 && errno == EPERM);
	CHECK(kill(getpid(), 0) == 0);
}

static void no_signals_nor_abstract_sockets(void **state)
{
	(void)state;
	(void)child_run(scopes_body, false, false);
	assert_int_equal(accept(abstract_listener, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
}

static void missing_body(void)
{
	const struct jail_landlock_rule rule = {.path = "/psb-no-such-directory"};
	struct jail_fault fault = {0};

	if (jail_landlock_abi() == 0)
		SKIP("this kernel has no Landlock");
	CHECK(jail_landlock_create(&rule, 1, false, &fault) == -1 && fault.sys_errno == ENOENT);
	CHECK(jail_landlock_restrict(-1, &fault) == -1 && fault.sys_errno == EBADF);
}

static void mistakes_fail_closed(void **state)
{
	(void)state;
	(void)child_run(missing_body, false, false);
}

static void check_limit(__rlimit_resource_t resource, rlim_t want)
{
	struct rlimit limit;
	struct rlimit more = {want + 1, want + 1};

	CHECK(getrlimit(resource, &limit) == 0);
	CHECK(limit.rlim_cur == want && limit.rlim_max == want);
	CHECK(setrlimit(resource, &more) == -1 && errno == EPERM);
}

static void limits_body(void)
{
	const struct jail_rlimits limits = {
		.address_space_bytes = 1u << 30,
		.file_size_bytes = 4096,
		.open_files = 32,
		.processes = 5,
	};
	const struct jail_rlimits wider = {.open_files = 64, .file_size_bytes = 1024};
	struct jail_fault fault = {0};
	struct rlimit stack;
	struct rlimit after;

	CHECK(getrlimit(RLIMIT_STACK, &stack) == 0);
	CHECK(jail_rlimits_apply(&limits, &fault) == 0 && jail_caps_clear(&fault) == 0);
	check_limit(RLIMIT_AS, 1u << 30);
	check_limit(RLIMIT_FSIZE, 4096);
	check_limit(RLIMIT_NOFILE, 32);
	check_limit(RLIMIT_NPROC, 5);
	check_limit(RLIMIT_CORE, 0);
	CHECK(getrlimit(RLIMIT_STACK, &after) == 0 && after.rlim_cur == stack.rlim_cur);
	CHECK(jail_rlimits_apply(&wider, &fault) == 0); /* cut to the hard limit */
	check_limit(RLIMIT_NOFILE, 32);
	check_limit(RLIMIT_FSIZE, 1024);
	CHECK(open("/dev/null", O_RDONLY) < 32 && dup2(0, 40) == -1 && errno == EBADF);
}

static void limits_hold(void **state)
{
	(void)state;
	(void)child_run(limits_body, false, false);
	(void)child_run(limits_body, true, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_cut),
		cmocka_unit_test(only_the_template_executes),
		cmocka_unit_test(no_tcp),
		cmocka_unit_test(no_signals_nor_abstract_sockets),
		cmocka_unit_test(mistakes_fail_closed),
		cmocka_unit_test(limits_hold),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
