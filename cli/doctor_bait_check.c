/*
 * Looks at the bait from outside: are its files as they were, is anything new, has anybody called,
 * is anything mounted? Every difference is one finding, held against the control that should have
 * prevented it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "doctor.h"

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_mode == b->st_mode &&
	       a->st_uid == b->st_uid && a->st_gid == b->st_gid && a->st_nlink == b->st_nlink &&
	       a->st_size == b->st_size && same_time(&a->st_mtim, &b->st_mtim) &&
	       same_time(&a->st_ctim, &b->st_ctim);
}

static bool holds_a_mark(const struct bait_file *file)
{
	char text[MARK_BYTES + 1] = "";
	auto_fd fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd >= 0 && read(fd, text, sizeof(text)) == MARK_BYTES - 1 &&
	       !strncmp(text, "PSBMARK", 7);
}

static bool check_files(const struct bait *bait, struct judge *judge)
{
	bool touched = false;

	for (size_t i = 0; i < BAIT_FILES; i++) {
		const struct bait_file *file = &bait->files[i];
		struct stat now;

		if (!lstat(file->path, &now) && same_file(&now, &file->before) &&
		    holds_a_mark(file))
			continue;
		judge_effect(judge, "bait_changed", "filesystem",
			     i == 4 ? "a file outside was changed" : strrchr(file->path, '/') + 1);
		touched = true;
	}
	return touched;
}

static bool is_ours(const struct bait *bait, const char *name)
{
	static const char *const others[] = {".", "..", "socket", "datagram"};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!strcmp(name, others[i]))
			return true;
	for (size_t i = 0; i < BAIT_FILES; i++)
		if (!strcmp(name, strrchr(bait->files[i].path, '/') + 1))
			return true;
	return false;
}

static bool check_directory(const struct bait *bait, struct judge *judge)
{
	bool touched = false;
	struct dirent *entry;
	struct stat st;
	DIR *directory = opendir(bait->open);

	if (!directory) {
		judge_effect(judge, "bait_gone", "filesystem", "the directory outside is gone");
		return true;
	}
	while ((entry = readdir(directory))) {
		if (is_ours(bait, entry->d_name))
			continue;
		judge_effect(judge, "bait_made", "filesystem", entry->d_name);
		touched = true;
	}
	(void)closedir(directory);
	if (lstat(bait->open, &st) || (st.st_mode & 07777) != 0777 || st.st_uid != geteuid()) {
		judge_effect(judge, "bait_directory", "filesystem", "mode or owner was changed");
		touched = true;
	}
	return touched;
}

static bool check_places(const struct bait *bait, struct judge *judge)
{
	static const char *const suffixes[] = {"", "-planted"};
	bool touched = false;
	struct stat st;
	char path[128];

	for (size_t i = 0; i < BAIT_PLACES * 2; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s%s", bait_places[i / 2], bait->token,
			       suffixes[i % 2]);
		if (lstat(path, &st))
			continue;
		judge_effect(judge, "made_outside", "filesystem", path);
		touched = true;
	}
	return touched;
}

/* A connection is accepted and a message read, so that the next attack finds the queue empty. */
static bool check_listeners(const struct bait *bait, struct judge *judge)
{
	static const char *const names[BAIT_SOCKETS] = {
		"TCP",       "TCP over IPv6", "UDP", "abstract Unix socket", "abstract datagram",
		"Unix path", "Unix datagram"};
	bool called = false;

	for (size_t i = 0; i < BAIT_SOCKETS; i++) {
		char byte;
		bool stream =
			i != BAIT_UDP && i != BAIT_ABSTRACT_DATAGRAM && i != BAIT_PATH_DATAGRAM;
		auto_fd caller = -1;

		if (bait->sockets[i] < 0)
			continue;
		if (stream)
			caller = accept4(bait->sockets[i], NULL, NULL, SOCK_CLOEXEC);
		else if (recv(bait->sockets[i], &byte, 1, MSG_DONTWAIT | MSG_TRUNC) < 0)
			continue;
		if (stream && caller < 0)
			continue;
		judge_effect(judge, "listener_reached", "network", names[i]);
		called = true;
	}
	return called;
}

static bool check_mounts(const struct bait *bait, struct judge *judge)
{
	auto_file file = fopen("/proc/self/mountinfo", "re");
	auto_free char *line = NULL;
	size_t room = 0;

	while (file && getline(&line, &room, file) > 0) {
		if (!strstr(line, bait->top))
			continue;
		judge_effect(judge, "mounted", "privileges", "something is mounted on the bait");
		return true;
	}
	return false;
}

bool bait_check(const struct bait *bait, struct judge *judge)
{
	bool touched = check_files(bait, judge);

	touched |= check_directory(bait, judge);
	touched |= check_places(bait, judge);
	touched |= check_listeners(bait, judge);
	touched |= check_mounts(bait, judge);
	return touched;
}
