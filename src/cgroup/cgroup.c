/*
 * Theory of operation: an owner (a keeper, or the outer process of the microVM engine's supervisor)
 * has one group "psb-<pid>-<start time>" below the group it was started in (v1: one per controller;
 * v2: one), with one child group per slot and, on v2, one for the zygote. A slot's group outlives its
 * executions: counters are read as differences from the base taken when an instance becomes ready.
 * Groups that a killed owner left behind are empty and removed by the next start.
 * Moving a process by its id takes the kernel's lock against all forks, which on an idle host waits
 * for a grace period: milliseconds. On v1 a single-threaded process that writes "0" to `tasks` moves
 * itself without that lock, so the template and each guest enter their groups that way, through
 * descriptors that the keeper opened (the kernel judges by the opener's rights).
 * Trust: all paths and numbers here come from the kernel or the keeper; guests never see them.
 */
#include "cgroup/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup/counters.h"
#include "core/cleanup.h"
#include "core/error.h"
#include "host_probe/procfs.h"

/* The group's slack above the soft limit (RLIMIT_AS), so that Python's MemoryError comes first. */
#define WALL_SLACK_BYTES (8u << 20)

static size_t controller_count(const struct cgroup_host *host)
{
	return host->unified ? 1 : CGROUP_CONTROLLERS;
}

static int write_at(int dir, const char *file, const char *text)
{
	auto_fd fd = openat(dir, file, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int write_number_at(int dir, const char *file, uint64_t number)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%" PRIu64, number);
	return write_at(dir, file, text);
}

static ssize_t read_at(int dir, const char *file, char *text, size_t size)
{
	auto_fd fd = openat(dir, file, O_RDONLY | O_CLOEXEC);

	text[0] = '\0';
	return fd < 0 ? -1 : counter_text(fd, text, size);
}

static uint64_t number_at(int dir, const char *file)
{
	char text[64];

	return read_at(dir, file, text, sizeof(text)) > 0 ? strtoull(text, NULL, 10) : 0;
}

static uint64_t keyed_at(int dir, const char *file, const char *key)
{
	char text[1024];

	return read_at(dir, file, text, sizeof(text)) > 0 ? counter_keyed(text, key) : 0;
}

static void group_path(const struct cgroup_tree *tree, size_t controller, const char *child,
		       char path[400])
{
	(void)snprintf(path, 400, "%s/%s%s%s", tree->host.parent[controller], tree->name,
		       child[0] ? "/" : "", child);
}

static void remove_group(const char *path)
{
	auto_free struct dirent **list = NULL;
	int count = scandir(path, &list, NULL, NULL);
	char child[700];

	for (int i = 0; i < count; i++) {
		if (list[i]->d_type == DT_DIR && list[i]->d_name[0] != '.') {
			(void)snprintf(child, sizeof(child), "%.400s/%s", path, list[i]->d_name);
			(void)rmdir(child);
		}
		free(list[i]);
	}
	(void)rmdir(path);
}

/* "psb-<pid>-<start>" of a process that is gone: nobody else will remove it. */
static void sweep_dead(const char *parent)
{
	DIR *dir = opendir(parent);
	struct dirent *entry;
	char path[700];

	while (dir && (entry = readdir(dir))) {
		if (!procfs_names_dead_process(entry->d_name))
			continue;
		(void)snprintf(path, sizeof(path), "%.300s/%s", parent, entry->d_name);
		remove_group(path);
	}
	if (dir)
		(void)closedir(dir);
}

static int make_top(struct cgroup_tree *tree, size_t controller, struct psb_error *err)
{
	char path[400];

	group_path(tree, controller, "", path);
	if (mkdir(path, 0755) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "cannot make control group %s: %s", path,
				strerror(errno));
	if (!tree->host.unified)
		return 0;
	if (!cgroup_delegates(path))
		return psb_fail(err, PSB_E_UNSUPPORTED, 0,
				"control group %s does not pass on memory and pids", path);
	group_path(tree, controller, "zygote", path);
	if (mkdir(path, 0755) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "cannot make control group %s", path);
	return 0;
}

void cgroup_sweep(const struct cgroup_tree *tree)
{
	for (size_t i = 0; i < controller_count(&tree->host); i++)
		sweep_dead(tree->host.parent[i]);
}

int cgroup_tree_open(struct cgroup_tree *tree, struct psb_error *err)
{
	int rc;

	(void)snprintf(tree->name, sizeof(tree->name), "psb-%d-%" PRIu64, (int)getpid(),
		       procfs_start_time(getpid()));
	tree->made = true;
	for (size_t i = 0; i < controller_count(&tree->host); i++) {
		rc = make_top(tree, i, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

void cgroup_tree_close(struct cgroup_tree *tree, uint32_t slots)
{
	char path[400];
	char child[16];

	if (!tree->made)
		return;
	for (size_t i = 0; i < controller_count(&tree->host); i++) {
		for (uint32_t slot = 0; slot < slots; slot++) {
			(void)snprintf(child, sizeof(child), "s%u", slot);
			group_path(tree, i, child, path);
			(void)rmdir(path);
		}
		group_path(tree, i, "zygote", path);
		(void)rmdir(path);
		group_path(tree, i, "", path);
		(void)rmdir(path);
	}
}

int cgroup_tree_attach(const struct cgroup_tree *tree, pid_t pid)
{
	char path[400];
	int rc = 0;

	for (size_t i = 0; i < controller_count(&tree->host) && rc == 0; i++) {
		auto_fd dir = -1;

		group_path(tree, i, tree->host.unified ? "zygote" : "", path);
		dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		rc = dir < 0 ? -errno : write_number_at(dir, "cgroup.procs", (uint64_t)pid);
	}
	return rc;
}

int cgroup_tree_enter(const struct cgroup_tree *tree)
{
	char path[400];
	int rc = 0;

	for (size_t i = 0; i < controller_count(&tree->host) && rc == 0; i++) {
		auto_fd dir = -1;

		group_path(tree, i, "", path);
		dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		rc = dir < 0 ? -errno : write_at(dir, "tasks", "0");
	}
	return rc;
}

void cgroup_slot_init(struct cgroup_slot *slot)
{
	*slot = (struct cgroup_slot){
		.dirs = {-1, -1, -1}, .tasks = {-1, -1, -1}, .cpu_usage = -1, .memory_peak = -1};
}

int cgroup_slot_enter(const struct cgroup_slot *slot)
{
	for (size_t i = 0; i < CGROUP_CONTROLLERS; i++)
		if (write(slot->tasks[i], "0", 1) != 1)
			return -errno;
	return 0;
}

bool cgroup_slot_holds(const struct cgroup_slot *slot, pid_t pid)
{
	char text[512];

	/* Opened anew: the kernel makes the list once for each open file. */
	if (read_at(slot->dirs[CGROUP_MEMORY], "tasks", text, sizeof(text)) <= 0)
		return false;
	for (const char *line = text; line; line = strchr(line, '\n'))
		if (strtol(*line == '\n' ? ++line : line, NULL, 10) == pid)
			return true;
	return false;
}

static int open_all(const struct cgroup_tree *tree, uint32_t index, struct cgroup_slot *slot)
{
	bool v2 = tree->host.unified;
	char path[400];
	char child[16];
	int cpu_dir;

	(void)snprintf(child, sizeof(child), "s%u", index);
	for (size_t i = 0; i < controller_count(&tree->host); i++) {
		group_path(tree, i, child, path);
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		slot->dirs[i] = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (slot->dirs[i] < 0)
			return -errno;
		if (!v2)
			slot->tasks[i] = openat(slot->dirs[i], "tasks", O_RDWR | O_CLOEXEC);
		if (!v2 && slot->tasks[i] < 0)
			return -errno;
	}
	cpu_dir = slot->dirs[v2 ? 0 : CGROUP_CPUACCT];
	slot->cpu_usage = openat(cpu_dir, v2 ? "cpu.stat" : "cpuacct.usage", O_RDONLY | O_CLOEXEC);
	slot->memory_peak = openat(slot->dirs[0], v2 ? "memory.peak" : "memory.max_usage_in_bytes",
				   (v2 ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (slot->cpu_usage < 0 || (slot->memory_peak < 0 && !v2))
		return -errno;
	return 0;
}

void cgroup_slot_close(struct cgroup_slot *slot)
{
	for (size_t i = 0; i < CGROUP_CONTROLLERS; i++)
		close_fd(&slot->dirs[i]);
	for (size_t i = 0; i < CGROUP_CONTROLLERS; i++)
		close_fd(&slot->tasks[i]);
	close_fd(&slot->cpu_usage);
	close_fd(&slot->memory_peak);
}

/* All of it or nothing: a slot that is half open would pass for one that has its limits. */
int cgroup_slot_open(const struct cgroup_tree *tree, uint32_t index, struct cgroup_slot *slot)
{
	int rc = open_all(tree, index, slot);

	if (rc < 0)
		cgroup_slot_close(slot);
	return rc;
}

int cgroup_slot_attach(const struct cgroup_tree *tree, const struct cgroup_slot *slot, pid_t pid)
{
	int rc = 0;

	for (size_t i = 0; i < controller_count(&tree->host) && rc == 0; i++)
		rc = write_number_at(slot->dirs[i], "cgroup.procs", (uint64_t)pid);
	return rc;
}

static uint64_t oom_kills(const struct cgroup_tree *tree, const struct cgroup_slot *slot)
{
	const char *file = tree->host.unified ? "memory.events" : "memory.oom_control";

	return keyed_at(slot->dirs[CGROUP_MEMORY], file, "oom_kill");
}

static uint64_t memory_fails(const struct cgroup_tree *tree, const struct cgroup_slot *slot)
{
	return tree->host.unified ? keyed_at(slot->dirs[0], "memory.events", "max")
				  : number_at(slot->dirs[CGROUP_MEMORY], "memory.failcnt");
}

static int pids_dir(const struct cgroup_tree *tree, const struct cgroup_slot *slot)
{
	return slot->dirs[tree->host.unified ? 0 : CGROUP_PIDS];
}

static uint64_t pid_fails(const struct cgroup_tree *tree, const struct cgroup_slot *slot)
{
	return keyed_at(pids_dir(tree, slot), "pids.events", "max");
}

int cgroup_slot_open_refusals(const struct cgroup_tree *tree, const struct cgroup_slot *slot)
{
	return openat(pids_dir(tree, slot), "pids.events", O_RDONLY | O_CLOEXEC);
}

static uint64_t cpu_total_us(const struct cgroup_tree *tree, const struct cgroup_slot *slot)
{
	return counter_cpu_us(slot->cpu_usage, tree->host.unified);
}

static void mark_memory(const struct cgroup_tree *tree, struct cgroup_slot *slot)
{
	bool v2 = tree->host.unified;

	slot->memory_base = number_at(slot->dirs[CGROUP_MEMORY],
				      v2 ? "memory.current" : "memory.usage_in_bytes");
	if (!v2)
		(void)!pwrite(slot->memory_peak, "0", 1, 0);
}

static int set_memory_wall(const struct cgroup_tree *tree, struct cgroup_slot *slot, uint64_t bytes)
{
	int dir = slot->dirs[CGROUP_MEMORY];
	bool v2 = tree->host.unified;
	int rc;

	mark_memory(tree, slot);
	bytes += slot->memory_base + WALL_SLACK_BYTES;
	if (v2) {
		(void)write_at(dir, "memory.swap.max", "0");
		return write_number_at(dir, "memory.max", bytes);
	}
	/* memory+swap may never be below memory: lift it, set memory, then pin both to the same. */
	(void)write_at(dir, "memory.memsw.limit_in_bytes", "-1");
	rc = write_number_at(dir, "memory.limit_in_bytes", bytes);
	(void)write_number_at(dir, "memory.memsw.limit_in_bytes", bytes);
	return rc;
}

static int set_walls(const struct cgroup_tree *tree, struct cgroup_slot *slot,
		     uint64_t memory_bytes, uint64_t processes)
{
	int rc = set_memory_wall(tree, slot, memory_bytes);

	return rc < 0 ? rc : write_number_at(pids_dir(tree, slot), "pids.max", processes);
}

int cgroup_slot_arm_ahead(const struct cgroup_tree *tree, struct cgroup_slot *slot,
			  uint64_t memory_bytes, uint64_t processes)
{
	int rc = set_walls(tree, slot, memory_bytes, processes);

	slot->armed_ahead = rc == 0;
	return rc;
}

int cgroup_slot_arm(const struct cgroup_tree *tree, struct cgroup_slot *slot, uint64_t memory_bytes,
		    uint64_t processes)
{
	int rc = 0;

	if (slot->armed_ahead)
		mark_memory(tree, slot);
	else
		rc = set_walls(tree, slot, memory_bytes, processes);
	slot->armed_ahead = false;
	slot->oom_base = oom_kills(tree, slot);
	slot->pids_base = pid_fails(tree, slot);
	slot->fail_base = memory_fails(tree, slot);
	slot->cpu_base_us = cpu_total_us(tree, slot);
	return rc;
}

uint64_t cgroup_slot_cpu_us(const struct cgroup_tree *tree, const struct cgroup_slot *slot)
{
	return counter_above(cpu_total_us(tree, slot), slot->cpu_base_us);
}

void cgroup_slot_usage(const struct cgroup_tree *tree, const struct cgroup_slot *slot,
		       bool with_events, struct cgroup_usage *out)
{
	*out = (struct cgroup_usage){.cpu_us = cgroup_slot_cpu_us(tree, slot)};
	out->memory_peak_bytes =
		counter_above(counter_peak_bytes(slot->memory_peak), slot->memory_base);
	out->process_limit_hit = pid_fails(tree, slot) > slot->pids_base;
	if (!with_events)
		return;
	out->oom_killed = oom_kills(tree, slot) > slot->oom_base;
	out->memory_limit_hit = memory_fails(tree, slot) > slot->fail_base;
}
