/*
 * Opens the site policy's file. It counts only if nobody but its owner could have made, changed or
 * removed it: a regular file of root's, in a directory of root's, both not writable by group or
 * others, no symbolic link in the last two steps. Anything else is refused, and with it every
 * sandbox: rules that cannot be read must not be taken for rules that do not exist. Only a missing
 * file, in a place where root alone could have removed it, means that there are none.
 *
 * Trust: what was opened is what is checked and read. A site policy binds the programs that use
 * this library as it was installed; who may run programs of his own on the machine, with another
 * library or without one, is bound by the machine's other rules.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/error.h"
#include "core/site.h"

static int cannot_read(const char *path, int sys_errno, struct psb_error *err)
{
	return psb_fail(err, PSB_E_POLICY, sys_errno,
			"site policy %.200s: cannot be read, so nothing runs; let everybody read "
			"it (chmod 755 the directory, 644 the file; no symlinks), or remove it",
			path);
}

/* In a directory with the sticky bit, others cannot remove or rename what is not theirs. */
static int check_place(const char *path, const char *what, const struct stat *info,
		       uid_t other_owner, struct psb_error *err)
{
	bool sticky_dir = S_ISDIR(info->st_mode) && (info->st_mode & S_ISVTX);

	if (info->st_uid != 0 && info->st_uid != other_owner)
		return psb_fail(err, PSB_E_POLICY, 0,
				"site policy %.200s: the %s belongs to uid %u, so nothing runs; it "
				"must be root's (chown root)",
				path, what, (unsigned int)info->st_uid);
	if ((info->st_mode & (S_IWGRP | S_IWOTH)) && !sticky_dir)
		return psb_fail(err, PSB_E_POLICY, 0,
				"site policy %.200s: the %s can be written by others (mode %o), so "
				"nothing runs; chmod go-w it",
				path, what, (unsigned int)(info->st_mode & 07777));
	return 0;
}

/* -1 in *out, and 0, if there is no such directory. */
static int open_directory(const char *path, uid_t other_owner, int *out, struct psb_error *err)
{
	const char *slash = strrchr(path, '/');
	auto_free char *name =
		slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	struct stat info;
	auto_fd fd = -1;
	int error;

	if (!name)
		return psb_fail(err, PSB_E_MEMORY, 0, "site policy: out of memory");
	fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT) {
		*out = -1;
		return 0;
	}
	if (fd < 0 || fstat(fd, &info) != 0)
		return cannot_read(path, errno, err);
	error = check_place(path, "directory", &info, other_owner, err);
	if (!error)
		*out = take_fd(fd);
	return error;
}

static int open_file(int dir, const char *path, uid_t other_owner, int *out, size_t *size,
		     struct psb_error *err)
{
	const char *slash = strrchr(path, '/');
	auto_fd fd = openat(dir, slash ? slash + 1 : path,
			    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	struct stat info;
	int error;

	if (fd < 0 && errno == ENOENT) {
		*out = -1;
		return 0;
	}
	if (fd < 0 || fstat(fd, &info) != 0)
		return cannot_read(path, errno, err);
	if (!S_ISREG(info.st_mode))
		return cannot_read(path, EINVAL, err);
	error = check_place(path, "file", &info, other_owner, err);
	if (error)
		return error;
	if (info.st_size > (off_t)POLICY_MAX_BYTES)
		return psb_fail(err, PSB_E_POLICY, 0,
				"site policy %.200s: %lld bytes, at most %u; nothing runs", path,
				(long long)info.st_size, POLICY_MAX_BYTES);
	*size = (size_t)info.st_size;
	*out = take_fd(fd);
	return 0;
}

static int read_file(int fd, const char *path, uint8_t *text, size_t *len, struct psb_error *err)
{
	size_t have = 0;

	while (have < *len) {
		ssize_t n = read(fd, text + have, *len - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cannot_read(path, errno, err);
		if (n == 0)
			break;
		have += (size_t)n;
	}
	*len = have;
	return 0;
}

int site_load(const char *path, uid_t other_owner, bool *found, struct site *out,
	      struct psb_error *err)
{
	auto_free uint8_t *text = NULL;
	auto_fd dir = -1;
	auto_fd fd = -1;
	size_t len = 0;
	int error = open_directory(path, other_owner, &dir, err);

	if (!error && dir >= 0)
		error = open_file(dir, path, other_owner, &fd, &len, err);
	*found = !error && fd >= 0;
	if (!*found)
		return error;
	text = malloc(len + 1);
	if (!text)
		return psb_fail(err, PSB_E_MEMORY, 0, "site policy: out of memory");
	error = read_file(fd, path, text, &len, err);
	return error ? error : site_parse(path, text, len, out, err);
}
