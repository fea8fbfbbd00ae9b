/*
 * Which rung this host reaches, and what each control is worth there. The rungs:
 *   A  user namespaces and control groups    B  user namespaces
 *   C  Landlock, seccomp, rlimits            D  seccomp, rlimits
 * Trust: facts come from the kernel; a forced rung (tests) can only lower what is used.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/level.h"
#include "host_probe/probe.h"
#include "jail/jail.h"
#include "keeper/python_layout.h"
#include "native.h"

static char best_rung(const struct host_facts *facts)
{
	if (!facts->seccomp)
		return '-';
	if (facts->namespaces)
		return facts->cgroups ? 'A' : 'B';
	return facts->landlock_abi > 0 ? 'C' : 'D';
}

/* A host that reaches a rung has what the lower ones need, but for Landlock on C. */
static bool reaches(const struct host_facts *facts, char rung)
{
	char best = best_rung(facts);

	if (best == '-' || rung < best)
		return false;
	return rung != 'C' || facts->landlock_abi > 0;
}

static void describe_missing(const struct host_facts *facts, char rung, char *text, size_t size)
{
	if (rung == '-')
		(void)snprintf(text, size,
			       "seccomp user notification is missing: Linux 5.13 or newer "
			       "with CONFIG_SECCOMP_FILTER is needed");
	else if (rung == 'B')
		(void)snprintf(text, size, "control groups: %s", facts->cgroup_missing);
	else if (rung >= 'C')
		(void)snprintf(text, size,
			       "user namespaces cannot be made: allow them (sysctl "
			       "user.max_user_namespaces, kernel.unprivileged_userns_clone; "
			       "in a container: a seccomp profile that permits unshare and "
			       "mount)");
}

static void set(struct plan *plan, enum plan_control control, enum control_by by, const char *how)
{
	plan->controls[control].by = by;
	(void)snprintf(plan->controls[control].how, sizeof(plan->controls[control].how), "%s", how);
}

/* Landlock cuts off TCP from version 4 on, signals and abstract sockets from version 6 on. */
static void set_common(struct plan *plan, int landlock)
{
	set(plan, CONTROL_cpu, BY_KERNEL, "keeper-timer");
	set(plan, CONTROL_wall, BY_KERNEL, "keeper-timer");
	set(plan, CONTROL_syscalls, BY_KERNEL, "seccomp");
	set(plan, CONTROL_network, BY_KERNEL, landlock >= 4 ? "seccomp,landlock" : "seccomp");
	set(plan, CONTROL_signals, BY_KERNEL, landlock >= 6 ? "seccomp,landlock" : "seccomp");
	set(plan, CONTROL_ipc, BY_KERNEL, "seccomp");
	set(plan, CONTROL_privileges, BY_KERNEL, "no-new-privs,capabilities");
	set(plan, CONTROL_host_memory, BY_KERNEL, "separate-process,exec");
	set(plan, CONTROL_state_reset, BY_KERNEL, "fresh-process");
	set(plan, CONTROL_imports, plan->import_mode == IMPORTS_OFF ? BY_ABSENT : BY_ADVISORY,
	    plan->import_mode == IMPORTS_OFF ? "" : "import-hook");
}

static void set_namespaced(struct plan *plan, bool groups, bool root, int landlock)
{
	set(plan, CONTROL_memory, BY_KERNEL, groups ? "cgroup,rlimit-as" : "rlimit-as");
	if (groups)
		set(plan, CONTROL_cpu, BY_KERNEL, "cgroup-accounting,keeper-timer");
	set(plan, CONTROL_processes, BY_KERNEL,
	    groups ? "cgroup,pid-namespace" : "seccomp,rlimit-nproc,pid-namespace");
	set(plan, CONTROL_filesystem, BY_KERNEL, landlock ? "pivot-root,landlock" : "pivot-root");
	set(plan, CONTROL_workspace, BY_KERNEL, "tmpfs-size,tmpfs-inodes");
	set(plan, CONTROL_network, BY_KERNEL, "net-namespace,seccomp");
	set(plan, CONTROL_signals, BY_KERNEL, "pid-namespace,seccomp");
	set(plan, CONTROL_ipc, BY_KERNEL, "ipc-namespace,seccomp");
	set(plan, CONTROL_devices, BY_KERNEL, "pivot-root");
	set(plan, CONTROL_identity, BY_KERNEL,
	    root ? "user-namespace,own-uid-per-slot" : "user-namespace");
}

/* Without namespaces: the sum of the workspace is only judged afterwards, so its control is no
 * wall; as root the sandbox has a uid of its own, but its instances share it. */
static void set_plain(struct plan *plan, bool root, int landlock)
{
	enum control_by files = landlock ? BY_KERNEL : BY_ABSENT;

	set(plan, CONTROL_memory, BY_KERNEL, "rlimit-as");
	set(plan, CONTROL_processes, BY_KERNEL, "seccomp,rlimit-nproc");
	set(plan, CONTROL_filesystem, files, landlock ? "landlock" : "");
	set(plan, CONTROL_workspace, BY_ADVISORY, "rlimit-fsize-per-file,judged-at-the-end");
	set(plan, CONTROL_devices, files, landlock ? "landlock" : "");
	set(plan, CONTROL_identity, root ? BY_KERNEL : BY_ABSENT,
	    root ? "own-uid-per-sandbox" : "");
}

/* `landlock` is the version of its interface, 0 if there is none. */
static void describe(struct plan *plan, char rung, bool root, int landlock)
{
	if (rung == 'D')
		landlock = 0;
	set_common(plan, landlock);
	if (rung <= 'B')
		set_namespaced(plan, rung == 'A', root, landlock);
	else
		set_plain(plan, root, landlock);
	plan->walls = WALL_OWN_WORKER;
	if (rung <= 'B')
		plan->walls |= WALL_NAMESPACES | (root ? (unsigned int)WALL_OWN_UID : 0);
	if (rung == 'A')
		plan->walls |= WALL_CGROUP;
}

static int level_at(char rung, bool root, int landlock_abi)
{
	struct plan plan = {.level = 0};

	describe(&plan, rung, root, landlock_abi);
	return level_by_table(&plan);
}

static char choose(const struct host_facts *facts, const char *forced)
{
	if (!forced)
		return best_rung(facts);
	if (strlen(forced) != 1 || strchr("ABCD", forced[0]) == NULL || !reaches(facts, forced[0]))
		return '-';
	return forced[0];
}

void native_probe(const char *forced_rung, struct engine_probe *out)
{
	struct host_facts facts;
	char rung;

	*out = (struct engine_probe){0};
	host_probe(&facts);
	rung = choose(&facts, forced_rung);
	out->available = rung != '-';
	out->level = out->available ? level_at(rung, facts.root, facts.landlock_abi) : 0;
	out->rung[0] = rung;
	describe_missing(&facts, forced_rung ? best_rung(&facts) : rung, out->missing,
			 sizeof(out->missing));
	if (!out->available && forced_rung)
		(void)snprintf(out->missing, sizeof(out->missing),
			       "rung %.8s is not offered by this host (the best is %c)",
			       forced_rung, best_rung(&facts));
}

int native_plan(struct plan *plan, struct psb_error *err)
{
	struct python_layout layout;
	char rung = plan->rung[0];
	int rc = python_layout_find(plan->python, &layout, err);

	if (rc < 0)
		return rc;
	if (rung < 'A' || rung > 'D')
		return psb_fail(err, PSB_E_UNSUPPORTED, 0, "native: there is no rung %.7s",
				plan->rung);
	if (plan->unshared_image)
		return psb_fail(err, PSB_E_UNSUPPORTED, 0,
				"native: instances share their template's pages, which the policy "
				"forbids (share_image false); use the microvm engine");
	describe(plan, rung, geteuid() == 0, jail_landlock_abi());
	(void)snprintf(plan->python_version, sizeof(plan->python_version), "%s", layout.version);
	return 0;
}
