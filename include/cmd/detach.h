/* SPDX-License-Identifier: MIT */
/* `lkvm run --detach`: starting in the sight of the user, running out of it. */
#ifndef LKVM_CMD_DETACH_H
#define LKVM_CMD_DETACH_H

#include <stdbool.h>
#include <sys/types.h>

#include "util/err.h"

struct detach {
	int output_fd; /* where the guest's console goes; -1: nowhere */
	int ready_fd;  /* where the parent waits for detach_finish(); -1 without --detach */
};

/*
 * Forks. In the child: 0, with a session of its own, standard input from /dev/null, and no output if that is
 * a terminal. In the parent: the child's pid once it runs or has ended, and in `status` 0 or the exit status
 * to end with. -1 where nothing was started. No thread may have been started before.
 */
pid_t detach_start(struct detach *detach, int *status, struct error *error);

/*
 * Tells the parent that the guest runs, and lets go of the terminal. False where the parent is gone: the user
 * gave up, and the guest must not stay behind unseen. Does nothing, and is true, without --detach.
 */
bool detach_finish(struct detach *detach);

#endif
