/* The file behind the chain: several writers, torn lines, rotation, moved files, refusals. */
#include "audit_fixture.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/clock.h"

#define KEY "0123456789abcdef0123456789abcdef"

static void two_handles_share_one_chain(void **state)
{
	struct audit_log a;
	struct audit_log b;
	struct psb_audit_report report;

	(void)state;
	open_log(&a, NULL);
	open_log(&b, NULL);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(append_text(&a, "accepted", "a"), 0);
		if (i % 3 == 0)
			assert_int_equal(append_text(&b, "accepted", "b"), 0);
	}
	assert_int_equal(a.head.seq, 68);
	assert_int_equal(append_text(&b, "accepted", "b"), 0);
	report = verify_path(audit_path, NULL, NULL);
	assert_int_equal(report.faults, 0);
	assert_int_equal(report.records, 69);
	assert_int_equal(report.accepted, 68);
	assert_string_equal(report.head, b.head.hash);
	audit_log_close(&a);
	audit_log_close(&b);
}

static void the_file_is_for_its_owner(void **state)
{
	struct audit_log log;
	struct stat st;

	(void)state;
	open_log(&log, NULL);
	assert_int_equal(append_text(&log, "accepted", "a"), 0);
	assert_int_equal(stat(audit_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	audit_log_close(&log);
}

static size_t log_of_three(const char *key, uint8_t *out, size_t size, size_t *last)
{
	struct audit_log log;
	size_t len;

	(void)unlink(audit_path);
	open_log(&log, key);
	assert_int_equal(append_text(&log, "accepted", "one"), 0);
	*last = (size_t)log.size;
	assert_int_equal(append_text(&log, "accepted", "two"), 0);
	len = load(audit_path, out, size);
	audit_log_close(&log);
	return len;
}

/* A writer killed at any byte of its record, then another goes on. */
static void a_torn_line_is_closed_off_wherever_it_is_cut(void **state)
{
	uint8_t text[4096];
	size_t last;
	size_t len = log_of_three(KEY, text, sizeof(text), &last);

	(void)state;
	for (size_t cut = 0; cut < len; cut++) {
		struct psb_audit_report report;
		struct audit_log log;
		bool whole = cut == last || cut == 0 || cut + 1 == len;

		store(audit_path, text, cut);
		open_log(&log, KEY);
		if (cut > 0 && text[cut - 1] == '\n')
			whole = true;
		if (text[cut] == '\n')
			whole = true;
		assert_int_equal(append_text(&log, "accepted", "three"), 0);
		report = verify_path(audit_path, KEY, NULL);
		assert_int_equal(report.faults, 0);
		assert_int_equal(report.torn, whole ? 0 : 1);
		assert_int_equal(log.torn_closed, whole ? 0 : 1);
		audit_log_close(&log);
	}
}

/* ... and the one who closes it off is killed at any byte as well, and the next one too. */
static void closing_off_may_be_cut_too(void **state)
{
	uint8_t text[4096];
	uint8_t closed[4096];
	size_t last;
	size_t len = log_of_three(NULL, text, sizeof(text), &last);
	size_t closed_len;
	struct audit_log log;

	(void)state;
	store(audit_path, text, len - 40);
	open_log(&log, NULL);
	assert_int_equal(append_text(&log, "accepted", "three"), 0);
	audit_log_close(&log);
	closed_len = load(audit_path, closed, sizeof(closed));
	for (size_t cut = len - 40; cut < closed_len; cut++) {
		struct seen_fault seen;
		struct psb_audit_report report;

		store(audit_path, closed, cut);
		open_log(&log, NULL);
		assert_int_equal(append_text(&log, "accepted", "four"), 0);
		report = verify_path(audit_path, NULL, &seen);
		if (report.faults)
			fail_msg("cut %zu: line %lu: %s", cut, (unsigned long)seen.line,
				 seen.message);
		assert_in_range(report.torn, 1, 2);
		audit_log_close(&log);
	}
}

/* The fragment is sealed by the record that closes it off. */
static void a_closed_fragment_cannot_be_changed(void **state)
{
	uint8_t text[8192];
	size_t last;
	size_t len = log_of_three(NULL, text, sizeof(text), &last);
	struct audit_log log;

	(void)state;
	store(audit_path, text, len - 40);
	open_log(&log, NULL);
	assert_int_equal(append_text(&log, "accepted", "three"), 0);
	audit_log_close(&log);
	len = load(audit_path, text, sizeof(text));
	for (size_t at = last; at < len; at++) {
		text[at] ^= 1;
		assert_int_not_equal(verify_memory(text, len, NULL, NULL, NULL).faults, 0);
		text[at] ^= 1;
	}
	/* Taken out as a whole: the closing record misses it. */
	{
		const uint8_t *mark = memmem(text, len, AUDIT_TORN_MARK "\n", 7);
		size_t after = (size_t)(mark - text) + 7;

		memmove(text + last, text + after, len - after);
		assert_int_not_equal(
			verify_memory(text, len - (after - last), NULL, NULL, NULL).faults, 0);
	}
}

static void cut_short_by_limit(struct audit_log *log, size_t bytes)
{
	struct rlimit limit = {log->size + bytes, RLIM_INFINITY};

	(void)signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		_exit(3);
	_exit(append_text(log, "accepted", "cut") == PSB_E_AUDIT ? 0 : 4);
}

/* A full disk: the call fails, and the next writer with room goes on. */
static void a_short_write_fails_and_is_closed_off(void **state)
{
	struct psb_audit_report report;
	struct audit_log log;
	int status = 0;
	pid_t child;

	(void)state;
	open_log(&log, NULL);
	assert_int_equal(append_text(&log, "accepted", "one"), 0);
	child = fork();
	if (child == 0)
		cut_short_by_limit(&log, 100);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(append_text(&log, "accepted", "two"), 0);
	assert_int_equal(log.torn_closed, 1);
	report = verify_path(audit_path, NULL, NULL);
	assert_int_equal(report.faults, 0);
	assert_int_equal(report.torn, 1);
	assert_int_equal(report.accepted, 2);
	audit_log_close(&log);
}

static void what_is_no_log_is_left_alone(void **state)
{
	static const char *const foreign[] = {"root:x:0:0::/root:/bin/sh\n", "notes", "{}\n", "\n"};
	struct psb_error err;
	struct audit_log log;
	uint8_t text[4096];
	size_t last;
	size_t len;

	(void)state;
	for (size_t i = 0; i < COUNT(foreign); i++) {
		store(audit_path, (const uint8_t *)foreign[i], strlen(foreign[i]));
		open_log(&log, NULL);
		assert_int_equal(audit_log_check(&log, &err), PSB_E_AUDIT);
		assert_non_null(strstr(err.message, "name another file"));
		assert_int_equal(append_text(&log, "accepted", "a"), PSB_E_AUDIT);
		audit_log_close(&log);
		len = load(audit_path, text, sizeof(text));
		assert_int_equal(len, strlen(foreign[i]));
		assert_memory_equal(text, foreign[i], len);
	}
	len = log_of_three(NULL, text, sizeof(text), &last);
	open_log(&log, KEY);
	assert_int_equal(append_text(&log, "accepted", "other key"), PSB_E_AUDIT);
	audit_log_close(&log);
	text[last + 60] ^= 1;
	store(audit_path, text, len);
	open_log(&log, NULL);
	assert_int_equal(append_text(&log, "accepted", "changed"), PSB_E_AUDIT);
	audit_log_close(&log);
}

static void what_is_no_file_is_refused(void **state)
{
	struct psb_error err;
	struct audit_log log;

	(void)state;
	assert_int_equal(mkfifo(audit_path, 0600), 0);
	open_log(&log, NULL);
	assert_int_equal(audit_log_check(&log, &err), PSB_E_AUDIT);
	assert_non_null(strstr(err.message, "no regular file"));
	audit_log_close(&log);
	assert_int_equal(unlink(audit_path), 0);
	assert_int_equal(symlink("elsewhere", audit_path), 0);
	open_log(&log, NULL);
	assert_int_equal(audit_log_check(&log, &err), PSB_E_AUDIT);
	audit_log_close(&log);
	open_log(&log, NULL);
	(void)strcpy(log.path + strlen(log.path) - 4, "/x/y"); /* a folder that is not there */
	assert_int_equal(audit_log_check(&log, &err), PSB_E_AUDIT);
	assert_int_equal(err.sys_errno, ENOENT);
	audit_log_close(&log);
}

static void a_held_lock_ends_in_an_error(void **state)
{
	struct audit_log log;
	struct psb_error err;
	uint64_t started;
	int fd;

	(void)state;
	open_log(&log, NULL);
	assert_int_equal(append_text(&log, "accepted", "one"), 0);
	fd = open(audit_path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	started = clock_us();
	assert_int_equal(audit_log_check(&log, &err), PSB_E_AUDIT);
	assert_in_range(clock_us() - started, 1900000, 4000000);
	assert_non_null(strstr(err.message, "lock"));
	(void)close(fd);
	assert_int_equal(append_text(&log, "accepted", "two"), 0);
	audit_log_close(&log);
}

static void a_moved_file_is_followed_by_its_chain(void **state)
{
	char aside[320];
	struct psb_audit_report old;
	struct psb_audit_report report;
	struct audit_log a;
	struct audit_log b;

	(void)state;
	(void)snprintf(aside, sizeof(aside), "%s.1", audit_path);
	open_log(&a, NULL);
	open_log(&b, NULL);
	assert_int_equal(append_text(&a, "accepted", "a"), 0);
	assert_int_equal(append_text(&b, "accepted", "b"), 0);
	assert_int_equal(rename(audit_path, aside), 0);
	/* `a` does not know of b's record, but the old file does. */
	assert_int_equal(append_text(&a, "accepted", "a"), 0);
	assert_int_equal(append_text(&b, "accepted", "b"), 0);
	old = verify_path(aside, NULL, NULL);
	report = verify_path(audit_path, NULL, NULL);
	assert_int_equal(old.faults + report.faults, 0);
	assert_int_equal(old.records, 3);
	assert_int_equal(report.records, 3);
	assert_int_equal(report.continues, 1);
	assert_string_equal(report.previous, old.head);
	audit_log_close(&a);
	audit_log_close(&b);
}

/* Emptied or deleted behind our back: what follows says that something is missing. */
static void a_lost_file_shows_in_the_next(void **state)
{
	struct psb_audit_report report;
	struct audit_log log;

	(void)state;
	open_log(&log, NULL);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(append_text(&log, "accepted", "a"), 0);
		assert_int_equal(i == 0 ? truncate(audit_path, 0) : unlink(audit_path), 0);
		assert_int_equal(append_text(&log, "accepted", "b"), 0);
		report = verify_path(audit_path, NULL, NULL);
		assert_int_equal(report.faults, 0);
		assert_int_equal(report.continues, 1);
		assert_true(report.first_seq > 1);
	}
	audit_log_close(&log);
}

struct names {
	char path[64][320];
	size_t count;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The files put aside, oldest first, then the one in use. */
static void list_files(struct names *names)
{
	DIR *folder = opendir(audit_folder);
	struct dirent *entry;

	names->count = 0;
	while ((entry = readdir(folder)))
		if (!strncmp(entry->d_name, "log.", 4) && names->count < 63)
			(void)snprintf(names->path[names->count++], 320, "%s/%.40s", audit_folder,
				       entry->d_name);
	(void)closedir(folder);
	qsort(names->path, names->count, sizeof(names->path[0]), by_name);
	(void)snprintf(names->path[names->count++], 320, "%s", audit_path);
}

static struct psb_audit_report verify_files(const struct names *names)
{
	struct psb_audit_report report = {.size = sizeof(report)};
	const char *files[64];

	for (size_t i = 0; i < names->count; i++)
		files[i] = names->path[i];
	assert_int_equal(psb_audit_verify(files, names->count, NULL, NULL, NULL, &report, NULL), 0);
	return report;
}

static void rotation_keeps_the_chain(void **state)
{
	struct psb_audit_report report;
	struct audit_log a;
	struct audit_log b;
	struct names names;

	(void)state;
	open_log(&a, NULL);
	open_log(&b, NULL);
	a.rotate_bytes = b.rotate_bytes = 16u << 10;
	for (int i = 0; i < 200; i++) {
		assert_int_equal(append_text(&a, "accepted", "a"), 0);
		assert_int_equal(append_text(&b, "accepted", "b"), 0);
	}
	list_files(&names);
	assert_true(names.count > 3);
	assert_int_equal(a.rotated_count + b.rotated_count, names.count - 1);
	report = verify_files(&names);
	assert_int_equal(report.faults, 0);
	assert_int_equal(report.accepted, 400);
	assert_int_equal(report.records, 400 + names.count);
	/* Without the second file the third does not follow. */
	memmove(names.path[1], names.path[2], (names.count - 2) * sizeof(names.path[0]));
	names.count--;
	assert_int_not_equal(verify_files(&names).faults, 0);
	audit_log_close(&a);
	audit_log_close(&b);
}

/* Killed between its steps, a rotation leaves files that the next one copes with. */
static void a_cut_rotation_is_finished_by_the_next(void **state)
{
	char path[340];
	struct audit_log log;
	struct names names;

	(void)state;
	open_log(&log, NULL);
	assert_int_equal(append_text(&log, "accepted", "a"), 0);
	(void)snprintf(path, sizeof(path), "%s.next", audit_path);
	store(path, (const uint8_t *)"{\"version\":1,\"se", 16);
	(void)snprintf(path, sizeof(path), "%s.%016d", audit_path, 1);
	assert_int_equal(link(audit_path, path), 0);
	log.rotate_bytes = 1;
	assert_int_equal(append_text(&log, "accepted", "b"), 0);
	list_files(&names);
	assert_int_equal(names.count, 2);
	assert_int_equal(verify_files(&names).faults, 0);
	/* A name that is taken by another file is not overwritten. */
	(void)snprintf(path, sizeof(path), "%s.%016d", audit_path, 3);
	store(path, (const uint8_t *)"mine", 4);
	assert_int_equal(append_text(&log, "accepted", "c"), PSB_E_AUDIT);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(append_text(&log, "accepted", "c"), 0);
	list_files(&names);
	assert_int_equal(names.count, 3);
	assert_int_equal(verify_files(&names).faults, 0);
	audit_log_close(&log);
}

static void keys_are_for_their_owner(void **state)
{
	struct psb_error err;
	struct audit_key key;

	(void)state;
	assert_int_equal(audit_key_read(NULL, &key, NULL), 0);
	assert_false(key.keyed);
	assert_int_equal(audit_key_read(audit_path, &key, &err), PSB_E_NOT_FOUND);
	store(audit_path, (const uint8_t *)KEY, 32);
	assert_int_equal(audit_key_read(audit_path, &key, &err), 0);
	assert_true(key.keyed);
	assert_int_equal(strlen(key.id), 16);
	assert_int_equal(chmod(audit_path, 0640), 0);
	assert_int_equal(audit_key_read(audit_path, &key, &err), PSB_E_INVALID);
	assert_non_null(strstr(err.message, "chmod 600"));
	assert_int_equal(chmod(audit_path, 0600), 0);
	store(audit_path, (const uint8_t *)KEY, 15);
	assert_int_equal(audit_key_read(audit_path, &key, &err), PSB_E_INVALID);
	assert_int_equal(truncate(audit_path, AUDIT_KEY_MAX_BYTES + 1), 0);
	assert_int_equal(audit_key_read(audit_path, &key, &err), PSB_E_INVALID);
	assert_int_equal(audit_key_read(audit_folder, &key, &err), PSB_E_INVALID);
}

#define FILED(name) cmocka_unit_test_setup_teardown(name, audit_setup, audit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILED(two_handles_share_one_chain),
		FILED(the_file_is_for_its_owner),
		FILED(a_torn_line_is_closed_off_wherever_it_is_cut),
		FILED(closing_off_may_be_cut_too),
		FILED(a_closed_fragment_cannot_be_changed),
		FILED(a_short_write_fails_and_is_closed_off),
		FILED(what_is_no_log_is_left_alone),
		FILED(what_is_no_file_is_refused),
		FILED(a_held_lock_ends_in_an_error),
		FILED(a_moved_file_is_followed_by_its_chain),
		FILED(a_lost_file_shows_in_the_next),
		FILED(rotation_keeps_the_chain),
		FILED(a_cut_rotation_is_finished_by_the_next),
		FILED(keys_are_for_their_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
