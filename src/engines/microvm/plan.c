/*
 * What this host offers the engine and what each control is worth. The wall is the virtual machine;
 * what the guest kernel keeps is `runtime` and never counts, where it has no harder bound outside.
 * The application's process does not open /dev/kvm: what it can do is asked by the supervisor.
 * Trust boundary: facts come from the kernel; a forced rung (tests) can only lower what is used.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../../../guest/kernel/abi.h"
#include "core/cleanup.h"
#include "core/error.h"
#include "core/level.h"
#include "host_probe/probe.h"
#include "keeper/python_layout.h"
#include "microvm.h"

#define BOOT_MEMORY_BYTES (UINT64_C(1) << 30)

/* The first Linux whose KVM has all that the VMM asks of it (vmm/machine.c asks itself). */
#define LINUX_MAJOR 5
#define LINUX_MINOR 10

static bool is_old_linux(char *missing, size_t room)
{
	struct utsname host;
	char *rest = NULL;
	long major;
	long minor;

	if (uname(&host) < 0)
		return false;
	major = strtol(host.release, &rest, 10);
	minor = rest && *rest == '.' ? strtol(rest + 1, NULL, 10) : 0;
	if (major > LINUX_MAJOR || (major == LINUX_MAJOR && minor >= LINUX_MINOR))
		return false;
	(void)snprintf(missing, room,
		       "Linux %.64s: its KVM is too old, Linux %d.%d or newer is needed",
		       host.release, LINUX_MAJOR, LINUX_MINOR);
	return true;
}

/* Asks for the rights only: the application's process opens no KVM. */
static bool probe_kvm(char *missing, size_t room)
{
	bool there = faccessat(AT_FDCWD, "/dev/kvm", R_OK | W_OK, AT_EACCESS) == 0;

	if (!there && errno == ENOENT)
		(void)snprintf(missing, room,
			       "there is no /dev/kvm: load the kvm module of this processor, or "
			       "give the container or virtual machine that device");
	else if (!there)
		(void)snprintf(missing, room,
			       "/dev/kvm: %s: give this user read and write access (on Debian: "
			       "adduser USER kvm)",
			       strerror(errno));
	return there && !is_old_linux(missing, room);
}

static char choose_rung(const struct host_facts *facts, const char *forced)
{
	char best = !facts->namespaces ? 'C' : facts->cgroups ? 'A' : 'B';

	if (!facts->seccomp)
		return '-';
	if (!forced)
		return best;
	if (strlen(forced) != 1 || forced[0] < best || forced[0] > 'D')
		return '-';
	return forced[0];
}

static void set(struct plan *plan, enum plan_control control, enum control_by by, const char *how)
{
	plan->controls[control].by = by;
	(void)snprintf(plan->controls[control].how, sizeof(plan->controls[control].how), "%s", how);
}

/* Comma-separated mechanisms, the second of which is there or not. */
static void set_with(struct plan *plan, enum plan_control control, const char *how, bool more,
		     const char *what)
{
	char text[sizeof(plan->controls[0].how)];

	(void)snprintf(text, sizeof(text), "%s%s%s", how, more ? "," : "", more ? what : "");
	set(plan, control, BY_HYPERVISOR, text);
}

static bool is_fresh(const struct plan *plan)
{
	return plan->single_use || plan->fresh_worker;
}

/* `rung`: A has control groups and namespaces, B namespaces, the others neither. */
static void set_controls(struct plan *plan, char rung)
{
	bool groups = rung == 'A';
	bool nested = rung <= 'B';

	set_with(plan, CONTROL_memory, "memory-slots", groups, "worker-cgroup");
	set(plan, CONTROL_cpu, BY_HYPERVISOR, "vcpu-timer");
	set(plan, CONTROL_wall, BY_HYPERVISOR, "vcpu-timer");
	set_with(plan, CONTROL_processes, "one-vcpu", groups, "worker-cgroup");
	set(plan, CONTROL_filesystem, BY_HYPERVISOR, "read-only-image");
	set(plan, CONTROL_workspace, BY_HYPERVISOR, "guest-memory,memory-slots");
	set(plan, CONTROL_network, BY_HYPERVISOR, "no-device");
	set(plan, CONTROL_syscalls, BY_HYPERVISOR, "library-os,six-host-calls");
	set(plan, CONTROL_signals, BY_HYPERVISOR, "library-os");
	set(plan, CONTROL_ipc, BY_HYPERVISOR, "library-os");
	set(plan, CONTROL_privileges, BY_HYPERVISOR, "virtual-machine,no-new-privs,seccomp");
	set(plan, CONTROL_identity, BY_HYPERVISOR,
	    nested ? "virtual-machine,user-namespace" : "virtual-machine");
	set(plan, CONTROL_devices, BY_HYPERVISOR, "no-device");
	set_with(plan, CONTROL_host_memory,
		 nested ? "virtual-machine,separate-process,namespaces"
			: "virtual-machine,separate-process",
		 plan->unshared_image, "private-image");
	set(plan, CONTROL_state_reset, BY_HYPERVISOR,
	    is_fresh(plan) ? "fresh-machine" : "snapshot-restore");
	set(plan, CONTROL_imports, plan->import_mode == IMPORTS_OFF ? BY_ABSENT : BY_ADVISORY,
	    plan->import_mode == IMPORTS_OFF ? "" : "import-hook");
	plan->walls = WALL_HYPERVISOR | WALL_OWN_WORKER;
	if (nested)
		plan->walls |= WALL_JAILED_WORKER | WALL_NAMESPACES;
	if (nested && geteuid() == 0)
		plan->walls |= WALL_OWN_UID;
	if (groups)
		plan->walls |= WALL_CGROUP;
	if (is_fresh(plan))
		plan->walls |= WALL_FRESH_WORKER;
	if (plan->unshared_image)
		plan->walls |= WALL_UNSHARED_PAGES;
}

static int level_at(char rung)
{
	struct plan plan = {.level = 0};

	set_controls(&plan, rung);
	return level_by_table(&plan);
}

void microvm_probe(const char *forced_rung, struct engine_probe *out)
{
	struct host_facts facts;
	char rung;

	*out = (struct engine_probe){0};
	if (!probe_kvm(out->missing, sizeof(out->missing)))
		return;
	host_probe(&facts);
	rung = choose_rung(&facts, forced_rung);
	out->rung[0] = rung;
	out->available = rung != '-';
	out->level = out->available ? level_at(rung) : 0;
	if (!out->available)
		(void)snprintf(out->missing, sizeof(out->missing),
			       "seccomp or rung %.8s is missing", forced_rung ? forced_rung : "");
	else if (!facts.namespaces)
		(void)snprintf(
			out->missing, sizeof(out->missing),
			"user namespaces cannot be made: a worker is cut off by seccomp only; "
			"allow them (sysctl user.max_user_namespaces)");
	else if (!facts.cgroups)
		(void)snprintf(out->missing, sizeof(out->missing), "control groups: %s",
			       facts.cgroup_missing);
}

static int check_memory(const struct psb_limits *limits, struct psb_error *err)
{
	uint64_t room = GUEST_POOL_MAX_END - GUEST_POOL_BASE - BOOT_MEMORY_BYTES;

	if (limits->memory_bytes <= room && limits->workspace_bytes <= room - limits->memory_bytes)
		return 0;
	return psb_fail(
		err, PSB_E_UNSUPPORTED, 0,
		"microvm: memory_bytes and workspace_bytes together are over %llu MiB; lower "
		"them or use another engine",
		(unsigned long long)(room >> 20));
}

int microvm_plan(struct plan *plan, struct psb_error *err)
{
	struct python_layout layout;
	int rc = python_layout_find(plan->python, &layout, err);

	if (rc == 0)
		rc = check_memory(&plan->limits, err);
	if (rc < 0)
		return rc;
	set_controls(plan, plan->rung[0]);
	(void)snprintf(plan->python_version, sizeof(plan->python_version), "%s", layout.version);
	return 0;
}

/* The image store: the user's cache directory, private to this program. */
static int find_cache(char *path, size_t room, struct psb_error *err)
{
	const char *cache = secure_getenv("XDG_CACHE_HOME");
	const char *home = secure_getenv("HOME");
	int n;

	if (cache && cache[0] == '/')
		n = snprintf(path, room, "%s/pysandbox", cache);
	else if (geteuid() == 0)
		n = snprintf(path, room, "/var/cache/pysandbox");
	else if (home && home[0] == '/')
		n = snprintf(path, room, "%s/.cache/pysandbox", home);
	else
		return psb_fail(err, PSB_E_NOT_FOUND, 0,
				"microvm: no place for images: set HOME or XDG_CACHE_HOME");
	if (n < 0 || (size_t)n >= room)
		return psb_fail(err, PSB_E_TOO_LARGE, 0,
				"microvm: the cache's path is over %zu bytes", room - 1);
	return 0;
}

static int copy_text(char *to, size_t room, const char *from, const char *what,
		     struct psb_error *err)
{
	if (strlen(from) >= room)
		return psb_fail(err, PSB_E_TOO_LARGE, 0, "%s: %zu bytes, at most %zu", what,
				strlen(from), room - 1);
	memcpy(to, from, strlen(from) + 1);
	return 0;
}

int microvm_configure(const struct plan *plan, struct vmm_config *config, struct psb_error *err)
{
	struct python_layout layout;
	int rc = python_layout_find(plan->python, &layout, err);

	if (rc == 0)
		rc = find_cache(config->cache, sizeof(config->cache), err);
	if (rc == 0)
		rc = copy_text(config->preload, sizeof(config->preload), plan->preload, "preload",
			       err);
	if (rc == 0)
		rc = copy_text(config->libexec, sizeof(config->libexec), plan->libexec, "libexec",
			       err);
	if (rc < 0)
		return rc;
	config->version = MICROVM_VERSION;
	config->slots = plan->single_use ? 1 : plan->pool_size * 2;
	if (config->slots > MICROVM_MAX_SLOTS)
		config->slots = MICROVM_MAX_SLOTS;
	config->single_use = plan->single_use;
	config->fresh_worker = plan->fresh_worker;
	config->unshared_image = plan->unshared_image;
	config->namespaces = plan->rung[0] == 'A' || plan->rung[0] == 'B';
	config->control_groups = plan->rung[0] == 'A';
	config->limits = microvm_limits(&plan->limits);
	memcpy(config->python, layout.executable, sizeof(config->python));
	memcpy(config->python_prefix, layout.prefix, sizeof(config->python_prefix));
	memcpy(config->venv, layout.venv, sizeof(config->venv));
	memcpy(config->python_version, layout.version, sizeof(config->python_version));
	return 0;
}
