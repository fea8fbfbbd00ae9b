/*
 * Many programs in the background of one thread's event loop. The sandbox gives one descriptor; the
 * loop watches it with epoll beside its own (here: a clock that ticks), and asks for outcomes
 * whenever it is readable. Build it with
 *
 *     cc async_epoll.c -o async_epoll $(pkg-config --cflags --libs pysandbox)
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <pysandbox.h>

enum { JOBS = 20, TICK_MS = 5 };

static const char program[] = "result = sum(i * i for i in range(n))\n";

struct app {
	psb_sandbox *sandbox;
	int clock_fd;
	int open; /* jobs whose outcome has not come yet */
	int ok;
	int cancelled;
	int ticks;
};

static int submit(struct app *app, int n)
{
	struct psb_error err = {0};
	struct psb_request request;
	char inputs[32];
	uint64_t job;

	(void)snprintf(inputs, sizeof(inputs), "{\"n\": %d}", n);
	psb_request_init(&request);
	request.source = program;
	request.source_len = strlen(program);
	request.inputs = inputs;
	request.inputs_len = strlen(inputs);
	if (psb_submit(app->sandbox, &request, &job, &err)) {
		(void)fprintf(stderr, "not taken: %s\n", err.message);
		return -1;
	}
	app->open++;
	/* A job may be cancelled at any time; its outcome comes all the same. */
	return n % 7 == 0 ? psb_cancel(app->sandbox, job, NULL) : 0;
}

static void on_outcome(struct app *app, const psb_outcome *outcome)
{
	int status = psb_outcome_status(outcome);
	const char *result = psb_outcome_result(outcome, NULL);

	printf("job %llu: %s, result %s\n", (unsigned long long)psb_outcome_job(outcome),
	       psb_status_name(status), result ? result : "not set");
	app->open--;
	app->ok += status == PSB_OK;
	app->cancelled += status == PSB_CANCELLED;
}

/* Readable: take everything there is. psb_next() never waits. */
static void on_sandbox(struct app *app)
{
	psb_outcome *outcome;

	while (psb_next(app->sandbox, &outcome, NULL) == 1) {
		on_outcome(app, outcome);
		psb_outcome_free(outcome);
	}
}

static void on_clock(struct app *app)
{
	uint64_t expirations;

	if (read(app->clock_fd, &expirations, sizeof(expirations)) > 0)
		app->ticks += (int)expirations;
}

static int watch(int epoll_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return fd < 0 ? -1 : epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int loop(struct app *app)
{
	const struct itimerspec tick = {{0, TICK_MS * 1000000}, {0, TICK_MS * 1000000}};
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event;

	app->clock_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (watch(epoll_fd, psb_fd(app->sandbox, NULL)) || watch(epoll_fd, app->clock_fd) ||
	    timerfd_settime(app->clock_fd, 0, &tick, NULL))
		return -1;
	while (app->open > 0 && epoll_wait(epoll_fd, &event, 1, -1) > 0) {
		if (event.data.fd == app->clock_fd)
			on_clock(app);
		else
			on_sandbox(app);
	}
	(void)close(app->clock_fd);
	(void)close(epoll_fd);
	return app->open;
}

int main(void)
{
	struct psb_error err = {0};
	struct app app = {0};
	int failed = 0;

	if (psb_open(NULL, &app.sandbox, &err)) {
		(void)fprintf(stderr, "no sandbox: %s\n", err.message);
		return 1;
	}
	for (int n = 1; n <= JOBS && !failed; n++)
		failed = submit(&app, n * 1000);
	if (!failed)
		failed = loop(&app);
	printf("%d ok, %d cancelled, the clock ticked %d times meanwhile\n", app.ok, app.cancelled,
	       app.ticks);
	psb_close(app.sandbox);
	return failed || app.ok + app.cancelled != JOBS;
}
