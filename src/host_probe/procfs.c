/*
 * Reads /proc entries of processes that the keeper or the library made. The texts are the kernel's, except the
 * command name in stat, which a guest may choose: fields are counted from the last ')'.
 */
#include "host_probe/procfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"

static ssize_t read_proc(pid_t pid, const char *file, char *text, size_t size)
{
	char path[64];
	auto_fd fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	return n;
}

uint64_t procfs_start_time(pid_t pid)
{
	char text[1024];
	char *field;

	if (read_proc(pid, "stat", text, sizeof(text)) <= 0)
		return 0;
	field = strrchr(text, ')');
	for (int i = 2; field && i < 22; i++)
		field = strchr(field + 1, ' ');
	return field ? strtoull(field, NULL, 10) : 0;
}

uint64_t procfs_address_space_bytes(pid_t pid)
{
	char text[128];
	long page = sysconf(_SC_PAGESIZE);

	if (read_proc(pid, "statm", text, sizeof(text)) <= 0)
		return 0;
	return strtoull(text, NULL, 10) * (uint64_t)page;
}

uint64_t procfs_pid_namespace(pid_t pid)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
	return stat(path, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

bool procfs_is_ours(void)
{
	char self[16] = "";
	ssize_t len = readlink("/proc/self", self, sizeof(self) - 1);

	return len > 0 && strtol(self, NULL, 10) == (long)getpid();
}

pid_t procfs_of_pidfd(int pidfd)
{
	char file[32];
	char text[512];
	const char *line = NULL;
	long number;

	(void)snprintf(file, sizeof(file), "fdinfo/%d", pidfd);
	if (procfs_is_ours() && read_proc(getpid(), file, text, sizeof(text)) > 0)
		line = strstr(text, "\nPid:");
	number = line ? strtol(line + 5, NULL, 10) : 0;
	return number > 0 ? (pid_t)number : 0;
}

pid_t procfs_thread_group(pid_t tid)
{
	char text[1024];
	char *line;

	if (read_proc(tid, "status", text, sizeof(text)) <= 0)
		return 0;
	line = strstr(text, "\nTgid:");
	return line ? (pid_t)strtol(line + 6, NULL, 10) : 0;
}

uint64_t procfs_peak_rss_bytes(pid_t pid)
{
	char text[2048];
	char *line;

	if (read_proc(pid, "status", text, sizeof(text)) <= 0)
		return 0;
	line = strstr(text, "\nVmHWM:");
	return line ? strtoull(line + 7, NULL, 10) * 1024 : 0;
}

static uint64_t thread_count(pid_t pid)
{
	char text[2048];
	char *line;

	if (read_proc(pid, "status", text, sizeof(text)) <= 0)
		return 0;
	line = strstr(text, "\nThreads:");
	return line ? strtoull(line + 9, NULL, 10) : 0;
}

uint64_t procfs_tasks_of_user(uid_t user)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	struct stat info;
	uint64_t count = 0;

	while (dir && (entry = readdir(dir))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid > 0 && fstatat(dirfd(dir), entry->d_name, &info, 0) == 0 &&
		    info.st_uid == user)
			count += thread_count(pid);
	}
	if (dir)
		(void)closedir(dir);
	return count;
}

bool procfs_names_dead_process(const char *name)
{
	char *rest = NULL;
	long pid;

	if (strncmp(name, "psb-", 4) != 0)
		return false;
	pid = strtol(name + 4, &rest, 10);
	if (pid <= 0 || *rest != '-' || rest[1] < '0' || rest[1] > '9')
		return false;
	return strtoull(rest + 1, NULL, 10) != procfs_start_time((pid_t)pid);
}
