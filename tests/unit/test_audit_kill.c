/* Writers that are killed with SIGKILL all the time, several on one file, with rotation. */
#include "audit_fixture.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#define WRITERS 4
#define KILLS 300
#define MOST_RECORDS 100
#define PADDING 6000 /* a record that spans pages: where a kill can cut a write */

/* Bounded, should the parent be gone: the test must not fill the disk. */
static void write_until_killed(uint64_t rotate_bytes)
{
	static char body[PADDING + 64];
	struct psb_error err;
	struct audit_log log;
	int n = snprintf(body, sizeof(body), "\"event\":\"accepted\",\"padding\":\"%*s\"", PADDING,
			 "");

	open_log(&log, NULL);
	log.rotate_bytes = rotate_bytes;
	for (int i = 0; i < MOST_RECORDS && getppid() != 1; i++) {
		if (audit_log_append(&log, body, (size_t)n, false, &err)) {
			(void)fprintf(stderr, "writer: %s\n", err.message);
			_exit(1);
		}
	}
	(void)pause();
	_exit(2);
}

static pid_t start_writer(uint64_t rotate_bytes)
{
	pid_t child = fork();

	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		write_until_killed(rotate_bytes);
	}
	assert_true(child > 0);
	return child;
}

static void stop_writer(pid_t child)
{
	int status = 0;

	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status)); /* not an error of its own */
}

static void kill_loop(uint64_t rotate_bytes)
{
	const struct timespec pause = {.tv_nsec = 2000000};
	pid_t children[WRITERS];

	for (int i = 0; i < WRITERS; i++)
		children[i] = start_writer(rotate_bytes);
	for (int i = 0; i < KILLS; i++) {
		(void)nanosleep(&pause, NULL);
		stop_writer(children[i % WRITERS]);
		children[i % WRITERS] = start_writer(rotate_bytes);
	}
	for (int i = 0; i < WRITERS; i++)
		stop_writer(children[i]);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t list_files(char **files, size_t max)
{
	DIR *folder = opendir(audit_folder);
	struct dirent *entry;
	size_t count = 0;

	while ((entry = readdir(folder)) && count < max) {
		if (strncmp(entry->d_name, "log.", 4) || strstr(entry->d_name, "next"))
			continue;
		assert_true(asprintf(&files[count++], "%s/%s", audit_folder, entry->d_name) > 0);
	}
	(void)closedir(folder);
	qsort(files, count, sizeof(files[0]), by_name);
	return count;
}

/* A last writer closes off what the last kill left; then all must hold together. */
static struct psb_audit_report judge(void)
{
	static char *files[4096];
	struct psb_audit_report report = {.size = sizeof(report)};
	struct seen_fault seen = {.message = ""};
	struct audit_log log;
	size_t count;

	open_log(&log, NULL);
	assert_int_equal(append_text(&log, "accepted", "last"), 0);
	count = list_files(files, COUNT(files) - 1);
	/* A rotation killed between its two steps leaves two names of one file. */
	if (count > 0) {
		struct stat a;
		struct stat b;

		assert_int_equal(stat(files[count - 1], &a) + stat(audit_path, &b), 0);
		if (a.st_ino == b.st_ino)
			free(files[--count]);
	}
	files[count] = strdup(audit_path);
	count++;
	assert_int_equal(psb_audit_verify((const char *const *)files, count, NULL, note_fault,
					  &seen, &report, NULL),
			 0);
	if (report.faults)
		fail_msg("line %lu: %s", (unsigned long)seen.line, seen.message);
	assert_string_equal(report.head, log.head.hash);
	for (size_t i = 0; i < count; i++)
		free(files[i]);
	audit_log_close(&log);
	return report;
}

static void killed_writers_leave_a_chain(void **state)
{
	struct psb_audit_report report;

	(void)state;
	kill_loop(0);
	report = judge();
	assert_true(report.accepted > KILLS);
	print_message("%lu records, %lu torn lines\n", (unsigned long)report.records,
		      (unsigned long)report.torn);
}

static void killed_writers_that_rotate_leave_a_chain(void **state)
{
	struct psb_audit_report report;

	(void)state;
	kill_loop(64u << 10);
	report = judge();
	assert_true(report.accepted > KILLS);
	print_message("%lu records, %lu torn lines\n", (unsigned long)report.records,
		      (unsigned long)report.torn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(killed_writers_leave_a_chain, audit_setup,
						audit_teardown),
		cmocka_unit_test_setup_teardown(killed_writers_that_rotate_leave_a_chain,
						audit_setup, audit_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
