/*
 * A plan is a policy compiled for one engine on this host: the limits, what each control became
 * and the level that follows by the fixed table. Made before anything runs; copied into every
 * outcome.
 */
#ifndef PSB_PLAN_H
#define PSB_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "pysandbox.h"

/* The formatter does not settle on a layout of this list. */
/* clang-format off */
#define PLAN_CONTROL_MAP(X) \
	X(memory) X(cpu) X(wall) X(processes) X(filesystem) X(workspace) X(network) X(syscalls) \
	X(signals) X(ipc) X(privileges) X(identity) X(devices) X(host_memory) X(state_reset) \
	X(hardware_speculation) X(imports)
/* clang-format on */

enum plan_control {
#define X(name) CONTROL_##name,
	PLAN_CONTROL_MAP(X)
#undef X
		CONTROL_COUNT
};

enum control_by { BY_ABSENT = 0, BY_ADVISORY, BY_RUNTIME, BY_KERNEL, BY_HYPERVISOR };

struct control {
	enum control_by by;
	char how[96]; /* comma-separated mechanisms, e.g. "cgroup,rlimit-as" */
};

/* What the rows of the level's table ask for beyond the controls; plan() sets what is true of the
 * engine here, the core what is true of the host. */
enum plan_wall {
	WALL_NAMESPACES = 1 << 0,     /* user, pid, ipc and mount namespaces */
	WALL_CGROUP = 1 << 1,         /* memory and pids are limited by a control group */
	WALL_OWN_UID = 1 << 2,        /* the guest has a uid that nothing else has */
	WALL_WASM = 1 << 3,           /* compiled WebAssembly around the interpreter */
	WALL_HYPERVISOR = 1 << 4,     /* hardware virtualisation around the guest */
	WALL_JAILED_WORKER = 1 << 5,  /* the process that holds the guest is caged itself */
	WALL_OWN_WORKER = 1 << 6,     /* no worker or template serves two tenants */
	WALL_FRESH_WORKER = 1 << 7,   /* a new worker for each execution */
	WALL_UNSHARED_PAGES = 1 << 8, /* no memory shared with other instances, images included */
	WALL_MITIGATIONS = 1 << 9,    /* the host's, of speculative execution; set by the core */
};

enum import_mode { IMPORTS_DENY_LIST = 0, IMPORTS_ALLOW_LIST, IMPORTS_OFF };

struct plan {
	const char *engine; /* static */
	char rung[8];
	int level;          /* set by the core, from the controls and walls */
	unsigned int walls; /* bits of enum plan_wall */
	struct control controls[CONTROL_COUNT];
	struct psb_limits limits; /* complete: every field non-zero */
	char policy_name[64];
	char policy_sha256[65];
	enum import_mode import_mode;
	const char *imports;     /* the list as JSON text, as each request brings it */
	char *python;            /* owned; absolute path */
	char *preload;           /* owned; comma-separated, may be "" */
	char *libexec;           /* owned */
	char python_version[16]; /* "3.11", filled by the engine's plan() */
	uint32_t pool_size;
	bool single_use;
	bool fresh_worker;   /* a worker may serve one execution only */
	bool unshared_image; /* no page of a template or image may be shared */
	bool input_files;    /* requests may bring files */
	bool output_files;   /* requests may collect the workspace's files */
};

#endif
