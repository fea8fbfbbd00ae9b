/*
 * Attacks on the cage without the filters' help: the root, mounts, devices, the workspace.
 * The child holds full capabilities in a user namespace of its own, more than any guest ever has.
 * The parent then looks from outside: canaries untouched, no mount, no file left behind.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/limits.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"
#include "jail/jail.h"

static char base[] = "/tmp/psb-jail-XXXXXX";
static char shown[64];  /* bound into the cage */
static char secret[64]; /* not bound */
static char bait[64];   /* a set-id program in `shown` */

static void put(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	(void)close(fd);
}

static int make_canaries(void **state)
{
	char path[80];

	(void)state;
	assert_non_null(mkdtemp(base));
	assert_int_equal(chmod(base, 0777), 0);
	(void)snprintf(shown, sizeof(shown), "%s/shown", base);
	(void)snprintf(secret, sizeof(secret), "%s/secret", base);
	(void)snprintf(bait, sizeof(bait), "%s/shown/bait", base);
	assert_int_equal(mkdir(shown, 0700), 0);
	assert_int_equal(chmod(shown, 0777), 0);
	(void)snprintf(path, sizeof(path), "%s/nested", shown);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, 0777), 0);
	(void)snprintf(path, sizeof(path), "%s/out", shown);
	assert_int_equal(symlink("/", path), 0);
	put(secret, "canary", 0666);
	put(bait, "#!/bin/sh\n", 04777);
	return 0;
}

static int remove_canaries(void **state)
{
	static const char *const names[] = {"shown/out", "shown/bait", "shown/nested", "shown",
					    "secret"};
	char path[80];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", base, names[i]);
		(void)remove(path);
	}
	return rmdir(base); /* fails, and so the group, when anything else was left there */
}

static int count_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static int enter_root(struct jail_fault *fault)
{
	static const char *const dirs[] = {"/work", NULL};
	static const struct jail_file files[] = {{"/etc/passwd", "guest:x:1000:1000::/:\n"},
						 {"/proc/self/status", "Name: python\n"}};
	static const struct jail_link links[] = {{"/lib", "usr/lib"}, {"/tmp", "work"}};
	const struct jail_bind binds[] = {
		{.source = shown, .at = "/shown"},
		{.source = "/usr/lib"},
		{.source = "/etc/hostname", .optional = true},
		{.source = "/psb-no-such-directory/path", .optional = true},
	};
	const struct jail_root root = {
		.binds = binds,
		.bind_count = 4,
		.files = files,
		.file_count = 2,
		.links = links,
		.link_count = 2,
		.dirs = dirs,
	};

	return jail_root_enter(&root, fault);
}

/* A writable mount inside of a bound directory: binding has to restrict it too. */
static void into_the_cage(void)
{
	struct jail_fault fault = {0};
	char nested[80];
	int before;

	child_namespaces();
	(void)snprintf(nested, sizeof(nested), "%s/nested", shown);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mount("tmpfs", nested, "tmpfs", 0, "mode=777") == 0);
	before = count_fds();
	if (enter_root(&fault) < 0)
		child_end(1, "%s: errno %d", fault.step, fault.sys_errno);
	CHECK(count_fds() == before);
}

static void nothing_outside_body(void)
{
	char cwd[64];
	char path[400] = "";

	into_the_cage();
	CHECK(getcwd(cwd, sizeof(cwd)) && strcmp(cwd, "/") == 0);
	CHECK(open(secret, O_RDONLY) == -1 && errno == ENOENT);
	for (int i = 0; i < 30; i++)
		(void)strcat(path, "../");
	(void)strcat(path, secret + 1);
	CHECK(open(path, O_RDONLY) == -1 && errno == ENOENT);
	CHECK(access("/shown/bait", R_OK) == 0);
	CHECK(access("/shown/out/etc/shadow", F_OK) == -1);
	CHECK(access("/shown/out/shown/bait", F_OK) == 0); /* the link now means this root */
	CHECK(access("/proc/1", F_OK) == -1 && access("/sys", F_OK) == -1);
	CHECK(access("/etc/passwd", R_OK) == 0 && access("/lib", F_OK) == 0);
	CHECK(access("/psb-no-such-directory", F_OK) == -1);
}

static void chroot_escape_body(void)
{
	struct jail_fault fault;
	struct stat here;
	struct stat root;
	int fd;

	into_the_cage();
	CHECK(jail_tmpfs_mount("/work", 1 << 20, 16, &fault) == 0);
	CHECK(mkdir("/work/sub", 0700) == 0);
	fd = open("/", O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0 && chroot("/work/sub") == 0 && fchdir(fd) == 0);
	for (int i = 0; i < 50; i++)
		CHECK(chdir("..") == 0);
	CHECK(fstat(fd, &root) == 0 && stat(".", &here) == 0);
	CHECK(root.st_ino == here.st_ino && root.st_dev == here.st_dev);
	CHECK(chroot(".") == 0 && access(secret, F_OK) == -1);
	CHECK(umount2("/", MNT_DETACH) == -1);
	CHECK(mount("proc", "/work/sub", "proc", 0, NULL) == -1);
	CHECK(access(secret, F_OK) == -1);
}

static void check_mount(const char *path, unsigned long wanted)
{
	struct statvfs fs;

	CHECK(statvfs(path, &fs) == 0);
	if ((fs.f_flag & wanted) != wanted)
		child_end(1, "%s has mount flags 0x%lx, wanted 0x%lx", path, fs.f_flag, wanted);
}

static void cannot_write(const char *dir)
{
	char path[120];

	(void)snprintf(path, sizeof(path), "%s/intruder", dir);
	if (open(path, O_CREAT | O_WRONLY, 0600) >= 0)
		child_end(1, "wrote to %s", path);
	CHECK(errno == EROFS || errno == EACCES);
	CHECK(mknod(path, S_IFCHR | 0666, 0x103) == -1);
	CHECK(mkdir(path, 0700) == -1 && symlink("/", path) == -1);
}

static void read_only_body(void)
{
	const unsigned long locked = ST_RDONLY | ST_NOSUID;
	static const char *const dirs[] = {"",       "/etc",          "/dev",     "/proc", "/work",
					   "/shown", "/shown/nested", "/usr/lib", "/usr"};

	into_the_cage();
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		check_mount(*dirs[i] ? dirs[i] : "/", locked | ST_NODEV);
		cannot_write(dirs[i]);
	}
	check_mount("/dev/null", locked | ST_NOEXEC);
	check_mount("/", locked | ST_NOEXEC);
	CHECK(open("/shown/bait", O_WRONLY) == -1 && errno == EROFS);
	CHECK(chmod("/shown/bait", 0777) == -1 && errno == EROFS);
	CHECK(chmod("/dev/null", 0) == -1 && unlink("/dev/null") == -1);
	CHECK(truncate("/etc/passwd", 0) == -1);
}

static void devices_body(void)
{
	char byte = 1;
	int fd;

	into_the_cage();
	fd = open("/dev/null", O_RDWR);
	CHECK(fd >= 0 && write(fd, "x", 1) == 1 && read(fd, &byte, 1) == 0);
	fd = open("/dev/zero", O_RDONLY);
	CHECK(fd >= 0 && read(fd, &byte, 1) == 1 && byte == 0);
	fd = open("/dev/full", O_WRONLY);
	CHECK(fd >= 0 && write(fd, "x", 1) == -1 && errno == ENOSPC);
	CHECK(open("/dev/urandom", O_RDONLY) >= 0 && open("/dev/random", O_RDONLY) >= 0);
	CHECK(access("/dev/tty", F_OK) == -1 && access("/dev/kvm", F_OK) == -1);
	CHECK(access("/dev/mem", F_OK) == -1 && access("/dev/shm", F_OK) == -1);
}

static void deny(unsigned int number, unsigned int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 4, .filter = code};

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
}

/* Where the mount calls of Linux 5.12 are missing the same must hold, with no submount taken. */
static void old_kernel_body(void)
{
	static const char *const dirs[] = {"",       "/etc",          "/dev",
					   "/shown", "/shown/nested", "/usr/lib"};

	deny(SYS_open_tree, ENOSYS);
	into_the_cage();
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		check_mount(*dirs[i] ? dirs[i] : "/", ST_RDONLY | ST_NOSUID | ST_NODEV);
		cannot_write(dirs[i]);
	}
	check_mount("/dev/null", ST_RDONLY | ST_NOSUID | ST_NOEXEC);
	CHECK(open("/dev/null", O_RDWR) >= 0);
	CHECK(access(secret, F_OK) == -1 && access("/shown/bait", F_OK) == 0);
}

static void half_old_kernel_body(void)
{
	deny(SYS_mount_setattr, EPERM);
	into_the_cage();
	check_mount("/shown", ST_RDONLY | ST_NOSUID | ST_NODEV);
	cannot_write("/shown");
	cannot_write("/shown/nested");
}

/* With the template's filter not even the zygote's capabilities undo a mount. */
static void remount_body(void)
{
	struct jail_fault fault = {0};

	into_the_cage();
	CHECK(jail_seccomp_template(RUNG_A, NULL, &fault) == 0);
	CHECK(mount(NULL, "/shown", NULL, MS_REMOUNT | MS_BIND, NULL) == -1 && errno == EPERM);
	CHECK(mount("/shown", "/work", NULL, MS_BIND, NULL) == -1 && errno == EPERM);
	CHECK(mount(NULL, "/", NULL, MS_REMOUNT, NULL) == -1 && errno == EPERM);
	CHECK(jail_tmpfs_mount("/work", 1 << 16, 8, &fault) == 0);
	check_mount("/work", ST_NOSUID | ST_NODEV | ST_NOEXEC);
	CHECK(chdir("/work") == 0 && mkdir("a", 0700) == 0);
}

static void workspace_body(void)
{
	static char block[1 << 16];
	struct jail_fault fault = {0};
	char name[40];
	int made = 0;
	int fd;

	into_the_cage();
	CHECK(jail_tmpfs_mount("/work", sizeof(block), 8, &fault) == 0);
	fd = open("/work/big", O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0 && write(fd, block, sizeof(block)) == (ssize_t)sizeof(block));
	CHECK(write(fd, "x", 1) == -1 && errno == ENOSPC);
	for (int i = 0; i < 20; i++) {
		(void)snprintf(name, sizeof(name), "/work/%d", i);
		made += mknod(name, S_IFREG | 0600, 0) == 0;
	}
	CHECK(made < 8);
	CHECK(jail_tmpfs_mount("/absent", 1, 1, &fault) == -1 && fault.sys_errno == ENOENT);
}

/* A bind over a link inside of another bind must not reach the host through it. */
static void link_escape_body(void)
{
	const struct jail_bind binds[] = {
		{.source = shown, .at = "/shown"},
		{.source = "/usr/lib", .at = "/shown/out/tmp"},
	};
	const struct jail_bind up = {.source = shown, .at = "/a/../b"};
	const struct jail_bind missing = {.source = "/psb-no-such-directory/path"};
	struct jail_root root = {.binds = binds, .bind_count = 2};
	struct jail_fault fault = {0};

	child_namespaces();
	CHECK(jail_root_enter(&root, &fault) == -1);
	CHECK(fault.sys_errno == ENOTDIR || fault.sys_errno == ELOOP);
	root = (struct jail_root){.binds = &up, .bind_count = 1};
	CHECK(jail_root_enter(&root, &fault) == -1 && fault.sys_errno == EINVAL);
	root.binds = &missing;
	CHECK(jail_root_enter(&root, &fault) == -1 && fault.sys_errno == ENOENT);
	CHECK(strstr(fault.step, "/psb-no-such-directory"));
}

static void empty_root_body(void)
{
	const struct jail_root root = {.no_devices = true};
	struct jail_fault fault = {0};
	DIR *dir;

	child_namespaces();
	CHECK(jail_root_enter(&root, &fault) == 0);
	dir = opendir("/");
	CHECK(dir);
	for (const struct dirent *entry; dir && (entry = readdir(dir));)
		CHECK(strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
	CHECK(mkdir("/new", 0700) == -1 && errno == EROFS);
}

static void both(void (*body)(void))
{
	(void)child_run(body, false, false);
	(void)child_run(body, true, false);
}

#define IN_BOTH(name)                                                                              \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		both(name##_body);                                                                 \
	}
IN_BOTH(nothing_outside)
IN_BOTH(chroot_escape)
IN_BOTH(read_only)
IN_BOTH(empty_root)
IN_BOTH(devices)
IN_BOTH(remount)
IN_BOTH(old_kernel)
IN_BOTH(half_old_kernel)
IN_BOTH(workspace)
IN_BOTH(link_escape)

static size_t read_all(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);

	if (fd >= 0)
		(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static char mounts_before[1 << 16];

static int remember_mounts(void **state)
{
	(void)read_all("/proc/self/mountinfo", mounts_before, sizeof(mounts_before));
	return make_canaries(state);
}

static void the_host_is_as_before(void **state)
{
	static char now[1 << 16];
	struct stat st;

	(void)state;
	(void)read_all("/proc/self/mountinfo", now, sizeof(now));
	assert_string_equal(now, mounts_before);
	assert_int_equal(read_all(secret, now, sizeof(now)), 6);
	assert_string_equal(now, "canary");
	assert_int_equal(stat(bait, &st), 0);
	assert_int_equal(st.st_mode & 07777, 04777);
	assert_int_equal(st.st_size, 10);
	assert_int_equal(stat("/dev/null", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_outside),
		cmocka_unit_test(chroot_escape),
		cmocka_unit_test(read_only),
		cmocka_unit_test(devices),
		cmocka_unit_test(old_kernel),
		cmocka_unit_test(half_old_kernel),
		cmocka_unit_test(remount),
		cmocka_unit_test(workspace),
		cmocka_unit_test(link_escape),
		cmocka_unit_test(empty_root),
		cmocka_unit_test(the_host_is_as_before),
	};

	return cmocka_run_group_tests(tests, remember_mounts, remove_canaries);
}
