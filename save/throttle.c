/* SPDX-License-Identifier: MIT */
/* Throttles the guest: parks its vCPUs for a part of the time. */
#include "save/throttle.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define RUN_MS 10u

/* Milliseconds parked between two runs of RUN_MS: the guest runs 50 %, 25 %, 10 % and 3 % of the time. */
static const unsigned hold_ms[THROTTLE_STEPS + 1] = { 0, 10, 30, 90, 290 };

static void wait_for(const struct throttle *throttle, unsigned ms)
{
	const struct itimerspec once = { .it_value = { .tv_nsec = (long)ms * 1000000 } };

	timerfd_settime(throttle->timer_fd, 0, &once, NULL);
}

static void release(struct throttle *throttle)
{
	if (throttle->has_parked && throttle->machine->running)
		vcpus_resume(&throttle->machine->vm);
	throttle->has_parked = false;
}

static void throttle_ticked(void *owner, int fd, uint32_t events)
{
	struct throttle *throttle = owner;
	unsigned step = atomic_load(&throttle->step);
	uint64_t count;

	(void)events;
	if (read(fd, &count, sizeof(count)) < 0)
		return;
	if (throttle->has_parked || !step || !throttle->machine->running) {
		release(throttle);
		wait_for(throttle, RUN_MS);
		return;
	}
	vcpus_pause(&throttle->machine->vm);
	throttle->has_parked = true;
	wait_for(throttle, hold_ms[step]);
}

int throttle_open(struct throttle *throttle, struct machine *machine, struct loop *loop, struct error *error)
{
	throttle->machine = machine;
	throttle->loop = loop;
	throttle->has_parked = false;
	atomic_store(&throttle->step, 0);
	throttle->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (throttle->timer_fd < 0)
		return error_system(error, errno, "timerfd");
	if (loop_add(loop, throttle->timer_fd, POLLIN, throttle_ticked, throttle, error) < 0) {
		close(throttle->timer_fd);
		throttle->timer_fd = -1;
		return -1;
	}
	wait_for(throttle, RUN_MS);
	return 0;
}

void throttle_close(struct throttle *throttle)
{
	if (throttle->timer_fd < 0)
		return;
	release(throttle);
	loop_remove(throttle->loop, throttle->timer_fd);
	close(throttle->timer_fd);
	throttle->timer_fd = -1;
}
