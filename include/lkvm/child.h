/* SPDX-License-Identifier: MIT */
/*
 * Programs that the VMM runs beside itself. They read nothing of the guest's console, start with
 * default signals, and inherit no descriptor but those they are given (all of ours are close-on-exec).
 */
#ifndef LKVM_CHILD_H
#define LKVM_CHILD_H

#include <sys/types.h>

#include "lkvm/err.h"

#define CHILD_FD 3 /* where a child finds the descriptor that it is given */

/*
 * `arguments` ends with NULL; the first is a path, or a name looked up in PATH. `fd` may be -1. Process
 * id or -1.
 */
pid_t child_start(const char *const arguments[], int fd, struct error *error);

/* Runs it to its end; fails unless it exits with 0. */
int child_run(const char *const arguments[], struct error *error);

/* Ends it, if it has not by itself, and waits for it. */
void child_stop(pid_t child);

#endif
