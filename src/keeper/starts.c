/*
 * Theory of operation: how the keeper learns that a request has begun without being told. Every
 * slot has a timer that the host shares with us. The host sets it to the run's first look (control.h)
 * before it writes the request's first byte: one system call and no wake-up of ours on the way.
 * A run that ends before its first look is known from the host's word or from the timer, which then
 * is still running. A longer one wakes us, and from there on timers.c keeps its limits, whatever
 * becomes of the host.
 * Trust: the host is trusted; the guest never holds the timer.
 */
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "keeper/keeper.h"

int starts_open(struct keeper *keeper)
{
	for (size_t i = 0; i < KEEPER_MAX_SLOTS; i++)
		keeper->start_timers[i] = -1;
	keeper->starts_fd = epoll_create1(EPOLL_CLOEXEC);
	return keeper->starts_fd < 0 ? -1 : 0;
}

/* The host has one timer for a slot and sends it with every instance: the first is kept. */
void start_timer_take(struct keeper *keeper, uint32_t index, int *fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = index}};

	if (keeper->start_timers[index] < 0 &&
	    epoll_ctl(keeper->starts_fd, EPOLL_CTL_ADD, *fd, &event) == 0)
		keeper->start_timers[index] = take_fd(*fd);
	close_fd(fd);
}

/* An instance is about to be announced: what the timer says from now on is about this one. */
int start_timer_reset(struct keeper *keeper, uint32_t index)
{
	const struct itimerspec off = {{0}};
	uint64_t expirations;

	if (keeper->start_timers[index] < 0)
		return keeper->slots[index].scout ? 0 : -1;
	if (timerfd_settime(keeper->start_timers[index], 0, &off, NULL) < 0)
		return -1;
	(void)!read(keeper->start_timers[index], &expirations, sizeof(expirations));
	return 0;
}

static uint64_t us_of(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_nsec / 1000;
}

/* 0: it has not begun. The timer repeats, so that however late we look, what has passed since the
 * start is the periods that are over and the part of this one. */
static uint64_t begun_us(const struct keeper *keeper, uint32_t index)
{
	int timer = keeper->start_timers[index];
	uint64_t periods = 0;
	struct itimerspec left;
	uint64_t now;

	if (timer < 0 || timerfd_gettime(timer, &left) < 0 || us_of(&left.it_value) == 0)
		return 0;
	(void)!read(timer, &periods, sizeof(periods));
	if (timerfd_gettime(timer, &left) < 0)
		return 0;
	now = clock_us();
	return now + us_of(&left.it_value) - (periods + 1) * us_of(&left.it_interval);
}

void slot_catch_up(struct keeper *keeper, uint32_t index)
{
	uint64_t start_us = keeper->slots[index].state == SLOT_READY ? begun_us(keeper, index) : 0;

	if (start_us != 0)
		slot_begin(keeper, &keeper->slots[index], start_us);
}

void starts_turn(struct keeper *keeper)
{
	struct epoll_event events[16];
	int count = epoll_wait(keeper->starts_fd, events, 16, 0);

	for (int i = 0; i < count; i++) {
		uint32_t index = events[i].data.u32;

		slot_catch_up(keeper, index);
		(void)start_timer_reset(keeper, index); /* timers.c goes on, or the run is over */
	}
	timers_arm(keeper);
}
