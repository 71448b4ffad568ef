/* SPDX-License-Identifier: MIT */
/* Slowing the guest down: its vCPUs run for a while, and are parked for a while, as long as somebody wants that. */
#ifndef LKVM_SAVE_THROTTLE_H
#define LKVM_SAVE_THROTTLE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "machine/machine.h"
#include "util/err.h"
#include "util/loop.h"

#define THROTTLE_STEPS 4u /* at the last the guest runs 3 % of the time */

struct throttle {
	struct machine *machine;
	struct loop *loop;
	int timer_fd; /* -1: closed */
	bool holds;   /* the vCPUs are parked for its sake */
	atomic_uint step; /* 0 (it runs as it likes) to THROTTLE_STEPS; set by any thread */
};

/* Everything on the loop's thread. Whoever pauses the machine meanwhile has it paused. */
int throttle_open(struct throttle *throttle, struct machine *machine, struct loop *loop, struct error *error);
void throttle_close(struct throttle *throttle);

#endif
