/* Small audit logs in a folder of their own, and a verifier over memory. */
#ifndef PSB_UNIT_AUDIT_FIXTURE_H
#define PSB_UNIT_AUDIT_FIXTURE_H

#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/log.h"
#include "audit/verify.h"

static char audit_folder[256];
static char audit_path[300];

static inline int audit_setup(void **state)
{
	const char *base = getenv("TMPDIR");

	(void)state;
	(void)snprintf(audit_folder, sizeof(audit_folder), "%.200s/psbaudit-XXXXXX",
		       base ? base : "/tmp");
	assert_non_null(mkdtemp(audit_folder));
	(void)snprintf(audit_path, sizeof(audit_path), "%s/log", audit_folder);
	return 0;
}

static inline int audit_teardown(void **state)
{
	DIR *folder = opendir(audit_folder);
	struct dirent *entry;

	(void)state;
	while (folder && (entry = readdir(folder)))
		if (entry->d_name[0] != '.')
			(void)unlinkat(dirfd(folder), entry->d_name, 0);
	if (folder)
		(void)closedir(folder);
	return rmdir(audit_folder);
}

static inline void open_log(struct audit_log *log, const char *key)
{
	audit_log_init(log);
	log->path = strdup(audit_path);
	if (key)
		audit_key_set(&log->key, key, strlen(key));
}

static inline int append_text(struct audit_log *log, const char *event, const char *id)
{
	char body[400];
	int n = snprintf(body, sizeof(body), "\"event\":\"%s\",\"id\":\"%s\"", event, id);

	return audit_log_append(log, body, (size_t)n, false, NULL);
}

static inline size_t load(const char *path, uint8_t *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, out, size);
	assert_true(n >= 0 && (size_t)n < size);
	(void)close(fd);
	return (size_t)n;
}

static inline void store(const char *path, const uint8_t *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	(void)close(fd);
}

struct seen_fault {
	uint64_t line; /* of the first fault */
	char message[504];
};

static inline void note_fault(void *context, const char *file, uint64_t line, const char *message)
{
	struct seen_fault *seen = context;

	(void)file;
	if (!seen || seen->message[0])
		return;
	seen->line = line;
	(void)snprintf(seen->message, sizeof(seen->message), "%s", message);
}

static inline struct psb_audit_report verify_memory(const uint8_t *data, size_t len,
						    const char *key, const char *head,
						    struct seen_fault *seen)
{
	struct psb_audit_report report;
	struct verifier verifier;

	verify_init(&verifier);
	if (seen)
		seen->message[0] = '\0';
	verifier.on_fault = note_fault;
	verifier.context = seen;
	verifier.wanted = head;
	if (key)
		audit_key_set(&verifier.given, key, strlen(key));
	verifier.keyed = key != NULL;
	verify_begin_file(&verifier, "memory");
	assert_int_equal(verify_feed(&verifier, data, len), 0);
	verify_end_file(&verifier);
	verify_finish(&verifier);
	report = verifier.report;
	verify_free(&verifier);
	return report;
}

static inline struct psb_audit_report verify_path(const char *path, const char *key,
						  struct seen_fault *seen)
{
	static uint8_t data[4u << 20];

	return verify_memory(data, load(path, data, sizeof(data)), key, NULL, seen);
}

#endif
