/* SPDX-License-Identifier: MIT */
/*
 * Checks a snapshot's RAM while the machine that was restored from it runs. RAM is a private mapping of the file, and only a
 * check reads all of it. Waiting for the check would mean waiting for the disk, so a thread of the lowest priority runs it.
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
	/* Called on the loop after the check has ended and was closed. `result` is 0, or -1 with `error`. */
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

/*
 * Starts the check. The caller has set `done` and `owner`; other members need no value. The snapshot must stay open until the
 * checker is closed. If RAM is damaged, the thread declares guest memory lost (memory/memory_loss.h).
 */
int checker_open(struct checker *checker, const struct snapshot *snapshot, struct loop *loop, struct error *error);

/* Whether the check still runs, or has ended and `done` was not called yet. */
static inline bool checker_is_open(const struct checker *checker)
{
	return checker->done_fd >= 0;
}

/* Cancels the check and waits for its thread. `done` is not called. Does nothing if done_fd is -1. */
void checker_close(struct checker *checker);

#endif
