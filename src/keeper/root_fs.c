/*
 * What the cage shows of the host: the interpreter with its library, the shared libraries and
 * packages it may load, fonts, time zones, and static stand-ins for the files of /etc, /proc and
 * /sys that libraries read. No procfs, no sysfs, no host configuration, no programs but Python.
 * The sources are opened as the caller, before the identity changes, so that an interpreter below
 * a private home directory works; the guest sees only what is bound here, read-only.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "keeper/keeper.h"

#define MAX_BINDS 32

struct bind_list {
	struct jail_bind items[MAX_BINDS];
	char paths[MAX_BINDS][640];
	size_t count;
};

static void add_bind(struct bind_list *list, const char *source, const char *at)
{
	struct jail_bind *bind = &list->items[list->count];
	char *path = list->paths[list->count];
	int fd;

	if (list->count == MAX_BINDS)
		return;
	fd = open(source, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return; /* not installed here: the guest meets a missing file */
	(void)snprintf(path, sizeof(list->paths[0]), "%s", source);
	*bind = (struct jail_bind){.source = path, .at = at, .source_fd = fd};
	list->count++;
}

static void add_below(struct bind_list *list, const char *prefix, const char *rest,
		      const char *version)
{
	char path[640];

	(void)snprintf(path, sizeof(path), "%s%s%s", prefix, rest, version);
	add_bind(list, path, NULL);
}

static void add_interpreter(struct bind_list *list, const struct keeper_config *config)
{
	const char *prefix = config->python_prefix;

	add_bind(list, config->python, NULL);
	if (strcmp(prefix, "/usr") == 0) {
		add_below(list, prefix, "/lib/python", config->python_version);
		add_bind(list, "/usr/lib/python3", NULL);
		add_below(list, "/usr/local/lib/python", "", config->python_version);
	} else {
		add_below(list, prefix, "/lib", "");
		add_below(list, prefix, "/share", "");
	}
	if (config->venv[0])
		add_bind(list, config->venv, NULL);
}

static void add_libraries(struct bind_list *list)
{
	static const char *const paths[] = {
		"/usr/lib/x86_64-linux-gnu",
		"/usr/lib64",
		"/usr/lib/locale/C.utf8",
		"/usr/share/zoneinfo",
		"/usr/share/fonts",
		"/usr/share/matplotlib",
		"/etc/ld.so.cache",
		"/etc/alternatives",
		"/etc/localtime",
		"/etc/fonts",
		"/etc/matplotlibrc",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		add_bind(list, paths[i], NULL);
}

static const struct jail_file stand_ins[] = {
	{"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"},
	{"/etc/hosts", "127.0.0.1 localhost\n"},
	{"/etc/os-release", "ID=pysandbox\nNAME=pysandbox\n"},
	{"/proc/cpuinfo", "processor\t: 0\nmodel name\t: pysandbox\ncpu MHz\t\t: 1000.000\n\n"},
	{"/proc/meminfo", "MemTotal: 1048576 kB\nMemFree: 1048576 kB\nMemAvailable: 1048576 kB\n"},
	{"/proc/stat", "cpu 0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\n"},
	{"/proc/version", "Linux version (pysandbox)\n"},
	{"/proc/filesystems", "nodev\ttmpfs\n"},
	{"/proc/self/status", "Name:\tpython\nState:\tR (running)\n"},
	{"/proc/sys/vm/overcommit_memory", "0\n"},
	{"/proc/sys/kernel/random/boot_id", "00000000-0000-4000-8000-000000000000\n"},
	{"/sys/devices/system/cpu/online", "0\n"},
	{"/sys/devices/system/cpu/possible", "0\n"},
};

static const struct jail_link links[] = {
	{"/lib", "usr/lib"},
	{"/lib64", "usr/lib64"},
	{"/tmp", "sandbox/tmp"},
	{"/var/tmp", "../sandbox/tmp"},
};

struct accounts {
	char passwd[64 * (KEEPER_MAX_SLOTS + 1)];
	char group[16 * (KEEPER_MAX_SLOTS + 1)];
};

/* One account and one group per slot, all called guest, so that getpwuid() and getgrgid() find
 * whoever the instance is. */
static void write_accounts(struct accounts *accounts)
{
	size_t passwd = 0;
	size_t group = 0;

	for (uint32_t id = 1000; id <= 1000 + KEEPER_MAX_SLOTS; id++) {
		passwd += (size_t)snprintf(
			accounts->passwd + passwd, sizeof(accounts->passwd) - passwd,
			"guest:x:%u:%u::/sandbox/workspace:/usr/sbin/nologin\n", id, id);
		group += (size_t)snprintf(accounts->group + group, sizeof(accounts->group) - group,
					  "guest:x:%u:\n", id);
	}
}

static struct bind_list binds; /* 20 KiB, used once by the process that becomes the zygote */

void guest_root_open(const struct keeper_config *config)
{
	char guest_parts[600];

	(void)snprintf(guest_parts, sizeof(guest_parts), "%s/psb", config->libexec);
	add_interpreter(&binds, config);
	add_libraries(&binds);
	add_bind(&binds, guest_parts, "/psb");
}

int guest_root_enter(struct jail_fault *fault)
{
	static const char *const dirs[] = {"/sandbox", NULL};
	static struct accounts accounts;
	struct jail_file files[sizeof(stand_ins) / sizeof(stand_ins[0]) + 2];
	struct jail_root root = {
		.binds = binds.items,
		.bind_count = binds.count,
		.files = files,
		.file_count = sizeof(files) / sizeof(files[0]),
		.links = links,
		.link_count = sizeof(links) / sizeof(links[0]),
		.dirs = dirs,
	};

	write_accounts(&accounts);
	memcpy(files, stand_ins, sizeof(stand_ins));
	files[root.file_count - 2] = (struct jail_file){"/etc/passwd", accounts.passwd};
	files[root.file_count - 1] = (struct jail_file){"/etc/group", accounts.group};
	return jail_root_enter(&root, fault);
}
