/* SPDX-License-Identifier: MIT */
/*
 * Checking a snapshot's RAM while the machine that was restored from it runs already: RAM is a private mapping of the file,
 * so that only a check reads all of it, and who waits for that waits for the disk. A thread does it, behind everybody
 * else.
 */
#ifndef LKVM_SNAPSHOT_CHECKER_H
#define LKVM_SNAPSHOT_CHECKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "snapshot/snapshot.h"
#include "util/err.h"
#include "util/loop.h"

struct checker {
	/* On the loop: it has ended. `result` is 0, or -1 with `error`. It is closed by then. */
	void (*done)(void *owner);
	void *owner;
	int result;
	struct error error;

	/* Private. */
	const struct snapshot *snapshot;
	struct loop *loop;
	int done_fd; /* -1: not open */
	pthread_t thread;
	atomic_bool cancelled;
};

/* Starts. `done` and `owner` are set, everything else is not; the snapshot stays open until it is closed. */
int checker_open(struct checker *checker, const struct snapshot *snapshot, struct loop *loop, struct error *error);

/* Whether it goes on. */
static inline bool checker_is_open(const struct checker *checker)
{
	return checker->done_fd >= 0;
}

/* Calls it off and waits for that; nobody is called. Also where nothing was opened, if done_fd says so. */
void checker_close(struct checker *checker);

#endif
