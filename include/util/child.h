/* SPDX-License-Identifier: MIT */
/*
 * Programs that the VMM runs as child processes. They cannot read the guest's console, and start with default signals. They
 * inherit only the descriptors that they are given, as all others are close-on-exec. The first line and the end of their
 * output are kept for the message about a program that fails.
 */
#ifndef LKVM_UTIL_CHILD_H
#define LKVM_UTIL_CHILD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

#define CHILD_FD 3 /* the number, in the child, of the descriptor that it is given */
#define CHILD_FIRST 100  /* the number of first bytes of its output that are kept */
#define CHILD_LAST 250   /* the number of last bytes that are kept */
#define CHILD_LINE (CHILD_FIRST + CHILD_LAST + sizeof(" ... "))

struct child {
	const char *name;
	pid_t pid;     /* -1: the child was not started, or has been waited for */
	int pid_fd;
	int output_fd; /* the read end of the pipe for its output */
	int write_fd;  /* the write end, kept open, so that the pipe has a writer until child_stop() */
	uint64_t printed; /* bytes of its output so far */
	char first[CHILD_FIRST], last[CHILD_LAST];
	char line[CHILD_LINE];
};

enum child_state {
	CHILD_RUNS,
	CHILD_DONE,   /* exited with status 0 */
	CHILD_FAILED, /* exited otherwise; the error has its status and its output */
};

#define CHILD_NONE { .pid = -1, .pid_fd = -1, .output_fd = -1, .write_fd = -1 }

/*
 * Starts a program. `arguments` ends with NULL. The first is a path, or a name that is searched in PATH. It must stay valid
 * as long as the child. `fd` becomes CHILD_FD in the child; it may be -1. After success the caller must call child_stop().
 */
int child_start(struct child *child, const char *const arguments[], int fd, struct error *error);

/* Waits until the child ends or prints something, or the time has passed (-1: no limit). Then reads its output. */
enum child_state child_wait(struct child *child, int milliseconds, struct error *error);

/* Returns the output so far as one printable line. If it is too long: its first line, " ... " and its end. */
const char *child_output(struct child *child);

/* Call this if child_wait() will not be called again. Further output is dropped when the pipe is full. */
void child_detach_output(struct child *child);

/*
 * Runs a program to its end. Fails unless it exits with status 0. Programs that it leaves running may write to the pipe until
 * child_stop(). The caller must call child_stop() after success and after failure.
 */
int child_run(struct child *child, const char *const arguments[], struct error *error);

/* Kills the child if it still runs, waits for it, and closes its descriptors. It may be called twice, and on CHILD_NONE. */
void child_stop(struct child *child);

#endif
