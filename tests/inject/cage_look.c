/*
 * A worker's cage as the kernel tells of it in /proc: filter, privileges, capabilities, namespaces,
 * control groups, root, descriptors. Two workers of the same cage give the same text.
 */
#include "cage_look.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bool read_text(int pid, const char *name, char *text, size_t size)
{
	char path[64];
	FILE *file;
	size_t len;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	file = fopen(path, "re");
	if (!file)
		return false;
	len = fread(text, 1, size - 1, file);
	text[len] = '\0';
	(void)fclose(file);
	return len > 0;
}

static bool read_field(const char *status, const char *name, char *value, size_t size)
{
	const char *at = strstr(status, name);

	if (!at)
		return false;
	at += strlen(name);
	at += strspn(at, "\t ");
	(void)snprintf(value, size, "%.*s", (int)strcspn(at, "\n"), at);
	return true;
}

static int parent_of(int pid)
{
	char status[4096];
	char value[32];

	if (!read_text(pid, "status", status, sizeof(status)) ||
	    !read_field(status, "\nPPid:", value, sizeof(value)))
		return 0;
	return (int)strtol(value, NULL, 10);
}

static bool is_below_us(int pid)
{
	int parent = parent_of(pid);

	for (int depth = 0; parent > 1 && depth < 8; depth++) {
		if (parent == (int)getpid())
			return true;
		parent = parent_of(parent);
	}
	return false;
}

static int in_order(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The kinds of its descriptors, sorted; false: it has no virtual processor. */
static bool list_descriptors(int pid, char *text, size_t size)
{
	char path[64];
	char kinds[32][40];
	size_t count = 0;
	bool machine = false;
	struct dirent *entry;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)) && count < 32) {
		char target[40] = "";

		if (entry->d_name[0] == '.' ||
		    readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1) < 0)
			continue;
		target[strcspn(target, "[")] = '\0';
		machine = machine || strstr(target, "kvm-vcpu");
		memcpy(kinds[count++], target, sizeof(target));
	}
	if (dir)
		(void)closedir(dir);
	qsort(kinds, count, sizeof(kinds[0]), in_order);
	text[0] = '\0';
	for (size_t i = 0; i < count; i++)
		(void)snprintf(text + strlen(text), size - strlen(text), "%s,", kinds[i]);
	return machine;
}

static void list_namespaces(int pid, char *text, size_t size)
{
	static const char *const names[] = {"user", "pid", "mnt", "net", "ipc", "uts", "cgroup"};

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[64];
		char theirs[64] = "";
		char ours[64] = "";

		(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, names[i]);
		(void)!readlink(path, theirs, sizeof(theirs) - 1);
		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		(void)!readlink(path, ours, sizeof(ours) - 1);
		if (strcmp(theirs, ours) != 0)
			(void)snprintf(text + strlen(text), size - strlen(text), "%s,", names[i]);
	}
}

static int count_groups(int pid)
{
	char text[4096];
	int count = 0;

	if (!read_text(pid, "cgroup", text, sizeof(text)))
		return -1;
	for (const char *at = strstr(text, "psb-"); at; at = strstr(at + 1, "psb-"))
		count++;
	return count;
}

static bool root_has(int pid, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/root/%s", pid, name);
	return access(path, F_OK) == 0;
}

static void describe(int pid, char *text, size_t size)
{
	static const char *const fields[] = {
		"Seccomp:", "NoNewPrivs:", "CapEff:", "CapPrm:", "CapInh:", "CapAmb:"};
	char status[4096];
	char value[64];
	char list[2000];

	if (!list_descriptors(pid, list, sizeof(list)) ||
	    !read_text(pid, "status", status, sizeof(status)))
		return;
	(void)snprintf(text + strlen(text), size - strlen(text), "fds %s ", list);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (read_field(status, fields[i], value, sizeof(value)))
			(void)snprintf(text + strlen(text), size - strlen(text), "%s %s ",
				       fields[i], value);
	list_namespaces(pid, list, sizeof(list));
	(void)snprintf(text + strlen(text), size - strlen(text), "ns %s groups %d root %d%d\n",
		       list, count_groups(pid), root_has(pid, "usr"), root_has(pid, "etc"));
}

void cage_look(char *text, size_t size)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	text[0] = '\0';
	while (dir && (entry = readdir(dir))) {
		int pid = (int)strtol(entry->d_name, NULL, 10);

		if (pid > 1 && is_below_us(pid))
			describe(pid, text, size);
	}
	if (dir)
		(void)closedir(dir);
}

static int count_children(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	int count = 0;

	while (dir && (entry = readdir(dir))) {
		int pid = (int)strtol(entry->d_name, NULL, 10);

		count += pid > 1 && is_below_us(pid);
	}
	if (dir)
		(void)closedir(dir);
	return count;
}

int cage_wait_for_all(int ms)
{
	const struct timespec pause = {0, 5000000};

	for (int waited = 0; waited < ms; waited += 5) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (waitpid(-1, NULL, WNOHANG) < 0)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	return count_children();
}
