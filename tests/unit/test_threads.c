/*
 * Many threads on one sandbox, over the fake engine or, with the word "native", the real one. Its
 * real judge is ThreadSanitizer.
 */
#include "unit.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "fixture.h"

enum { EXECUTORS = 4, SUBMITTERS = 3, FETCHERS = 2, EACH = 150, JOBS = SUBMITTERS * EACH };

static const struct fake_step hello[] = {
	{STEP_STDOUT, "hello", 0, 0},
	{STEP_END, "{\"status\":\"ok\"}", 0, 0},
	{STEP_END_OF_SCRIPT, NULL, 0, 0},
};

static bool real;
static psb_sandbox *sandbox;
static atomic_int executed;
static atomic_int cancelled;
static atomic_int fetched;
static atomic_int wrong;
static atomic_int shown;
static atomic_int seen[JOBS + 1];
static atomic_bool finished;

static void on_output(void *context, int stream, const char *data, size_t len)
{
	(void)context;
	(void)stream;
	if (len != 5 || memcmp(data, "hello", 5) != 0)
		atomic_fetch_add(&wrong, 1);
	atomic_fetch_add(&shown, 1);
}

static void fill(struct psb_request *request)
{
	psb_request_init(request);
	request->source = "print('hello', end='')";
	request->source_len = strlen(request->source);
	request->on_output = on_output;
}

static void count(const psb_outcome *outcome)
{
	int status = psb_outcome_status(outcome);

	if (status == PSB_CANCELLED)
		atomic_fetch_add(&cancelled, 1);
	else if (status != PSB_OK)
		atomic_fetch_add(&wrong, 1);
}

static void *execute_many(void *unused)
{
	(void)unused;
	for (int i = 0; i < EACH; i++) {
		struct psb_request request;
		psb_outcome *outcome = NULL;

		fill(&request);
		if (psb_execute(sandbox, &request, &outcome, NULL)) {
			atomic_fetch_add(&wrong, 1);
			continue;
		}
		if (psb_outcome_job(outcome) != 0)
			atomic_fetch_add(&wrong, 1);
		count(outcome);
		psb_outcome_free(outcome);
		atomic_fetch_add(&executed, 1);
	}
	return NULL;
}

static void *submit_many(void *unused)
{
	struct psb_request request;
	unsigned int dice = 7;

	(void)unused;
	fill(&request);
	for (int i = 0; i < EACH;) {
		uint64_t job = 0;
		int error = psb_submit(sandbox, &request, &job, NULL);

		if (error == PSB_E_BUSY) {
			(void)poll(NULL, 0, 1);
			continue;
		}
		if (error || (rand_r(&dice) % 4 == 0 && psb_cancel(sandbox, job, NULL)))
			atomic_fetch_add(&wrong, 1);
		i++;
	}
	return NULL;
}

static void *fetch_many(void *unused)
{
	struct pollfd fd = {.fd = psb_fd(sandbox, NULL), .events = POLLIN};

	(void)unused;
	while (atomic_load(&fetched) < JOBS) {
		psb_outcome *outcome = NULL;

		(void)poll(&fd, 1, 20);
		while (psb_next(sandbox, &outcome, NULL) == 1) {
			uint64_t job = psb_outcome_job(outcome);

			if (job < 1 || job > JOBS || atomic_fetch_add(&seen[job], 1) != 0)
				atomic_fetch_add(&wrong, 1);
			count(outcome);
			psb_outcome_free(outcome);
			atomic_fetch_add(&fetched, 1);
		}
	}
	return NULL;
}

static void *disturb(void *unused)
{
	(void)unused;
	while (!atomic_load(&finished)) {
		(void)psb_warm(sandbox, 2, 5, NULL);
		(void)poll(NULL, 0, 3);
		psb_cancel_current(sandbox);
	}
	return NULL;
}

static void open_sandbox(unsigned int delay_us)
{
	struct psb_options options;

	fake_reset();
	fake_scripts[0].steps = hello;
	fake_scripts[0].delay_us = delay_us;
	psb_options_init(&options);
	options.pool_size = 3;
	options.queue_length = 40;
	options.python = real ? NULL : "/bin/sh";
	if (real)
		assert_int_equal(psb_open(&options, &sandbox, NULL), 0);
	else
		assert_int_equal(sandbox_open_with(&options, only_a, &sandbox, NULL), 0);
	executed = cancelled = fetched = wrong = shown = 0;
	for (int i = 0; i <= JOBS; i++)
		seen[i] = 0;
	finished = false;
}

static void all_calls_at_once(void **state)
{
	void *(*const mains[])(void *) = {execute_many, execute_many, execute_many,
					  execute_many, submit_many,  submit_many,
					  submit_many,  fetch_many,   fetch_many};
	pthread_t threads[COUNT(mains)];
	pthread_t disturber;

	(void)state;
	for (unsigned int delay_us = 0; delay_us <= 200; delay_us += 200) {
		open_sandbox(delay_us);
		assert_int_equal(pthread_create(&disturber, NULL, disturb, NULL), 0);
		for (size_t i = 0; i < COUNT(mains); i++)
			assert_int_equal(pthread_create(&threads[i], NULL, mains[i], NULL), 0);
		for (size_t i = 0; i < COUNT(mains); i++)
			assert_int_equal(pthread_join(threads[i], NULL), 0);
		atomic_store(&finished, true);
		assert_int_equal(pthread_join(disturber, NULL), 0);
		assert_int_equal(wrong, 0);
		assert_int_equal(executed, EXECUTORS * EACH);
		assert_int_equal(fetched, JOBS);
		assert_true(cancelled > 0);
		assert_true(shown > 0 && shown <= JOBS + EXECUTORS * EACH);
		psb_close(sandbox);
		assert_int_equal(fake_counts[0].instances_open, 0);
		assert_int_equal(fake_counts[0].templates_open, 0);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(all_calls_at_once)};
	struct psb_engine_info info = {.size = sizeof(info)};

	real = argc > 1 && strcmp(argv[1], "native") == 0;
	if (real && (psb_engine_at(0, &info, NULL) || !info.available)) {
		print_message("skipped: no engine can run here: %s\n", info.missing);
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
