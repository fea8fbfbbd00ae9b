/*
 * Landlock: the filesystem wall on hosts without user namespaces, a second one elsewhere. The
 * ruleset is built once, before hostile code exists, and each instance only enforces it. It
 * handles every right that the kernel knows: what no rule grants is refused. The numbers are our
 * own since the kernel's header of the build machine may be older than the running kernel.
 * Invariant: no rule grants making devices or sockets, device ioctls, or (unless asked) execution.
 */
#include "jail/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cleanup.h"

#define LANDLOCK_VERSION_FLAG 1u
#define LANDLOCK_PATH_BENEATH 1

enum landlock_right {
	FS_EXECUTE = 1 << 0,
	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_REMOVE_DIR = 1 << 4,
	FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_DIR = 1 << 7,
	FS_MAKE_REG = 1 << 8,
	FS_MAKE_FIFO = 1 << 10,
	FS_MAKE_SYM = 1 << 12,
	FS_REFER = 1 << 13,    /* since version 2; without it no rename between directories */
	FS_TRUNCATE = 1 << 14, /* since version 3 */
	FS_IOCTL_DEV = 1 << 15 /* since version 5 */
};

#define FS_READ (uint64_t)(FS_READ_FILE | FS_READ_DIR)
#define FS_MODIFY                                                                                  \
	(uint64_t)(FS_WRITE_FILE | FS_TRUNCATE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR |    \
		   FS_MAKE_REG | FS_MAKE_FIFO | FS_MAKE_SYM | FS_REFER)
#define FS_OF_FILES (uint64_t)(FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE)

struct ruleset_attr {
	uint64_t fs;
	uint64_t net;   /* since version 4: bind and connect of TCP */
	uint64_t scope; /* since version 6: abstract sockets, signals */
};

struct path_attr {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

static uint64_t fs_handled(int abi)
{
	if (abi >= 5)
		return (FS_IOCTL_DEV << 1) - 1;
	if (abi >= 3)
		return (FS_TRUNCATE << 1) - 1;
	return abi == 2 ? (FS_REFER << 1) - 1 : FS_REFER - 1;
}

int jail_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION_FLAG);

	return abi > 0 ? (int)abi : 0;
}

static int ruleset_open(int abi, uint64_t fs)
{
	struct ruleset_attr attr = {
		.fs = fs,
		.net = abi >= 4 ? 3 : 0,
		.scope = abi >= 6 ? 3 : 0,
	};
	size_t size = sizeof(attr.fs);

	if (abi >= 4)
		size += sizeof(attr.net);
	if (abi >= 6)
		size += sizeof(attr.scope);
	return (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
}

static int rule_add(int ruleset, const struct jail_landlock_rule *rule, uint64_t allowed,
		    struct jail_fault *fault)
{
	auto_fd fd = open(rule->path, O_PATH | O_CLOEXEC);
	struct path_attr attr = {.allowed = allowed, .parent_fd = fd};
	struct stat st;

	if (fd < 0 && rule->optional && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return jail_fail(fault, errno, "landlock open %s", rule->path);
	if (!S_ISDIR(st.st_mode))
		attr.allowed &= FS_OF_FILES; /* the kernel refuses rights of directories here */
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_PATH_BENEATH, &attr, 0) < 0)
		return jail_fail(fault, errno, "landlock rule %s", rule->path);
	return 0;
}

int jail_landlock_create(const struct jail_landlock_rule *rules, size_t count, bool allow_execute,
			 struct jail_fault *fault)
{
	int abi = jail_landlock_abi();
	uint64_t handled = fs_handled(abi);
	auto_fd ruleset = -1;

	if (abi == 0)
		return jail_fail(fault, ENOSYS, "landlock is missing in this kernel");
	ruleset = ruleset_open(abi, handled);
	if (ruleset < 0)
		return jail_fail(fault, errno, "landlock ruleset");
	for (size_t i = 0; i < count; i++) {
		uint64_t allowed = FS_READ;

		if (allow_execute && !rules[i].writable)
			allowed |= FS_EXECUTE;
		if (rules[i].writable)
			allowed |= FS_MODIFY;
		if (rule_add(ruleset, &rules[i], allowed & handled, fault) < 0)
			return -1;
	}
	return take_fd(ruleset);
}

int jail_landlock_restrict(int ruleset_fd, struct jail_fault *fault)
{
	if (jail_no_new_privs(fault) < 0)
		return -1;
	if (syscall(SYS_landlock_restrict_self, ruleset_fd, 0) < 0)
		return jail_fail(fault, errno, "landlock restrict");
	return 0;
}
