/*
 * Rotation: the full file gets a second name, PATH.<seq of its first record, 16 digits>, and a new
 * one takes over PATH by rename(). The new file is whole before it appears: it begins with a record
 * that carries the old head. At no moment is PATH missing or empty, so a writer killed anywhere in
 * between leaves a chain that the next one continues, and one that rotates again finds the second
 * name there already. The order of names is the order of the chain.
 *
 * The lock of the old file is held all the while; other writers find PATH changed when they get it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "audit/log.h"
#include "core/cleanup.h"
#include "core/error.h"

struct rotation {
	char *next;  /* where the new file is made */
	char *aside; /* the old file's second name */
	int fd;      /* of the new file */
};

static void rotation_free(struct rotation *rotation)
{
	free(rotation->next);
	free(rotation->aside);
	close_fd(&rotation->fd);
}

/* 1 if the first line does not show it (it was torn): records are counted from 1. */
static uint64_t first_seq(const struct audit_log *log)
{
	uint8_t start[64];
	ssize_t n = pread(log->fd, start, sizeof(start), 0);
	uint64_t seq = n > 0 ? audit_line_seq(start, (size_t)n) : 0;

	return seq ? seq : 1;
}

static int name_files(const struct audit_log *log, struct rotation *rotation, struct psb_error *err)
{
	if (asprintf(&rotation->next, "%s.next", log->path) < 0)
		rotation->next = NULL;
	if (asprintf(&rotation->aside, "%s.%016llu", log->path,
		     (unsigned long long)first_seq(log)) < 0)
		rotation->aside = NULL;
	if (rotation->next && rotation->aside)
		return 0;
	(void)psb_fail(err, PSB_E_MEMORY, 0, "audit: out of memory");
	return PSB_E_MEMORY;
}

/* The new file serves the same readers and writers as the old. */
static int keep_rights(const struct audit_log *log, int fd)
{
	struct stat old;
	struct stat made;

	if (fstat(log->fd, &old) != 0 || fstat(fd, &made) != 0)
		return -1;
	if ((old.st_uid != made.st_uid || old.st_gid != made.st_gid) &&
	    fchown(fd, old.st_uid, old.st_gid) != 0)
		return -1;
	return fchmod(fd, old.st_mode & 0777);
}

static int make_next(const struct audit_log *log, struct rotation *rotation, bool sync,
		     struct psb_error *err)
{
	/* What is there is the rest of a rotation that was killed; we hold the lock. */
	(void)unlink(rotation->next);
	rotation->fd = open(rotation->next, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (rotation->fd < 0 || flock(rotation->fd, LOCK_EX | LOCK_NB) != 0 ||
	    keep_rights(log, rotation->fd) != 0)
		return psb_fail(err, PSB_E_AUDIT, errno, "audit: rotation: %.300s cannot be made",
				rotation->next);
	if (sync && fdatasync(log->fd) != 0)
		return psb_fail(err, PSB_E_AUDIT, errno, "audit: %.300s: fdatasync", log->path);
	return 0;
}

static bool same_file(const struct audit_log *log, const char *path)
{
	struct stat ours;
	struct stat named;

	return fstat(log->fd, &ours) == 0 && lstat(path, &named) == 0 &&
	       ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

static int put_in_place(const struct audit_log *log, const struct rotation *rotation,
			struct psb_error *err)
{
	if (link(log->path, rotation->aside) != 0 &&
	    !(errno == EEXIST && same_file(log, rotation->aside)))
		return psb_fail(err, PSB_E_AUDIT, errno, "audit: rotation: %.200s to %.200s",
				log->path, rotation->aside);
	if (rename(rotation->next, log->path) != 0)
		return psb_fail(err, PSB_E_AUDIT, errno, "audit: rotation: %.200s to %.200s",
				rotation->next, log->path);
	return 0;
}

static int begin_next(struct audit_log *log, const struct rotation *rotation,
		      struct audit_head *head, struct buffer *text, struct psb_error *err)
{
	int error = audit_write_begin(log, head, text);

	if (error)
		return psb_fail(err, error, 0, "audit: out of memory");
	if (write(rotation->fd, text->data, text->len) != (ssize_t)text->len)
		return psb_fail(err, PSB_E_AUDIT, errno,
				"audit: rotation: %.300s cannot be written", rotation->next);
	return 0;
}

static int replace(struct audit_log *log, struct rotation *rotation, bool sync,
		   struct psb_error *err)
{
	struct audit_head head = log->head;
	struct buffer text;
	int error = make_next(log, rotation, sync, err);

	buffer_init(&text, AUDIT_MAX_LINE_BYTES);
	if (!error)
		error = begin_next(log, rotation, &head, &text, err);
	if (!error && sync && fdatasync(rotation->fd) != 0)
		error = psb_fail(err, PSB_E_AUDIT, errno, "audit: rotation: fdatasync");
	if (!error)
		error = put_in_place(log, rotation, err);
	if (!error) {
		log->old_fd = log->fd;
		log->fd = take_fd(rotation->fd);
		log->head = head;
		log->size = text.len;
		log->rotated_count++;
	}
	buffer_free(&text);
	return error;
}

int audit_log_rotate(struct audit_log *log, bool sync, struct psb_error *err)
{
	struct rotation rotation = {.fd = -1};
	int error = name_files(log, &rotation, err);

	/* A file that was moved and one that is rotated in the same append: the first is done. */
	if (log->old_fd >= 0)
		(void)flock(log->old_fd, LOCK_UN);
	close_fd(&log->old_fd);
	if (!error)
		error = replace(log, &rotation, sync, err);
	if (!error && sync)
		error = audit_log_sync_folder(log, err);
	rotation_free(&rotation);
	return error;
}
