/* SPDX-License-Identifier: MIT */
/*
 * Programs that the VMM runs beside itself. They read nothing of the guest's console, start with
 * default signals, and inherit no descriptor but those they are given (all of ours are close-on-exec).
 * The first line and the end of their output are kept for the message about a program that fails.
 */
#ifndef LKVM_UTIL_CHILD_H
#define LKVM_UTIL_CHILD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

#define CHILD_FD 3 /* where a child finds the descriptor that it is given */
#define CHILD_FIRST 100  /* bytes of its output that are kept: the first ones */
#define CHILD_LAST 250   /* and the last ones */
#define CHILD_LINE (CHILD_FIRST + CHILD_LAST + sizeof(" ... "))

struct child {
	const char *name;
	pid_t pid;     /* -1: it was not started, or has been waited for */
	int pid_fd;
	int output_fd; /* reads the pipe of its output */
	int write_fd;  /* the other end, kept open: the pipe has a writer until child_stop() */
	uint64_t printed; /* bytes of its output so far */
	char first[CHILD_FIRST], last[CHILD_LAST];
	char line[CHILD_LINE];
};

enum child_state {
	CHILD_RUNS,
	CHILD_DONE,   /* it exited with status 0 */
	CHILD_FAILED, /* the error has its status and its output */
};

#define CHILD_NONE { .pid = -1, .pid_fd = -1, .output_fd = -1, .write_fd = -1 }

/*
 * `arguments` ends with NULL. The first is a path, or a name that is looked up in PATH; it must live as long as the
 * child. `fd` may be -1. The caller must call child_stop() after success.
 */
int child_start(struct child *child, const char *const arguments[], int fd, struct error *error);

/* Waits until it ends, prints something or the time is over (-1: no limit), and reads its output. */
enum child_state child_wait(struct child *child, int milliseconds, struct error *error);

/* Its output so far as one printable line. Where that is too long: its first line, " ... " and its end. */
const char *child_output(struct child *child);

/* For when nobody calls child_wait() any more: further output is dropped once the pipe is full. */
void child_detach_output(struct child *child);

/*
 * Runs it to its end; fails unless it exits with 0. Programs that it leaves running may write to the pipe until
 * child_stop(), which the caller must call either way.
 */
int child_run(struct child *child, const char *const arguments[], struct error *error);

/* Kills it if it still runs, waits for it, and closes its descriptors. May be called twice, and on CHILD_NONE. */
void child_stop(struct child *child);

#endif
