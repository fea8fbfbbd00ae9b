/* psb_execute() over scripted guests: streams, caps, results, files, the outcome's JSON. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/json_check.h"
#include "core/json_read.h"
#include "fixture.h"

#define END_OK                                                                                     \
	{                                                                                          \
		STEP_END, "{\"status\":\"ok\",\"has_result\":true}", 0, 0                          \
	}
#define END_PLAIN                                                                                  \
	{                                                                                          \
		STEP_END, "{\"status\":\"ok\"}", 0, 0                                              \
	}
#define DONE                                                                                       \
	{                                                                                          \
		STEP_END_OF_SCRIPT, NULL, 0, 0                                                     \
	}

static psb_sandbox *sandbox;
static struct psb_request request;
static struct psb_limits limits;

static int setup(void **state)
{
	struct psb_options options;

	(void)state;
	fake_reset();
	psb_options_init(&options);
	options.python = "/bin/sh";
	psb_limits_init(&options.limits);
	options.limits.on_output_limit = PSB_OUTPUT_TRUNCATE;
	psb_request_init(&request);
	psb_limits_init(&limits);
	return sandbox_open_with(&options, only_a, &sandbox, NULL);
}

static int teardown(void **state)
{
	(void)state;
	psb_close(sandbox);
	return fake_counts[0].instances_open + fake_counts[0].templates_open;
}

/* Runs the script; the outcome's JSON must be JSON whatever the guest did. */
static psb_outcome *play(const struct fake_step *steps)
{
	psb_outcome *outcome = NULL;
	struct psb_error err;
	const char *json;
	size_t len = 0;

	fake_scripts[0].steps = steps;
	request.limits = &limits;
	if (run_source(sandbox, &request, &outcome, &err))
		fail_msg("%s", err.message);
	json = psb_outcome_json(outcome, &len);
	assert_non_null(json);
	assert_int_equal(
		json_check((const uint8_t *)json, len, JSON_OBJECT_ONLY | JSON_PORTABLE, NULL), 0);
	assert_ptr_equal(psb_outcome_json(outcome, NULL), json);
	return outcome;
}

static void a_result_is_joined_and_kept(void **state)
{
	static const struct fake_step steps[] = {{STEP_RESULT, "[1,", 0, 0},
						 {STEP_RAW, "noise", 0, 0},
						 {STEP_RESULT, "\"\\u00e9\"]", 0, 0},
						 END_OK,
						 DONE};
	size_t len = 0;

	(void)state;
	for (size_t piece = 0; piece < 8; piece++) {
		psb_outcome *outcome;

		fake_scripts[0].piece = piece;
		outcome = play(steps);
		assert_int_equal(psb_outcome_status(outcome), PSB_OK);
		assert_string_equal(psb_outcome_result(outcome, &len), "[1,\"\\u00e9\"]");
		assert_int_equal(len, 12);
		assert_non_null(
			strstr(psb_outcome_json(outcome, NULL), "\"result\":[1,\"\\u00e9\"],"));
		psb_outcome_free(outcome);
	}
}

static void an_unset_result_is_absent(void **state)
{
	static const struct fake_step steps[] = {{STEP_RESULT, "1", 0, 0}, END_PLAIN, DONE};
	psb_outcome *outcome = play(steps);

	(void)state;
	assert_null(psb_outcome_result(outcome, NULL));
	assert_null(strstr(psb_outcome_json(outcome, NULL), "\"result\":"));
	psb_outcome_free(outcome);
}

static void a_forged_result_is_an_error(void **state)
{
	static const char *const bad[] = {
		"{\"a\":1,\"a\":2}", "NaN",   "[1",      "1,\"status\":\"x\"",
		"\"\\ud800\"",       "1e999", "\"\xff\""};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		const struct fake_step steps[] = {{STEP_RESULT, bad[i], 0, 0}, END_OK, DONE};
		psb_outcome *outcome = play(steps);

		assert_int_equal(psb_outcome_status(outcome), PSB_ERROR);
		assert_string_equal(psb_outcome_error_type(outcome), "ResultError");
		assert_null(psb_outcome_result(outcome, NULL));
		psb_outcome_free(outcome);
	}
}

static void a_result_over_its_cap_ends_the_run(void **state)
{
	static const struct fake_step steps[] = {
		{STEP_RESULT, "\"0123456789\"", 0, 9}, END_OK, DONE};
	psb_outcome *outcome;

	(void)state;
	limits.result_bytes = 16;
	outcome = play(steps);
	assert_int_equal(psb_outcome_status(outcome), PSB_RESULT_LIMIT);
	assert_string_equal(psb_outcome_limit(outcome), "result");
	assert_null(psb_outcome_result(outcome, NULL));
	assert_int_equal(fake_counts[0].last_stop, STOP_RESULT);
	psb_outcome_free(outcome);
}

static void output_is_cut_at_a_character(void **state)
{
	static const struct fake_step steps[] = {
		{STEP_STDERR, "gr\xc3\xbc\xc3\x9f", 0, 0}, END_PLAIN, DONE};
	psb_outcome *outcome;
	size_t len = 9;

	(void)state;
	limits.stderr_bytes = 5;
	outcome = play(steps);
	assert_int_equal(psb_outcome_status(outcome), PSB_OK);
	assert_string_equal(psb_outcome_stderr(outcome, &len), "gr\xc3\xbc");
	assert_int_equal(len, 4);
	assert_non_null(strstr(psb_outcome_json(outcome, NULL), "\"limits_hit\":[\"stderr\"]"));
	assert_non_null(strstr(psb_outcome_json(outcome, NULL),
			       "\"truncated\":{\"stdout\":false,\"stderr\":true}"));
	psb_outcome_free(outcome);
}

static void truncate_drains_64_times_the_cap(void **state)
{
	static const struct fake_step most[] = {
		{STEP_STDOUT, "0123456789", 0, 64}, END_PLAIN, DONE};
	static const struct fake_step more[] = {
		{STEP_STDOUT, "0123456789", 0, 66}, END_PLAIN, DONE};
	psb_outcome *outcome;

	(void)state;
	limits.stdout_bytes = 10;
	outcome = play(most);
	assert_int_equal(psb_outcome_status(outcome), PSB_OK);
	psb_outcome_free(outcome);
	outcome = play(more);
	assert_int_equal(psb_outcome_status(outcome), PSB_OUTPUT_LIMIT);
	assert_string_equal(psb_outcome_limit(outcome), "stdout");
	assert_string_equal(psb_outcome_stdout(outcome, NULL), "0123456789");
	psb_outcome_free(outcome);
}

static void kill_ends_at_the_cap(void **state)
{
	static const struct fake_step fits[] = {{STEP_STDOUT, "0123456789", 0, 0}, END_PLAIN, DONE};
	static const struct fake_step over[] = {
		{STEP_STDOUT, "0123456789", 0, 0}, {STEP_STDOUT, "x", 0, 0}, END_PLAIN, DONE};
	struct psb_options options;
	psb_outcome *outcome;

	(void)state;
	psb_close(sandbox);
	psb_options_init(&options);
	options.python = "/bin/sh";
	assert_int_equal(sandbox_open_with(&options, only_a, &sandbox, NULL), 0);
	limits.stdout_bytes = 10;
	outcome = play(fits);
	assert_int_equal(psb_outcome_status(outcome), PSB_OK);
	psb_outcome_free(outcome);
	outcome = play(over);
	assert_int_equal(psb_outcome_status(outcome), PSB_OUTPUT_LIMIT);
	assert_int_equal(fake_counts[0].last_stop, STOP_OUTPUT);
	assert_string_equal(psb_outcome_stdout(outcome, NULL), "0123456789");
	psb_outcome_free(outcome);
}

struct heard {
	char text[2][64];
	size_t len[2];
};

static void hear(void *context, int stream, const char *data, size_t len)
{
	struct heard *heard = context;

	memcpy(heard->text[stream - 1] + heard->len[stream - 1], data, len);
	heard->len[stream - 1] += len;
}

static void callbacks_get_what_the_outcome_has(void **state)
{
	static const struct fake_step steps[] = {{STEP_STDOUT, "a\xe2\x82", 0, 0},
						 {STEP_STDERR, "e\xff", 0, 0},
						 {STEP_STDOUT,
						  "\xac"
						  "b\xf0\x9f",
						  0, 0},
						 END_PLAIN,
						 DONE};
	struct heard heard = {.len = {0}};
	psb_outcome *outcome;

	(void)state;
	request.on_output = hear;
	request.context = &heard;
	outcome = play(steps);
	assert_string_equal(heard.text[0], "a\xe2\x82\xac"
					   "b\xef\xbf\xbd");
	assert_string_equal(heard.text[1], "e\xef\xbf\xbd");
	assert_string_equal(psb_outcome_stdout(outcome, NULL), heard.text[0]);
	assert_string_equal(psb_outcome_stderr(outcome, NULL), heard.text[1]);
	psb_outcome_free(outcome);
}

static void errors_are_reported_as_sent(void **state)
{
	static const struct fake_step steps[] = {
		{STEP_END,
		 "{\"status\":\"error\",\"error\":{\"type\":\"ValueError\",\"message\":"
		 "\"bad\\u0000\",\"traceback\":\"Traceback\",\"line\":3},"
		 "\"denied_imports\":[\"socket\"],\"limits_hit\":[\"memory\"]}",
		 0, 0},
		DONE};
	psb_outcome *outcome = play(steps);

	(void)state;
	assert_int_equal(psb_outcome_status(outcome), PSB_ERROR);
	assert_string_equal(psb_outcome_error_type(outcome), "ValueError");
	assert_string_equal(psb_outcome_error_message(outcome), "bad?");
	assert_string_equal(psb_outcome_traceback(outcome), "Traceback");
	assert_int_equal(psb_outcome_error_line(outcome), 3);
	assert_non_null(strstr(psb_outcome_json(outcome, NULL),
			       "\"denied\":[{\"kind\":\"import\",\"name\":\"socket\"}]"));
	psb_outcome_free(outcome);
}

static void a_malformed_end_is_no_end(void **state)
{
	static const struct fake_step steps[] = {{STEP_END, "{\"status\":\"timeout\"}", 0, 0},
						 DONE};
	psb_outcome *outcome = play(steps);

	(void)state;
	assert_int_equal(psb_outcome_status(outcome), PSB_UNKNOWN);
	psb_outcome_free(outcome);
}

static void a_crash_shows_its_traceback(void **state)
{
	static const struct fake_step steps[] = {
		{STEP_RAW, "Fatal Python error: Segmentation fault\n\xff", 0, 0}, DONE};
	static const struct fake_step other[] = {{STEP_RAW, "hello", 0, 0}, DONE};
	psb_outcome *outcome;

	(void)state;
	fake_scripts[0].evidence.signalled = true;
	fake_scripts[0].evidence.signal_number = 11;
	outcome = play(steps);
	assert_int_equal(psb_outcome_status(outcome), PSB_CRASH);
	assert_int_equal(psb_outcome_signal(outcome), 11);
	assert_string_equal(psb_outcome_error_type(outcome), "SIGSEGV");
	assert_string_equal(psb_outcome_traceback(outcome),
			    "Fatal Python error: Segmentation fault\n\xef\xbf\xbd");
	psb_outcome_free(outcome);
	outcome = play(other);
	assert_null(psb_outcome_traceback(outcome));
	psb_outcome_free(outcome);
}

static void a_denied_call_is_named(void **state)
{
	static const struct fake_step none[] = {DONE};
	psb_outcome *outcome;

	(void)state;
	fake_scripts[0].evidence.denied = true;
	fake_scripts[0].evidence.denied_syscall = 101;
	outcome = play(none);
	assert_int_equal(psb_outcome_status(outcome), PSB_DENIED);
	assert_non_null(strstr(psb_outcome_json(outcome, NULL),
			       "{\"kind\":\"syscall\",\"name\":\"ptrace\"}"));
	psb_outcome_free(outcome);
	fake_scripts[0].evidence.denied_syscall = 9999;
	outcome = play(none);
	assert_non_null(strstr(psb_outcome_error_message(outcome), " syscall_9999"));
	psb_outcome_free(outcome);
	fake_scripts[0].evidence.denied_syscall = 0x40000000 + 39;
	outcome = play(none);
	assert_non_null(strstr(psb_outcome_error_message(outcome), " x32_syscall_39"));
	psb_outcome_free(outcome);
	fake_scripts[0].evidence.denied_syscall = 20; /* writev for 64 bits, getpid for 32 */
	fake_scripts[0].evidence.denied_i386 = true;
	outcome = play(none);
	assert_non_null(strstr(psb_outcome_error_message(outcome), " i386_syscall_20"));
	psb_outcome_free(outcome);
}

static void usage_is_the_evidence(void **state)
{
	static const struct fake_step none[] = {END_PLAIN, DONE};
	psb_outcome *outcome;

	(void)state;
	fake_scripts[0].evidence.wall_us = 12345;
	fake_scripts[0].evidence.cpu_us = 678;
	fake_scripts[0].evidence.memory_peak_bytes = 4096;
	request.tag = "my \"tag\"";
	outcome = play(none);
	assert_int_equal(psb_outcome_wall_us(outcome), 12345);
	assert_int_equal(psb_outcome_cpu_us(outcome), 678);
	assert_int_equal(psb_outcome_memory_peak_bytes(outcome), 4096);
	assert_non_null(strstr(psb_outcome_json(outcome, NULL),
			       "\"usage\":{\"wall_ms\":12.345,\"cpu_ms\":0.678,"));
	assert_non_null(strstr(psb_outcome_json(outcome, NULL), "\"tag\":\"my \\\"tag\\\"\""));
	psb_outcome_free(outcome);
}

static void ids_differ(void **state)
{
	static const struct fake_step none[] = {END_PLAIN, DONE};
	psb_outcome *a = play(none);
	psb_outcome *b = play(none);

	(void)state;
	assert_int_equal(strlen(a->id), 32);
	assert_string_not_equal(a->id, b->id);
	psb_outcome_free(a);
	psb_outcome_free(b);
}

static int try_request(void)
{
	psb_outcome *outcome = NULL;
	int code = psb_execute(sandbox, &request, &outcome, NULL);

	psb_outcome_free(outcome);
	return code;
}

static void bad_calls_are_errors(void **state)
{
	const char *bad_env[] = {"A=1", "novalue", NULL};
	const char *twice[] = {"A=1", "A=2", NULL};
	const char *good[] = {"A=1", "AB=2", "C=", NULL};

	(void)state;
#define TRY(code, ...)                                                                             \
	do {                                                                                       \
		psb_request_init(&request);                                                        \
		__VA_ARGS__;                                                                       \
		assert_int_equal(try_request(), code);                                             \
	} while (0)
	TRY(0, (void)0);
	TRY(0, request.env = good);
	TRY(PSB_E_INVALID, request.env = bad_env);
	TRY(PSB_E_INVALID, request.env = twice);
	TRY(PSB_E_INVALID, request.source_len = 1);
	TRY(PSB_E_TOO_LARGE, request.source = "", request.source_len = (64u << 20) + 1);
	TRY(0, request.inputs = "{\"a\":1}", request.inputs_len = 7);
	TRY(PSB_E_INVALID, request.inputs = "[1]", request.inputs_len = 3);
	TRY(PSB_E_INVALID, request.inputs = "{\"a\":1,\"a\":2}", request.inputs_len = 13);
	TRY(PSB_E_INVALID, request.filename = "a\nb");
	TRY(PSB_E_INVALID, request.tag = "\xff");
	TRY(PSB_E_NOT_FOUND, request.output_dir = "/no/such/directory");
	TRY(PSB_E_POLICY, psb_limits_init(&limits); limits.wall_ms = 30001;
	    request.limits = &limits);
	TRY(PSB_E_INVALID, request.size = 1);
	TRY(PSB_E_INVALID, request.file_count = 1);
#undef TRY
	assert_int_equal(psb_execute(sandbox, NULL, NULL, NULL), PSB_E_INVALID);
	assert_int_equal(fake_counts[0].starts, 3);
}

static char scratch[] = "/tmp/psb-unit-XXXXXX";

static void write_file(const char *name, const char *text)
{
	char path[256];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", scratch, name);
	file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs(text, file);
	(void)fclose(file);
}

static int try_file(const char *guest_name, const char *host_name, const char *data)
{
	char path[256];
	struct psb_file file = {guest_name, NULL, data, data ? strlen(data) : 0};

	if (host_name) {
		(void)snprintf(path, sizeof(path), "%s/%s", scratch, host_name);
		file.host_path = path;
	}
	psb_request_init(&request);
	request.files = &file;
	request.file_count = 1;
	request.limits = &limits;
	return try_request();
}

static void input_files_are_opened_strictly(void **state)
{
	static const char *const bad_names[] = {"",    "/a", "..",   "a/../b", "a//b",
						"./a", "a/", "a\nb", "\xff"};
	char path[256];
	size_t plain;

	(void)state;
	write_file("plain", "12345");
	(void)snprintf(path, sizeof(path), "%s/link", scratch);
	assert_int_equal(symlink("plain", path), 0);
	(void)snprintf(path, sizeof(path), "%s/fifo", scratch);
	assert_int_equal(mkfifo(path, 0600), 0);
	limits.workspace_bytes = 4096;
	assert_int_equal(try_file("f", NULL, ""), 0);
	plain = fake_counts[0].request_len;
	assert_int_equal(try_file("f", "plain", NULL), 0);
	assert_int_equal(fake_counts[0].request_len, plain + 5);
	assert_int_equal(try_file("d/e/f", NULL, "data"), 0);
	assert_int_equal(try_file("f", "link", NULL), PSB_E_NOT_FOUND);
	assert_int_equal(try_file("f", "fifo", NULL), PSB_E_NOT_FOUND);
	assert_int_equal(try_file("f", "missing", NULL), PSB_E_NOT_FOUND);
	assert_int_equal(try_file("f", "", NULL), PSB_E_NOT_FOUND);
	for (size_t i = 0; i < COUNT(bad_names); i++)
		assert_int_equal(try_file(bad_names[i], NULL, "x"), PSB_E_INVALID);
	(void)snprintf(path, sizeof(path), "%s/plain", scratch);
	assert_int_equal(truncate(path, 4097), 0);
	assert_int_equal(try_file("f", "plain", NULL), PSB_E_TOO_LARGE);
}

static void make_dir(const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", scratch, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static psb_outcome *collect_into(const char *workspace, const char *output)
{
	static const struct fake_step none[] = {END_PLAIN, DONE};
	static char paths[2][256];

	(void)snprintf(paths[0], sizeof(paths[0]), "%s/%s", scratch, workspace);
	(void)snprintf(paths[1], sizeof(paths[1]), "%s/%s", scratch, output);
	fake_scripts[0].workspace = paths[0];
	request.output_dir = paths[1];
	return play(none);
}

static void only_regular_files_come_out(void **state)
{
	char path[300];
	psb_outcome *outcome;

	(void)state;
	make_dir("w");
	make_dir("w/sub");
	make_dir("out");
	write_file("w/b.txt", "bb");
	write_file("w/sub/a.txt", "a");
	write_file("w/bad\nname", "x");
	write_file("out/b.txt", "old");
	write_file("secret", "secret");
	(void)snprintf(path, sizeof(path), "%s/w/link", scratch);
	assert_int_equal(symlink("../secret", path), 0);
	(void)snprintf(path, sizeof(path), "%s/w/fifo", scratch);
	assert_int_equal(mkfifo(path, 0600), 0);
	(void)snprintf(path, sizeof(path), "%s/w/dirlink", scratch);
	assert_int_equal(symlink("/etc", path), 0);
	outcome = collect_into("w", "out");
	assert_int_equal(psb_outcome_status(outcome), PSB_OK);
	assert_int_equal(outcome->file_count, 2);
	assert_non_null(strstr(psb_outcome_json(outcome, NULL),
			       "\"files\":[{\"name\":\"b.txt\",\"size\":2},"
			       "{\"name\":\"sub/a.txt\",\"size\":1}]"));
	(void)snprintf(path, sizeof(path), "%s/out/link", scratch);
	assert_int_not_equal(access(path, F_OK), 0);
	(void)snprintf(path, sizeof(path), "%s/out/dirlink", scratch);
	assert_int_not_equal(access(path, F_OK), 0);
	psb_outcome_free(outcome);
}

static void output_follows_no_symlink_of_the_host_either(void **state)
{
	char path[300];
	psb_outcome *outcome;

	(void)state;
	make_dir("w2");
	make_dir("w2/sub");
	make_dir("out2");
	make_dir("elsewhere");
	write_file("w2/file", "new");
	write_file("target", "keep");
	(void)snprintf(path, sizeof(path), "%s/out2/file", scratch);
	assert_int_equal(symlink("../target", path), 0);
	outcome = collect_into("w2", "out2");
	assert_int_equal(outcome->file_count, 1);
	psb_outcome_free(outcome);
	(void)snprintf(path, sizeof(path), "%s/target", scratch);
	{
		struct stat info;

		assert_int_equal(stat(path, &info), 0);
		assert_int_equal(info.st_size, 4);
	}
	(void)snprintf(path, sizeof(path), "%s/out2/sub", scratch);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("../elsewhere", path), 0);
	outcome = collect_into("w2", "out2");
	assert_int_equal(psb_outcome_status(outcome), PSB_OK);
	assert_int_equal(outcome->file_count, 2);
	assert_null(outcome->files[0].error);
	assert_string_equal(outcome->files[1].name, "sub");
	assert_non_null(strstr(psb_outcome_json(outcome, NULL),
			       "{\"name\":\"sub\",\"size\":0,\"error\":\"open the directory"));
	psb_outcome_free(outcome);
}

/* The code has run: whatever the output directory holds, there is an outcome. */
static void what_cannot_be_stored_is_listed(void **state)
{
	psb_outcome *outcome;

	(void)state;
	make_dir("w4");
	make_dir("w4/a");
	make_dir("out4");
	make_dir("out4/b");
	write_file("w4/a/inner", "lost");
	write_file("w4/b", "lost");
	write_file("w4/c", "kept");
	write_file("out4/a", "in the way");
	outcome = collect_into("w4", "out4");
	assert_int_equal(psb_outcome_status(outcome), PSB_OK);
	assert_int_equal(outcome->file_count, 3);
	assert_string_equal(outcome->files[0].name, "a");
	assert_non_null(outcome->files[0].error);
	assert_string_equal(outcome->files[1].name, "b");
	assert_non_null(outcome->files[1].error);
	assert_string_equal(outcome->files[2].name, "c");
	assert_null(outcome->files[2].error);
	assert_int_equal(outcome->files[2].size, 4);
	psb_outcome_free(outcome);
}

static void caps_end_the_collection(void **state)
{
	psb_outcome *outcome;
	char path[600];
	size_t len;

	(void)state;
	make_dir("w3");
	make_dir("out3");
	for (int i = 0; i < 4; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "w3/f%d", i);
		write_file(name, "0123456789");
	}
	limits.workspace_files = 3;
	outcome = collect_into("w3", "out3");
	assert_int_equal(psb_outcome_status(outcome), PSB_DISK_LIMIT);
	assert_string_equal(psb_outcome_limit(outcome), "workspace");
	assert_int_equal(outcome->file_count, 3);
	psb_outcome_free(outcome);
	limits.workspace_files = 4;
	limits.workspace_bytes = 4096;
	(void)snprintf(path, sizeof(path), "%s/w3/f0", scratch);
	assert_int_equal(truncate(path, 5000), 0);
	outcome = collect_into("w3", "out3");
	assert_int_equal(psb_outcome_status(outcome), PSB_DISK_LIMIT);
	psb_outcome_free(outcome);
	assert_int_equal(truncate(path, 10), 0);
	limits.workspace_files = 40;
	len = (size_t)snprintf(path, sizeof(path), "%s/w3", scratch);
	for (int depth = 0; depth < 17; depth++) {
		len += (size_t)snprintf(path + len, sizeof(path) - len, "/d");
		assert_int_equal(mkdir(path, 0700), 0);
	}
	outcome = collect_into("w3", "out3");
	assert_int_equal(psb_outcome_status(outcome), PSB_DISK_LIMIT);
	psb_outcome_free(outcome);
}

static void a_missing_workspace_is_an_error(void **state)
{
	psb_outcome *outcome = NULL;

	(void)state;
	fake_scripts[0].workspace = NULL;
	psb_request_init(&request);
	request.output_dir = scratch;
	assert_int_equal(run_source(sandbox, &request, &outcome, NULL), PSB_E_SYSTEM);
	assert_null(outcome);
}

static int make_scratch(void **state)
{
	(void)state;
	return mkdtemp(scratch) ? 0 : -1;
}

static int remove_scratch(void **state)
{
	char command[64];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf %s", scratch);
	return system(command);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_result_is_joined_and_kept),
		T(an_unset_result_is_absent),
		T(a_forged_result_is_an_error),
		T(a_result_over_its_cap_ends_the_run),
		T(output_is_cut_at_a_character),
		T(truncate_drains_64_times_the_cap),
		T(kill_ends_at_the_cap),
		T(callbacks_get_what_the_outcome_has),
		T(errors_are_reported_as_sent),
		T(a_malformed_end_is_no_end),
		T(a_crash_shows_its_traceback),
		T(a_denied_call_is_named),
		T(usage_is_the_evidence),
		T(ids_differ),
		T(bad_calls_are_errors),
		T(input_files_are_opened_strictly),
		T(only_regular_files_come_out),
		T(output_follows_no_symlink_of_the_host_either),
		T(what_cannot_be_stored_is_listed),
		T(caps_end_the_collection),
		T(a_missing_workspace_is_an_error),
	};

	return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
