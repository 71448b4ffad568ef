/* SPDX-License-Identifier: MIT */
/* Slows the guest down: its vCPUs run for some time and are parked for some time, in turn. */
#ifndef LKVM_SAVE_THROTTLE_H
#define LKVM_SAVE_THROTTLE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "machine/machine.h"
#include "util/err.h"
#include "util/loop.h"

#define THROTTLE_STEPS 4u /* at the last step the guest runs 3 % of the time */

struct throttle {
	struct machine *machine;
	struct loop *loop;
	int timer_fd; /* -1: closed */
	bool has_parked;/* it has parked the vCPUs */
	atomic_uint step; /* 0 (no throttling) to THROTTLE_STEPS; any thread may set it */
};

/* Call both on the loop's thread. A machine that is paused meanwhile stays paused. */
int throttle_open(struct throttle *throttle, struct machine *machine, struct loop *loop, struct error *error);
void throttle_close(struct throttle *throttle);

#endif
