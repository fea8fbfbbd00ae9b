/*
 * Every allocation and every system call of an append, with rotation and fdatasync, fails once in
 * turn; a write also by being cut short. Whatever fails: the call says so, the next one succeeds,
 * what was said to be recorded is in the chain, and the chain is whole.
 */
#include "audit_fixture.h"

#include <stdarg.h>
#include <sys/file.h>

#include "core/clock.h"

static long target; /* the call that fails; -1: none */
static long calls;
static bool armed;
static long refusals; /* appends that failed, in all sessions */

static bool fails(int error)
{
	if (!armed || calls++ != target)
		return false;
	errno = error;
	return true;
}

#define WRAP(type, name, parameters, arguments, error, failure)                                    \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters                                                              \
	{                                                                                          \
		return fails(error) ? (failure) : __real_##name arguments;                         \
	}

WRAP(void *, malloc, (size_t size), (size), ENOMEM, NULL)
WRAP(void *, realloc, (void *old, size_t size), (old, size), ENOMEM, NULL)
WRAP(char *, strdup, (const char *text), (text), ENOMEM, NULL)
WRAP(int, fstat64, (int fd, struct stat *out), (fd, out), EIO, -1)
WRAP(int, lstat64, (const char *path, struct stat *out), (path, out), EIO, -1)
WRAP(int, flock, (int fd, int how), (fd, how), ENOLCK, -1)
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode), EPERM, -1)
WRAP(int, link, (const char *from, const char *to), (from, to), EMLINK, -1)
WRAP(int, rename, (const char *from, const char *to), (from, to), EIO, -1)
WRAP(int, unlink, (const char *path), (path), EROFS, -1)
WRAP(ssize_t, pread64, (int fd, void *out, size_t size, off_t at), (fd, out, size, at), EIO, -1)

/* Not really: the disk takes its time. */
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
	(void)fd;
	return fails(EIO) ? -1 : 0;
}

int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	return __wrap_fdatasync(fd);
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	va_list args;
	unsigned int mode;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, unsigned int) : 0;
	va_end(args);
	return fails(EMFILE) ? -1 : __real_open64(path, flags, mode);
}

/* Counts twice: it may do nothing, or write half and then run out of room. */
ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len)
{
	if (fails(ENOSPC))
		return -1;
	if (fails(ENOSPC)) {
		(void)__real_write(fd, data, len / 2);
		errno = ENOSPC;
		return -1;
	}
	return __real_write(fd, data, len);
}

static int try_append(struct audit_log *log, bool with_failures)
{
	static const char body[] = "\"event\":\"accepted\",\"id\":\"x\"";
	struct psb_error err = {.message = ""};
	int error;

	armed = with_failures;
	error = audit_log_append(log, body, sizeof(body) - 1, true, &err);
	armed = false;
	if (error) {
		assert_true(error == PSB_E_AUDIT || error == PSB_E_MEMORY);
		assert_true(strlen(err.message) > 8);
		refusals++;
	}
	return error;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The files put aside, oldest first, and the one in use; not one twice under two names. */
static size_t list_files(char **files, size_t max)
{
	DIR *folder = opendir(audit_folder);
	struct dirent *entry;
	struct stat last = {.st_ino = 0};
	struct stat used = {.st_ino = 0};
	size_t count = 0;

	while ((entry = readdir(folder)) && count < max) {
		if (strncmp(entry->d_name, "log.0", 5) == 0)
			assert_true(asprintf(&files[count++], "%s/%s", audit_folder,
					     entry->d_name) > 0);
	}
	(void)closedir(folder);
	qsort(files, count, sizeof(files[0]), by_name);
	assert_int_equal(stat(audit_path, &used), 0);
	if (count > 0)
		assert_int_equal(stat(files[count - 1], &last), 0);
	if (count > 0 && last.st_ino == used.st_ino)
		free(files[--count]);
	files[count] = strdup(audit_path);
	return count + 1;
}

static void check_files(uint64_t recorded)
{
	struct psb_audit_report report = {.size = sizeof(report)};
	struct seen_fault seen = {.message = ""};
	char *files[32];
	size_t count = list_files(files, COUNT(files) - 1);

	assert_int_equal(psb_audit_verify((const char *const *)files, count, NULL, note_fault,
					  &seen, &report, NULL),
			 0);
	if (report.faults)
		fail_msg("call %ld: line %lu: %s", target, (unsigned long)seen.line, seen.message);
	assert_in_range(report.accepted, recorded, recorded + 1);
	for (size_t i = 0; i < count; i++)
		free(files[i]);
}

static int open_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(folder))
		count++;
	(void)closedir(folder);
	return count;
}

/* Returns how many calls there were. */
static long session(uint64_t rotate_bytes)
{
	int descriptors = open_descriptors();
	uint64_t started = clock_us();
	uint64_t recorded = 0;
	struct audit_log log;

	assert_int_equal(audit_setup(NULL), 0);
	open_log(&log, NULL);
	log.rotate_bytes = rotate_bytes;
	calls = 0;
	for (int i = 0; i < 3; i++)
		recorded += try_append(&log, true) == 0;
	assert_true(recorded >= 2);
	assert_int_equal(try_append(&log, false), 0);
	assert_true(clock_us() - started < 1800000); /* no wait for a lock of its own */
	check_files(recorded + 1);
	audit_log_close(&log);
	assert_int_equal(audit_teardown(NULL), 0);
	assert_int_equal(open_descriptors(), descriptors);
	return calls;
}

static void whatever_fails_the_chain_is_whole(void **state)
{
	static const uint64_t sizes[] = {0, 1};

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		long count;

		target = -1;
		count = session(sizes[i]);
		assert_true(count > 20);
		for (long n = 0; n < count; n++) {
			target = n;
			(void)session(sizes[i]);
		}
		assert_true(refusals > count / 2); /* the failures did arrive */
		refusals = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(whatever_fails_the_chain_is_whole)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
