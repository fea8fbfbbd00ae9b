/* What is recorded, said and counted about executions, over the fake engine. */
#include "audit_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "fixture.h"

static struct psb_options options;
static struct psb_audit audit;
static struct psb_request request;
static psb_sandbox *sandbox;

struct said {
	char text[8192];
	int lines;
	int worst;
};
static struct said said;

/* No lock may be held here: psb_metrics() takes them all. */
static void listen_to(void *context, int level, const char *message)
{
	struct said *heard = context;
	psb_sandbox *const all[1] = {sandbox};
	size_t len = strlen(heard->text);

	if (sandbox)
		assert_int_equal(psb_metrics(all, 1, NULL, 0, NULL, NULL), PSB_E_TOO_LARGE);
	(void)snprintf(heard->text + len, sizeof(heard->text) - len, "%d %s\n", level, message);
	heard->lines++;
	if (heard->worst == 0 || level < heard->worst)
		heard->worst = level;
}

static int setup(void **state)
{
	fake_reset();
	said = (struct said){.lines = 0};
	psb_audit_init(&audit);
	psb_options_init(&options);
	psb_request_init(&request);
	if (audit_setup(state))
		return -1;
	audit.file = audit_path;
	options.python = "/bin/sh";
	options.pool_size = 2;
	options.audit = &audit;
	options.log = listen_to;
	options.log_context = &said;
	request.source = "x = 1";
	request.source_len = 5;
	request.tag = "tag-7";
	return 0;
}

static int teardown(void **state)
{
	psb_close(sandbox);
	sandbox = NULL;
	return audit_teardown(state);
}

static void open_both(void)
{
	assert_int_equal(sandbox_open_with(&options, b_then_a, &sandbox, NULL), 0);
}

static int run_status(const char **error_type)
{
	static char type[64];
	psb_outcome *outcome = NULL;
	int status;

	assert_int_equal(psb_execute(sandbox, &request, &outcome, NULL), 0);
	status = psb_outcome_status(outcome);
	if (error_type) {
		const char *text = psb_outcome_error_type(outcome);

		(void)snprintf(type, sizeof(type), "%s", text ? text : "");
		*error_type = type;
	}
	psb_outcome_free(outcome);
	return status;
}

static struct psb_audit_report whole_log(void)
{
	struct seen_fault seen;
	struct psb_audit_report report = verify_path(audit_path, NULL, &seen);

	if (report.faults)
		fail_msg("line %lu: %s", (unsigned long)seen.line, seen.message);
	return report;
}

static const char *log_text(void)
{
	static uint8_t text[1u << 20];
	size_t len = load(audit_path, text, sizeof(text) - 1);

	text[len] = '\0';
	return (const char *)text;
}

static int occurrences(const char *text, const char *word)
{
	int count = 0;

	while ((text = strstr(text, word))) {
		text += strlen(word);
		count++;
	}
	return count;
}

static void each_run_has_two_records(void **state)
{
	struct psb_audit_report report;

	(void)state;
	open_both();
	for (int i = 0; i < 3; i++)
		assert_int_equal(run_status(NULL), PSB_OK);
	report = whole_log();
	assert_int_equal(report.records, 7);
	assert_int_equal(report.accepted, 3);
	assert_int_equal(report.ended, 3);
	assert_int_equal(report.open, 0);
	assert_int_equal(occurrences(log_text(), "\"tag\":\"tag-7\""), 6);
	/* printf 'x = 1' | sha256sum */
	assert_int_equal(occurrences(log_text(),
				     "\"code\":{\"sha256\":\"8ff436def1451285599a1b1ad7080049"
				     "3b8dcafde2912e1a38345633054e4c26\",\"bytes\":5}"),
			 3);
	assert_int_equal(occurrences(log_text(), "\"text\":"), 0);
}

static void the_code_is_kept_when_asked_for(void **state)
{
	(void)state;
	audit.keep_code = 1;
	request.source = "s = 'gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\x1b[31m'";
	request.source_len = strlen(request.source);
	open_both();
	assert_int_equal(run_status(NULL), PSB_OK);
	assert_non_null(strstr(log_text(), "\"text\":\"s = 'gr\\u00fc\\u00df "
					   "\\ud83d\\ude00\\u001b[31m'\",\"cut\":false"));
	(void)whole_log();
}

/* A log that was opened well, but cannot be continued when the run is due. */
static void without_its_record_nothing_runs(void **state)
{
	const char *type;

	(void)state;
	open_both();
	assert_int_equal(run_status(NULL), PSB_OK);
	store(audit_path, (const uint8_t *)"spoilt\n", 7);
	assert_int_equal(run_status(&type), PSB_UNAVAILABLE);
	assert_string_equal(type, "AuditLog");
	assert_int_equal(fake_counts[0].starts + fake_counts[1].starts, 1);
	assert_int_equal(said.worst, PSB_LOG_ERROR);
	assert_non_null(strstr(said.text, "does not end in a record of this chain"));
	/* Once the log is good again, it says what is missing. */
	assert_int_equal(unlink(audit_path), 0);
	assert_int_equal(run_status(NULL), PSB_OK);
	assert_true(whole_log().lost >= 1);
}

static void an_optional_log_does_not_stop_a_run(void **state)
{
	struct psb_error err;

	(void)state;
	assert_int_equal(mkdir(audit_path, 0700), 0);
	assert_int_equal(sandbox_open_with(&options, b_then_a, &sandbox, &err), PSB_E_AUDIT);
	assert_int_equal(fake_counts[0].templates + fake_counts[1].templates, 0);
	audit.optional = 1;
	open_both();
	assert_int_equal(run_status(NULL), PSB_OK);
	assert_int_equal(said.worst, PSB_LOG_WARNING);
	assert_int_equal(rmdir(audit_path), 0);
	assert_int_equal(run_status(NULL), PSB_OK);
	assert_int_equal(whole_log().lost, 2);
}

static void refused_calls_are_recorded(void **state)
{
	struct psb_error err;
	psb_outcome *outcome = NULL;
	uint64_t job;

	(void)state;
	open_both();
	request.inputs = "[1]";
	request.inputs_len = 3;
	assert_int_equal(psb_execute(sandbox, &request, &outcome, NULL), PSB_E_INVALID);
	assert_int_equal(psb_submit(sandbox, &request, &job, &err), PSB_E_INVALID);
	assert_non_null(strstr(err.message, "inputs"));
	psb_close(sandbox);
	sandbox = NULL;
	options.policy = "no-such-policy";
	assert_int_equal(sandbox_open_with(&options, b_then_a, &sandbox, NULL), PSB_E_POLICY);
	assert_int_equal(whole_log().refused, 3);
	assert_int_equal(occurrences(log_text(), "\"call\":\"psb_open\""), 1);
	assert_int_equal(occurrences(log_text(), "\"code\":\"PSB_E_INVALID\""), 2);
	assert_int_equal(fake_counts[0].starts, 0);
}

static void unavailable_and_false_starts_are_recorded(void **state)
{
	struct psb_audit_report report;

	(void)state;
	fake_scripts[0].fail = FAKE_NO_START;
	fake_scripts[1].fail = FAKE_NO_TEMPLATE;
	open_both();
	assert_int_equal(run_status(NULL), PSB_UNAVAILABLE);
	report = whole_log();
	assert_int_equal(report.accepted, 3);
	assert_int_equal(occurrences(log_text(), "\"event\":\"not_started\""), 3);
	assert_int_equal(report.ended, 1);
	assert_int_equal(report.open, 0);
	assert_non_null(strstr(log_text(), "\"status\":\"unavailable\""));
	assert_non_null(strstr(said.text, "did not take it"));
	assert_non_null(strstr(said.text, "engine fake-b is given up"));
}

static void closing_ends_what_runs_in_the_log_too(void **state)
{
	uint64_t job;

	(void)state;
	fake_scripts[0].hang = true;
	open_both();
	for (int i = 0; i < 3; i++)
		assert_int_equal(psb_submit(sandbox, &request, &job, NULL), 0);
	psb_close(sandbox);
	sandbox = NULL;
	assert_int_equal(whole_log().accepted, 2);
	assert_int_equal(whole_log().ended, 3);
	assert_int_equal(whole_log().open, 0);
	assert_int_equal(occurrences(log_text(), "\"status\":\"cancelled\""), 3);
}

static void a_forked_child_writes_nothing(void **state)
{
	uint64_t job;
	uint64_t size;
	struct stat st;
	int status = 0;
	pid_t child;

	(void)state;
	fake_scripts[0].hang = true;
	open_both();
	assert_int_equal(psb_submit(sandbox, &request, &job, NULL), 0);
	assert_int_equal(stat(audit_path, &st), 0);
	size = (uint64_t)st.st_size;
	child = fork();
	if (child == 0) {
		struct psb_error err;
		int code = psb_submit(sandbox, &request, &job, &err);

		psb_close(sandbox);
		_exit(code == PSB_E_FORKED ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(stat(audit_path, &st), 0);
	assert_int_equal((uint64_t)st.st_size, size);
}

static void what_an_engine_knows_is_said(void **state)
{
	const char *type;

	(void)state;
	fake_scripts[0].fail = FAKE_NO_READY;
	fake_scripts[1].fail = FAKE_NO_READY;
	open_both();
	assert_int_equal(run_status(&type), PSB_UNAVAILABLE);
	assert_non_null(strstr(said.text, "engine fake-a: an instance ended before it was ready: "
					  "the script says?so"));
	assert_non_null(strstr(log_text(), "ended before they were ready: the script says?so"));
}

static void watch(void *context, const char *text)
{
	struct said *heard = context;

	(void)snprintf(heard->text, sizeof(heard->text), "%s", text);
	heard->lines++;
}

/* Whoever makes something slow is not taken for one that has died. */
static void progress_is_told_and_is_patience(void **state)
{
	static struct said watched;

	(void)state;
	watched = (struct said){.lines = 0};
	options.progress = watch;
	options.progress_context = &watched;
	open_both();
	fake_scripts[0].progress = "packing\n1 of 2";
	sandbox->starved_us = 1;
	assert_int_equal(pool_turn(sandbox, NULL), 0);
	assert_int_equal(sandbox->starved_us, 0);
	assert_int_equal(watched.lines, 0);
	logger_flush(&sandbox->logger);
	assert_string_equal(watched.text, "packing?1 of 2");
	assert_int_equal(watched.lines, 1);
	assert_non_null(strstr(said.text, "3 engine fake-a: packing?1 of 2"));
	sandbox->starved_us = 1;
	assert_int_equal(pool_turn(sandbox, NULL), 0);
	assert_int_equal(sandbox->starved_us, 1);
	assert_int_equal(watched.lines, 1);
}

/* With a progress callback alone, what only the log would get is dropped in silence. */
static void progress_needs_no_log(void **state)
{
	struct logger logger;

	(void)state;
	assert_int_equal(logger_init(&logger), 0);
	logger.progress = watch;
	logger.progress_context = &said;
	for (int i = 0; i < 1000; i++)
		logger_progress(&logger, "fake", "step");
	logger_say(&logger, PSB_LOG_ERROR, "nobody hears");
	logger_flush(&logger);
	assert_int_equal(said.lines, LOGGER_MAX_PENDING);
	assert_string_equal(said.text, "step");
	logger_free(&logger);
}

static void levels_are_kept(void **state)
{
	(void)state;
	options.log_level = PSB_LOG_ERROR;
	open_both();
	assert_int_equal(run_status(NULL), PSB_OK);
	assert_int_equal(said.lines, 0);
	psb_close(sandbox);
	sandbox = NULL;
	options.log_level = PSB_LOG_DEBUG;
	open_both();
	assert_int_equal(run_status(NULL), PSB_OK);
	assert_non_null(strstr(said.text, "4 run "));
	psb_close(sandbox);
	sandbox = NULL;
	options.log_level = PSB_LOG_DEBUG + 1;
	assert_int_equal(sandbox_open_with(&options, b_then_a, &sandbox, NULL), PSB_E_INVALID);
}

static void a_flood_of_messages_is_bounded(void **state)
{
	struct logger logger;

	(void)state;
	assert_int_equal(logger_init(&logger), 0);
	logger.say = listen_to;
	logger.context = &said;
	logger.level = PSB_LOG_INFO;
	for (int i = 0; i < 1000; i++)
		logger_say(&logger, PSB_LOG_INFO, "x\n\x1b\xff%d", i);
	assert_int_equal(said.lines, 0);
	logger_flush(&logger);
	assert_int_equal(said.lines, LOGGER_MAX_PENDING + 1);
	assert_non_null(strstr(said.text, "3 x??\n3 x??\n"));
	logger_flush(&logger);
	assert_int_equal(said.lines, LOGGER_MAX_PENDING + 1);
	logger_say(&logger, PSB_LOG_ERROR, "left");
	logger_free(&logger);
}

static const char *metrics_text(size_t count)
{
	static char text[1u << 18];
	psb_sandbox *const both[2] = {sandbox, sandbox};
	struct psb_error err;
	size_t needed = 0;

	assert_int_equal(psb_metrics(both, count, text, 10, &needed, &err), PSB_E_TOO_LARGE);
	assert_in_range(needed, 1000, sizeof(text));
	assert_int_equal(psb_metrics(both, count, text, needed - 1, NULL, &err), PSB_E_TOO_LARGE);
	assert_int_equal(psb_metrics(both, count, text, needed, NULL, &err), 0);
	assert_int_equal(strlen(text) + 1, needed);
	return text;
}

static void everything_is_counted(void **state)
{
	psb_outcome *outcome = NULL;
	const char *text;

	(void)state;
	options.tenant = "a\"b\\c";
	fake_scripts[1].fail = FAKE_NO_PROBE;
	open_both();
	for (int i = 0; i < 5; i++)
		assert_int_equal(run_status(NULL), PSB_OK);
	assert_int_equal(psb_warm(sandbox, 2, 1000, NULL), 0);
	request.inputs = "[1]";
	request.inputs_len = 3;
	assert_int_equal(psb_execute(sandbox, &request, &outcome, NULL), PSB_E_INVALID);
	text = metrics_text(2);
#define LABELS "{sandbox=\"0\",tenant=\"a\\\"b\\\\c\""
	assert_non_null(strstr(text, "_executions_total" LABELS ",status=\"ok\"} 5\n"));
	assert_non_null(strstr(text, "_executions_total" LABELS ",status=\"crash\"} 0\n"));
	assert_non_null(strstr(text, "_refused_calls_total" LABELS ",error=\"PSB_E_INVALID\"} 1"));
	assert_non_null(strstr(text, "_fallbacks_total" LABELS "} 1\n"));
	assert_non_null(strstr(text, "_wall_seconds_count" LABELS "} 5\n"));
	assert_non_null(strstr(text, "_wall_seconds_bucket" LABELS ",le=\"+Inf\"} 5\n"));
	assert_non_null(strstr(text, "_audit_records_total" LABELS "} 11\n"));
	assert_non_null(strstr(text, "_audit_append_seconds_count" LABELS "} 11\n"));
	assert_non_null(strstr(text, "_engine_level" LABELS ",engine=\"fake-a\"} 7\n"));
	assert_non_null(strstr(text, "_instances_ready" LABELS "} 2\n"));
	assert_int_equal(occurrences(text, "# TYPE pysandbox_wall_seconds "), 1);
	assert_int_equal(occurrences(text, "sandbox=\"1\""), occurrences(text, "sandbox=\"0\""));
#undef LABELS
}

#define THREADS 4
#define RUNS 40

static atomic_int heard;

static void count_line(void *context, int level, const char *message)
{
	(void)context;
	assert_true(level >= PSB_LOG_ERROR && message[0]);
	atomic_fetch_add(&heard, 1);
}

static void *run_often(void *context)
{
	for (int i = 0; i < RUNS; i++)
		if (run_status(NULL) != PSB_OK)
			return context;
	return NULL;
}

static void *look_often(void *context)
{
	static char text[1u << 17];
	psb_sandbox *const all[1] = {sandbox};

	for (int i = 0; i < 5 * RUNS; i++)
		if (psb_metrics(all, 1, text, sizeof(text), NULL, NULL))
			return context;
	return NULL;
}

/* Its real judge is ThreadSanitizer. */
static void threads_share_log_callback_and_metrics(void **state)
{
	pthread_t threads[THREADS + 1];
	void *failed = NULL;

	(void)state;
	options.log = count_line;
	options.log_level = PSB_LOG_DEBUG;
	open_both();
	for (int i = 0; i <= THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
						i < THREADS ? run_often : look_often, &heard),
				 0);
	for (int i = 0; i <= THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	assert_int_equal(whole_log().accepted, THREADS * RUNS);
	assert_int_equal(whole_log().ended, THREADS * RUNS);
	assert_true(atomic_load(&heard) >= THREADS * RUNS);
}

static void buckets_have_inclusive_bounds(void **state)
{
	struct histogram histogram = {.sum_us = 0};

	(void)state;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		histogram_add(&histogram, histogram_bounds_us[i]);
		assert_int_equal(histogram.counts[i], 1);
		histogram_add(&histogram, histogram_bounds_us[i] + 1);
		assert_int_equal(histogram.counts[i + 1], 1);
		histogram.counts[i + 1] = 0;
	}
	histogram = (struct histogram){.sum_us = 0};
	histogram_add(&histogram, 0);
	assert_int_equal(histogram.counts[0], 1);
	histogram_add(&histogram, UINT64_MAX / 2);
	assert_int_equal(histogram.counts[HISTOGRAM_BUCKETS], 1);
}

static void wrong_options_are_refused(void **state)
{
	static const struct {
		struct psb_audit audit;
		const char *said;
	} wrong[] = {
		{{sizeof(audit), NULL}, "no file"},
		{{sizeof(audit), ""}, "no file"},
		{{sizeof(audit), audit_path, .rotate_bytes = 100}, "rotate_bytes"},
		{{sizeof(audit), audit_path, .sync = 3}, "sync"},
		{{sizeof(audit), audit_path, .keep_code = 2}, "keep_code"},
		{{sizeof(audit), audit_path, .optional = 2}, "optional"},
		{{0, audit_path}, "size"},
		{{sizeof(audit), audit_path, .key_file = "/nonexistent/key"}, "audit key"},
		{{sizeof(audit), audit_path, .key_file = "/nonexistent/key", .optional = 1},
		 "audit key"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct psb_error err = {.message = ""};

		options.audit = &wrong[i].audit;
		assert_int_not_equal(sandbox_open_with(&options, b_then_a, &sandbox, &err), 0);
		assert_non_null(strstr(err.message, wrong[i].said));
		assert_null(sandbox);
	}
}

#define OVER_FAKE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		OVER_FAKE(each_run_has_two_records),
		OVER_FAKE(the_code_is_kept_when_asked_for),
		OVER_FAKE(without_its_record_nothing_runs),
		OVER_FAKE(an_optional_log_does_not_stop_a_run),
		OVER_FAKE(refused_calls_are_recorded),
		OVER_FAKE(unavailable_and_false_starts_are_recorded),
		OVER_FAKE(closing_ends_what_runs_in_the_log_too),
		OVER_FAKE(a_forked_child_writes_nothing),
		OVER_FAKE(what_an_engine_knows_is_said),
		OVER_FAKE(progress_is_told_and_is_patience),
		OVER_FAKE(progress_needs_no_log),
		OVER_FAKE(levels_are_kept),
		OVER_FAKE(a_flood_of_messages_is_bounded),
		OVER_FAKE(everything_is_counted),
		OVER_FAKE(threads_share_log_callback_and_metrics),
		OVER_FAKE(buckets_have_inclusive_bounds),
		OVER_FAKE(wrong_options_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
