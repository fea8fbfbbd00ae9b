/*
 * What the host has for a cage, what it lacks, and the remedy. Facts come from the kernel: the
 * library's own probe where it has one, files of /proc and /sys for the reasons behind it. Nothing
 * is changed.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "doctor.h"
#include "host_probe/probe.h"
#include "keeper/python_layout.h"

#define VULNERABILITIES "/sys/devices/system/cpu/vulnerabilities"

const char *host_state_name(enum host_state state)
{
	static const char *const names[] = {"ok", "weak", "missing"};

	return names[state <= HOST_MISSING ? state : HOST_MISSING];
}

static __attribute__((format(printf, 4, 5))) struct host_item *add(struct host_items *items,
								   const char *name,
								   enum host_state state,
								   const char *format, ...)
{
	static const size_t last = HOST_ITEMS_MAX - 1;
	size_t at = items->count < HOST_ITEMS_MAX ? items->count++ : last;
	struct host_item *item = &items->items[at];
	va_list arguments;

	*item = (struct host_item){.name = name, .state = state};
	va_start(arguments, format);
	(void)vsnprintf(item->value, sizeof(item->value), format, arguments);
	va_end(arguments);
	return item;
}

static void set_remedy(struct host_item *item, const char *text)
{
	(void)snprintf(item->remedy, sizeof(item->remedy), "%s", text);
}

/* The first line of a small file; false if it cannot be read. */
static bool read_line(const char *path, char *out, size_t room)
{
	auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, room - 1);

	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return n > 0;
}

static bool reads_as(const char *path, const char *wanted)
{
	char text[32];

	return read_line(path, text, sizeof(text)) && !strcmp(text, wanted);
}

static void look_at_kernel(struct host_items *items)
{
	struct utsname name;
	unsigned long major;
	unsigned long minor = 0;
	char *end;
	struct host_item *item;
	bool recent;

	if (uname(&name))
		return;
	major = strtoul(name.release, &end, 10);
	if (*end == '.')
		minor = strtoul(end + 1, NULL, 10);
	recent = major > 5 || (major == 5 && minor >= 13);
	item = add(items, "kernel", recent ? HOST_OK : HOST_WEAK, "%.60s %.60s, %s", name.sysname,
		   name.release, name.machine);
	if (!recent)
		set_remedy(item, "Linux 5.13 or newer has all that the strongest rungs need");
}

static void look_at_user(struct host_items *items, const struct host_facts *facts)
{
	struct host_item *item =
		add(items, "user", facts->root ? HOST_OK : HOST_WEAK, "%s (uid %u)",
		    facts->root ? "root" : "an ordinary user", (unsigned int)geteuid());

	if (!facts->root)
		set_remedy(item, "root gives each instance a uid of its own (level 7); an ordinary "
				 "user reaches level 6");
}

/* The most telling of the switches that may be behind it. */
static const char *why_no_namespaces(void)
{
	if (access("/proc/self/ns/user", F_OK))
		return "the kernel has no user namespaces: CONFIG_USER_NS=y is needed";
	if (reads_as("/proc/sys/user/max_user_namespaces", "0"))
		return "allow them: sysctl -w user.max_user_namespaces=15000";
	if (reads_as("/proc/sys/kernel/unprivileged_userns_clone", "0"))
		return "allow them: sysctl -w kernel.unprivileged_userns_clone=1";
	if (reads_as("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"))
		return "AppArmor restricts them: give pysandbox-keeper a profile with `userns,`, "
		       "or "
		       "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
	return "in a container: a seccomp profile that permits clone, unshare and mount, and /proc "
	       "mounted";
}

static void look_at_namespaces(struct host_items *items, const struct host_facts *facts)
{
	char limit[32] = "?";
	struct host_item *item;

	(void)read_line("/proc/sys/user/max_user_namespaces", limit, sizeof(limit));
	item = add(items, "namespaces", facts->namespaces ? HOST_OK : HOST_MISSING,
		   "user namespaces %s (user.max_user_namespaces %s)",
		   facts->namespaces ? "can be made" : "cannot be made", limit);
	if (!facts->namespaces)
		set_remedy(item, why_no_namespaces());
}

static void look_at_filters(struct host_items *items, const struct host_facts *facts)
{
	char modules[160] = "";
	struct host_item *item =
		add(items, "seccomp", facts->seccomp ? HOST_OK : HOST_MISSING, "%s",
		    facts->seccomp ? "filters with user notification" : "none that would do");

	if (!facts->seccomp)
		set_remedy(item, "Linux 5.13 with CONFIG_SECCOMP_FILTER=y, and no outer filter "
				 "that refuses seccomp(2)");
	if (facts->landlock_abi > 0) {
		(void)add(items, "landlock", HOST_OK, "ABI %d", facts->landlock_abi);
		return;
	}
	(void)read_line("/sys/kernel/security/lsm", modules, sizeof(modules));
	item = add(items, "landlock", HOST_WEAK, "none%s%.120s", modules[0] ? "; modules: " : "",
		   modules);
	set_remedy(item, "CONFIG_SECURITY_LANDLOCK=y and landlock in the lsm= list of the boot "
			 "command line; without it there is no rung C");
}

static void look_at_groups(struct host_items *items, const struct host_facts *facts)
{
	bool mixed = !access("/sys/fs/cgroup/unified", F_OK);
	const char *kind = !access("/sys/fs/cgroup/cgroup.controllers", F_OK) ? "v2"
			   : mixed                                            ? "v1 and v2"
									      : "v1";
	struct host_item *item;

	if (facts->cgroups) {
		(void)add(items, "cgroups", HOST_OK,
			  "%s, memory and pids groups can be made (in %s)", kind,
			  facts->cgroup_v2 ? "v2" : "v1");
		return;
	}
	item = add(items, "cgroups", HOST_WEAK, "%s, no group of ours",
		   access("/sys/fs/cgroup", F_OK) ? "not mounted" : kind);
	set_remedy(item, facts->cgroup_missing);
}

static void look_at_kvm(struct host_items *items)
{
	auto_fd fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int error = errno;
	struct host_item *item;

	if (fd >= 0) {
		(void)add(items, "kvm", HOST_OK, "/dev/kvm opens");
		return;
	}
	item = add(items, "kvm", HOST_MISSING, "/dev/kvm: %s", strerror(error));
	set_remedy(item, error == EACCES || error == EPERM
				 ? "add the user to the group kvm (usermod -aG kvm USER)"
				 : "hardware virtualisation on in the firmware (or nested, in a "
				   "virtual machine) and the module kvm_intel or kvm_amd; in a "
				   "container: --device /dev/kvm");
}

static void look_at_python(struct host_items *items, const char *python)
{
	struct python_layout layout;
	struct psb_error err = {0};

	if (!python_layout_find(python, &layout, &err)) {
		(void)add(items, "python", HOST_OK, "%.80s, version %.15s", python, layout.version);
		return;
	}
	set_remedy(add(items, "python", HOST_MISSING, "%.190s", err.message),
		   "apt-get install python3, or --python PATH");
}

/* Names of what the processor is open to; returns how many files there were. */
static size_t list_vulnerable(char *names, size_t room)
{
	DIR *directory = opendir(VULNERABILITIES);
	struct dirent *entry;
	size_t count = 0;
	size_t len = 0;

	while (directory && (entry = readdir(directory))) {
		char path[320];
		char text[160];

		(void)snprintf(path, sizeof(path), VULNERABILITIES "/%s", entry->d_name);
		if (entry->d_name[0] == '.' || !read_line(path, text, sizeof(text)))
			continue;
		count++;
		if (!strncmp(text, "Vulnerable", 10) && len + strlen(entry->d_name) + 3 < room)
			len += (size_t)snprintf(names + len, room - len, "%s%s", len ? ", " : "",
						entry->d_name);
	}
	if (directory)
		(void)closedir(directory);
	return count;
}

static void look_at_processor(struct host_items *items)
{
	char names[160] = "";
	size_t count = list_vulnerable(names, sizeof(names));
	bool threads = reads_as("/sys/devices/system/cpu/smt/active", "1");
	struct host_item *item =
		add(items, "mitigations", names[0] || !count ? HOST_WEAK : HOST_OK, "%s%s",
		    names[0] ? "vulnerable: " : (count ? "on" : "cannot be read"), names);

	if (names[0])
		set_remedy(item, "current microcode and kernel, and no mitigations=off on the boot "
				 "command line");
	else if (!count)
		set_remedy(item, "mount /sys; without it nothing is known");
	item = add(items, "smt", threads ? HOST_WEAK : HOST_OK, "hardware threads %s",
		   threads ? "share their cores" : "do not share a core");
	if (threads)
		set_remedy(item, "nosmt on the boot command line, if tenants on one machine must "
				 "not learn from each other's timing");
}

static void look_at_tracing(struct host_items *items)
{
	char scope[16] = "";
	bool known = read_line("/proc/sys/kernel/yama/ptrace_scope", scope, sizeof(scope));
	bool strict = known && isdigit((unsigned char)scope[0]) && scope[0] != '0';
	struct host_item *item = add(items, "ptrace", strict ? HOST_OK : HOST_WEAK,
				     "kernel.yama.ptrace_scope %s", known ? scope : "is not there");

	if (!strict)
		set_remedy(item, "sysctl -w kernel.yama.ptrace_scope=1 (nothing here relies on "
				 "it; it helps should a cage break)");
}

void host_look(const char *python, struct host_items *out)
{
	struct host_facts facts;

	out->count = 0;
	host_probe(&facts);
	look_at_kernel(out);
	look_at_user(out, &facts);
	look_at_namespaces(out, &facts);
	look_at_filters(out, &facts);
	look_at_groups(out, &facts);
	look_at_kvm(out);
	look_at_python(out, python);
	look_at_processor(out);
	look_at_tracing(out);
}
