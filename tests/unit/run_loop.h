/* SPDX-License-Identifier: MIT */
/* Runs an event loop for a given time. */
#ifndef TESTS_UNIT_RUN_LOOP_H
#define TESTS_UNIT_RUN_LOOP_H

#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "util/loop.h"

static inline void run_loop_timeout(void *owner, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	loop_stop(owner);
}

static inline void run_loop_for(struct loop *loop, unsigned milliseconds)
{
	struct itimerspec delay = {
		.it_value = { .tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000l + 1 },
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct error error;

	assert_true(fd >= 0);
	timerfd_settime(fd, 0, &delay, NULL);
	assert_int_equal(loop_add(loop, fd, POLLIN, run_loop_timeout, loop, &error), 0);
	loop_run(loop);
	loop_remove(loop, fd);
	close(fd);
}

#endif
