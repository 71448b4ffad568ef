/* SPDX-License-Identifier: MIT */
/* Reads the host's clocks. */
#include "util/clock.h"

#include <time.h>

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

uint64_t monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t monotonic_ms(void)
{
	return monotonic_ns() / 1000000;
}

uint64_t realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}
