/*
 * psb_audit_verify(): files to the verifier. A file is read as far as it reached at a moment when
 * no writer was at work, so that a log in use can be verified.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "audit/verify.h"
#include "core/cleanup.h"
#include "core/error.h"
#include "core/options.h"

#define READ_BYTES (64u << 10)
#define LOCK_TRIES 200
#define MOST_FILES 65536u

void psb_audit_check_init(struct psb_audit_check *check)
{
	memset(check, 0, sizeof(*check));
	check->size = sizeof(*check);
}

static int open_file(const char *path, int *out, struct psb_error *err)
{
	auto_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return psb_fail(err, errno == ENOENT ? PSB_E_NOT_FOUND : PSB_E_SYSTEM, errno,
				"audit: %.300s", path);
	if (fstat(fd, &st) != 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "audit: %.300s", path);
	if (!S_ISREG(st.st_mode))
		return psb_fail(err, PSB_E_INVALID, 0, "audit: %.300s is no regular file", path);
	*out = take_fd(fd);
	return 0;
}

/* The length while nobody writes. A lock that cannot be had is no reason not to look. */
static uint64_t settled_size(int fd)
{
	const struct timespec wait = {.tv_nsec = 5000000};
	struct stat st = {.st_size = 0};
	bool locked = false;

	for (int i = 0; i < LOCK_TRIES && !locked; i++) {
		locked = flock(fd, LOCK_SH | LOCK_NB) == 0;
		if (!locked && errno != EWOULDBLOCK && errno != EINTR)
			break;
		if (!locked)
			(void)nanosleep(&wait, NULL);
	}
	(void)fstat(fd, &st);
	if (locked)
		(void)flock(fd, LOCK_UN);
	return (uint64_t)st.st_size;
}

static int feed(struct verifier *verifier, int fd, uint64_t left, const char *path,
		struct psb_error *err)
{
	auto_free uint8_t *piece = malloc(READ_BYTES);

	if (!piece)
		return psb_fail(err, PSB_E_MEMORY, 0, "audit: out of memory");
	while (left > 0) {
		ssize_t n = read(fd, piece, left < READ_BYTES ? (size_t)left : READ_BYTES);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return psb_fail(err, PSB_E_SYSTEM, errno, "audit: %.300s", path);
		if (n == 0)
			break;
		if (verify_feed(verifier, piece, (size_t)n))
			return psb_fail(err, PSB_E_MEMORY, 0, "audit: out of memory");
		left -= (uint64_t)n;
	}
	return 0;
}

static int verify_one(struct verifier *verifier, const char *path, struct psb_error *err)
{
	auto_fd fd = -1;
	int error = open_file(path, &fd, err);

	if (error)
		return error;
	verify_begin_file(verifier, path);
	error = feed(verifier, fd, settled_size(fd), path, err);
	if (!error)
		verify_end_file(verifier);
	return error;
}

static int check_hash(const char *what, const char *text, struct psb_error *err)
{
	if (!text || (strspn(text, "0123456789abcdef") == AUDIT_HASH_CHARS &&
		      text[AUDIT_HASH_CHARS] == '\0'))
		return 0;
	return psb_fail(err, PSB_E_INVALID, 0, "audit: %s: not %u hexadecimal digits", what,
			AUDIT_HASH_CHARS);
}

static int prepare(struct verifier *verifier, const struct psb_audit_check *given,
		   struct psb_error *err)
{
	struct psb_audit_check check;
	int error = 0;

	psb_audit_check_init(&check);
	if (given)
		error = options_copy("struct psb_audit_check", given, given->size, &check,
				     sizeof(check), err);
	if (!error)
		error = check_hash("head", check.head, err);
	if (!error)
		error = check_hash("previous", check.previous, err);
	if (!error)
		error = audit_key_read(check.key_file, &verifier->given, err);
	verifier->wanted = check.head;
	verifier->before = check.previous;
	verifier->keyed = verifier->given.keyed;
	return error;
}

/* The caller's struct may be of another version: its size says how much of it there is. */
static int give_report(const struct psb_audit_report *report, struct psb_audit_report *out,
		       struct psb_error *err)
{
	size_t size = out->size;

	if (size < offsetof(struct psb_audit_report, records) || size > 4096)
		return psb_fail(err, PSB_E_INVALID, 0,
				"struct psb_audit_report: size %zu is not plausible; set it to its "
				"sizeof",
				size);
	if (size > sizeof(*report))
		size = sizeof(*report);
	memcpy((char *)out + sizeof(out->size), (const char *)report + sizeof(out->size),
	       size - sizeof(out->size));
	return 0;
}

int psb_audit_verify(const char *const *files, size_t count, const struct psb_audit_check *check,
		     psb_audit_fault_fn on_fault, void *context, struct psb_audit_report *out,
		     struct psb_error *err)
{
	struct verifier verifier;
	int error;

	if (!files || count == 0 || count > MOST_FILES || !out)
		return psb_fail(err, PSB_E_INVALID, 0,
				"psb_audit_verify: files or `out` is NULL, or their number is not "
				"1 to %u",
				MOST_FILES);
	verify_init(&verifier);
	verifier.on_fault = on_fault;
	verifier.context = context;
	error = prepare(&verifier, check, err);
	for (size_t i = 0; i < count && !error; i++)
		error = verify_one(&verifier, files[i], err);
	if (!error) {
		verify_finish(&verifier);
		error = give_report(&verifier.report, out, err);
	}
	verify_free(&verifier);
	return error;
}
