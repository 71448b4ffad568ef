/* SPDX-License-Identifier: MIT */
/* The host's clocks, each as one number. */
#ifndef LKVM_UTIL_CLOCK_H
#define LKVM_UTIL_CLOCK_H

#include <stdint.h>

/* Nanoseconds and milliseconds since the host booted, without the time it was suspended (CLOCK_MONOTONIC). */
uint64_t monotonic_ns(void);
uint64_t monotonic_ms(void);

/* Nanoseconds since the epoch (CLOCK_REALTIME). */
uint64_t realtime_ns(void);

#endif
