/*
 * Taking the log for one append: the file behind the path is opened, locked with flock() and
 * looked at again, because another writer may have rotated it, or an administrator moved it, while
 * we waited. Whoever finds the path leading elsewhere goes on there, continuing the chain of the
 * file it leaves; it holds that file's lock until its record is written, so that of several
 * writers that move at once only the first begins the new file.
 *
 * Waiting is bounded: a stopped process that holds the lock must not stop this one for good.
 * flock() belongs to the open file, not to the process; it ends with kill -9 of the holder.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "audit/log.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/error.h"

#define LOCK_WAIT_US UINT64_C(2000000)
#define LONGEST_NAP_US 1000u

static int open_path(const struct audit_log *log, int *out, struct psb_error *err)
{
	int flags = O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
	auto_fd fd = open(log->path, flags, 0600);
	struct stat st;

	if (fd < 0)
		return psb_fail(err, PSB_E_AUDIT, errno,
				"audit: %.300s cannot be opened for appending", log->path);
	if (fstat(fd, &st) != 0)
		return psb_fail(err, PSB_E_AUDIT, errno, "audit: %.300s", log->path);
	if (!S_ISREG(st.st_mode))
		return psb_fail(err, PSB_E_AUDIT, 0, "audit: %.300s is no regular file", log->path);
	*out = take_fd(fd);
	return 0;
}

static void nap(unsigned int us)
{
	struct timespec wait = {.tv_nsec = (long)us * 1000};

	(void)nanosleep(&wait, NULL);
}

static int lock(int fd, const char *path, uint64_t deadline, struct psb_error *err)
{
	unsigned int nap_us = 20;

	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return psb_fail(err, PSB_E_AUDIT, errno, "audit: %.300s: flock", path);
		if (clock_us() >= deadline)
			return psb_fail(err, PSB_E_AUDIT, 0,
					"audit: %.300s: another process holds its lock for 2 s; "
					"is a writer stopped?",
					path);
		nap(nap_us);
		if (nap_us < LONGEST_NAP_US)
			nap_us *= 2;
	}
	return 0;
}

static void unlock(int *fd)
{
	if (*fd >= 0)
		(void)flock(*fd, LOCK_UN);
}

static int look_again(const struct audit_log *log, bool *same, struct psb_error *err)
{
	struct stat ours;
	struct stat named;
	bool named_there;

	if (fstat(log->fd, &ours) != 0)
		return psb_fail(err, PSB_E_AUDIT, errno, "audit: %.300s", log->path);
	named_there = lstat(log->path, &named) == 0;
	if (!named_there && errno != ENOENT)
		return psb_fail(err, PSB_E_AUDIT, errno, "audit: %.300s", log->path);
	*same = named_there && ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
	return 0;
}

/* The lock of log->fd is held, but the path leads elsewhere. A file that was put away because its
 * end is damaged does not bind us: the chain then goes on from the last record we know. */
static int move_on(struct audit_log *log, struct psb_error *err)
{
	int fd = -1;
	int error;

	(void)audit_log_find_end(log, NULL);
	error = open_path(log, &fd, err);
	if (error)
		return error;
	unlock(&log->old_fd);
	close_fd(&log->old_fd);
	log->old_fd = log->fd;
	log->fd = fd;
	log->size = UINT64_MAX;
	return 0;
}

int audit_log_lock(struct audit_log *log, struct psb_error *err)
{
	uint64_t deadline = clock_us() + LOCK_WAIT_US;
	int error = log->fd < 0 ? open_path(log, &log->fd, err) : 0;

	while (!error) {
		bool same = false;

		error = lock(log->fd, log->path, deadline, err);
		if (!error)
			error = look_again(log, &same, err);
		if (!error && same) {
			error = audit_log_find_end(log, err);
			break;
		}
		if (!error && clock_us() < deadline)
			error = move_on(log, err);
		else if (!error)
			error = psb_fail(err, PSB_E_AUDIT, 0,
					 "audit: %.300s was replaced again and again for 2 s",
					 log->path);
	}
	if (error)
		audit_log_unlock(log);
	return error;
}

void audit_log_unlock(struct audit_log *log)
{
	unlock(&log->old_fd);
	close_fd(&log->old_fd);
	unlock(&log->fd);
}
