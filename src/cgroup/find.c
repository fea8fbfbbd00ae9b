/*
 * Looks where this host lets us make control groups: v1 has a tree per controller, v2 one for all,
 * where a group passes its controllers on to its children or it does not.
 * Trust: paths and texts are the kernel's.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup/cgroup.h"
#include "cgroup/counters.h"
#include "core/cleanup.h"
#include "core/error.h"

static const char *const names_v1[CGROUP_CONTROLLERS] = {"memory", "pids", "cpuacct"};

/* Finds the path in the line of `controller` ("" for v2) of the text of /proc/self/cgroup. */
static bool own_path(const char *text, const char *controller, char *out, size_t size)
{
	size_t len = strlen(controller);

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *list = line + strcspn(line, ":\n");
		const char *path = *list == ':' ? list + 1 + strcspn(list + 1, ":\n") : list;
		size_t bytes = *path == ':' ? strcspn(path + 1, "\n") : size;

		if (bytes >= size || path != list + 1 + len ||
		    strncmp(list + 1, controller, len) != 0)
			continue;
		if (bytes == 1) /* "/" */
			bytes = 0;
		memcpy(out, path + 1, bytes);
		out[bytes] = '\0';
		return true;
	}
	return false;
}

static bool usable_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && access(path, W_OK) == 0;
}

static bool find_v1(const char *sysfs, const char *own, struct cgroup_host *out)
{
	for (size_t i = 0; i < CGROUP_CONTROLLERS; i++) {
		char path[160] = "";
		char *dir = out->parent[i];

		(void)own_path(own, names_v1[i], path, sizeof(path));
		(void)snprintf(dir, sizeof(out->parent[i]), "%.60s/%s%s", sysfs, names_v1[i], path);
		/* In a container the path is often relative to a root that is not mounted. */
		if (!usable_dir(dir))
			(void)snprintf(dir, sizeof(out->parent[i]), "%.60s/%s", sysfs, names_v1[i]);
		if (!usable_dir(dir))
			return false;
	}
	out->unified = false;
	return true;
}

bool cgroup_delegates(const char *dir)
{
	char text[256];
	char path[300];
	auto_fd fd = -1;

	(void)snprintf(path, sizeof(path), "%.255s/cgroup.subtree_control", dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	(void)!write(fd, "+memory +pids", 13);
	return counter_text(fd, text, sizeof(text)) > 0 && strstr(text, "memory") &&
	       strstr(text, "pids");
}

/* v2: the nearest ancestor of our own group whose children get the memory and pids controllers.
 * Our own group has processes, so the kernel refuses it unless it is the root. */
static bool find_v2(const char *sysfs, const char *own, struct cgroup_host *out)
{
	char path[160] = "";
	char probe[300];
	char *slash;

	(void)snprintf(probe, sizeof(probe), "%.255s/cgroup.controllers", sysfs);
	if (access(probe, R_OK) < 0 || !own_path(own, "", path, sizeof(path)))
		return false;
	for (;;) {
		char *dir = out->parent[0];

		(void)snprintf(dir, sizeof(out->parent[0]), "%.60s%s", sysfs, path);
		if (usable_dir(dir) && cgroup_delegates(dir)) {
			out->unified = true;
			return true;
		}
		slash = strrchr(path, '/');
		if (!slash)
			return false;
		*slash = '\0';
	}
}

int cgroup_find(const char *sysfs, const char *self, struct cgroup_host *out, struct psb_error *err)
{
	struct cgroup_host host = {0};
	char own[4096] = "";
	auto_fd fd = open(self, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)counter_text(fd, own, sizeof(own));
	if (!find_v2(sysfs, own, &host) && !find_v1(sysfs, own, &host))
		return psb_fail(err, PSB_E_UNSUPPORTED, 0,
				"no writable control group with memory and pids below %s; run as "
				"root or in a delegated group (systemd-run --user --scope "
				"-p Delegate=yes)",
				sysfs);
	*out = host;
	return 0;
}
