/* SPDX-License-Identifier: MIT */
/* --detach: errors of the start are reported to the user, then the VM runs in the background. */
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
 * Forks. In the child it returns 0: the child has a session of its own, standard input from /dev/null, and no output if that is
 * a terminal. In the parent it returns the child's pid once the guest runs or the child has ended; `status` is 0 or the exit
 * status to end with. Returns -1 if nothing was started. No thread may have been started before.
 */
pid_t detach_start(struct detach *detach, int *status, struct error *error);

/*
 * Notifies the parent that the guest runs, and closes the terminal. Returns false if the parent has ended: the user has given up,
 * and the guest must end, too. Without --detach it does nothing and returns true.
 */
bool detach_finish(struct detach *detach);

#endif
