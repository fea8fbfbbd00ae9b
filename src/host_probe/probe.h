/* What this host offers a cage, found by asking the kernel, without lasting effect. */
#ifndef PSB_HOST_PROBE_H
#define PSB_HOST_PROBE_H

#include <stdbool.h>

struct host_facts {
	bool root;
	bool namespaces; /* user, pid, mount, net, ipc, uts and cgroup namespaces can be made */
	bool cgroups;    /* memory and pids groups can be made below our own */
	bool cgroup_v2;
	bool seccomp;     /* filters with user notification */
	int landlock_abi; /* 0: none */
	char cgroup_missing[256];
};

void host_probe(struct host_facts *out);

#endif
