/*
 * The same under libuv: a uv_poll_t on the sandbox's descriptor, next to whatever else the loop
 * does. Output is shown as it comes; the callback runs inside psb_next(), so in the loop's thread.
 *
 *     cc async_libuv.c -o async_libuv $(pkg-config --cflags --libs pysandbox libuv)
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <pysandbox.h>
#include <uv.h>

enum { JOBS = 8 };

static const char program[] = "import time\n"
			      "for i in range(3):\n"
			      "    print('step', i, flush=True)\n"
			      "    time.sleep(0.01)\n"
			      "result = 'done'\n";

struct app {
	psb_sandbox *sandbox;
	uv_poll_t poll;
	uv_timer_t timer;
	int open;
	int ok;
	int lines;
	int ticks;
};

static void on_output(void *context, int stream, const char *data, size_t len)
{
	struct app *app = context;

	(void)stream;
	for (size_t i = 0; i < len; i++)
		app->lines += data[i] == '\n';
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct app *app = poll->data;
	psb_outcome *outcome;

	(void)status;
	(void)events;
	while (psb_next(app->sandbox, &outcome, NULL) == 1) {
		printf("job %llu: %s\n", (unsigned long long)psb_outcome_job(outcome),
		       psb_status_name(psb_outcome_status(outcome)));
		app->ok += psb_outcome_status(outcome) == PSB_OK;
		app->open--;
		psb_outcome_free(outcome);
	}
	if (app->open > 0)
		return;
	uv_close((uv_handle_t *)&app->poll, NULL);
	uv_close((uv_handle_t *)&app->timer, NULL);
}

static void on_tick(uv_timer_t *timer)
{
	((struct app *)timer->data)->ticks++;
}

static int submit_all(struct app *app)
{
	struct psb_error err = {0};
	struct psb_request request;
	uint64_t job;

	psb_request_init(&request);
	request.source = program;
	request.source_len = strlen(program);
	request.on_output = on_output;
	request.context = app;
	for (int i = 0; i < JOBS; i++) {
		if (psb_submit(app->sandbox, &request, &job, &err)) {
			(void)fprintf(stderr, "not taken: %s\n", err.message);
			return -1;
		}
		app->open++;
	}
	return 0;
}

static int run(struct app *app)
{
	uv_loop_t *loop = uv_default_loop();

	if (submit_all(app) || uv_poll_init(loop, &app->poll, psb_fd(app->sandbox, NULL)) ||
	    uv_timer_init(loop, &app->timer))
		return -1;
	app->poll.data = app;
	app->timer.data = app;
	if (uv_poll_start(&app->poll, UV_READABLE, on_readable) ||
	    uv_timer_start(&app->timer, on_tick, 5, 5))
		return -1;
	(void)uv_run(loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(loop);
	return 0;
}

int main(void)
{
	struct psb_error err = {0};
	struct app app = {0};
	int failed;

	if (psb_open(NULL, &app.sandbox, &err)) {
		(void)fprintf(stderr, "no sandbox: %s\n", err.message);
		return 1;
	}
	failed = run(&app);
	printf("%d ok, %d lines, the timer ticked %d times meanwhile\n", app.ok, app.lines,
	       app.ticks);
	psb_close(app.sandbox);
	return failed || app.ok != JOBS || app.lines != 3 * JOBS || app.ticks == 0;
}
