/* SPDX-License-Identifier: MIT */
/*
 * Background save: copies RAM as it was at one point in time, while the guest runs. The pause write-protects all of RAM
 * (userfaultfd) and copies nothing. A write to a page that is not yet in the file waits until its 64 KiB are in the file. vCPUs,
 * devices and the kernel wait alike. The thread copies everything else in order.
 */
#ifndef LKVM_SAVE_BACKGROUND_H
#define LKVM_SAVE_BACKGROUND_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "memory/ram.h"
#include "snapshot/snapshot.h"
#include "util/err.h"

struct background {
	int fault_fd;  /* -1: not open */
	uint64_t held; /* writes that waited */

	/* Private. */
	struct ram *ram;
	struct snapshot_writer *writer;
	int go_fd;
	uint64_t unit;     /* bytes that are copied and unprotected for one write */
	uint64_t released; /* bytes from the start of RAM that are no longer protected */
	pthread_mutex_t lock; /* of the fields below and of all that the thread uses, between the functions below */
	bool frozen;
	uint8_t *units;
	uint8_t *blocks;   /* the result of snapshot_classify() for each */
};

/*
 * Fails if this host or this machine cannot do it: the kernel has no write-protecting userfaultfd for this process, RAM is a
 * mapping of a file or still loading, or its pages are too large to wait for one.
 */
int background_open(struct background *background, struct ram *ram, struct snapshot_writer *writer, struct error *error);

/*
 * Protects RAM while the machine runs. Call it after snapshot_begin(), on a thread that does not write RAM. From now on a write
 * to RAM may wait until this thread calls background_copy(). After a failure nothing waits.
 */
int background_prepare(struct background *background, struct error *error);

/* Sets the point in time. Main thread; the machine is paused and the other thread is in background_copy(). */
int background_freeze(struct background *background, struct error *error);

/* Until background_proceed(), copies only what a write waits for; then all of RAM. When it returns, nothing waits. */
int background_copy(struct background *background, struct error *error);

/* Call it after the machine has resumed. Without a freeze before it, the save must have been cancelled. */
void background_proceed(struct background *background);

/* Call it when no thread uses it any more. Does nothing if fault_fd is -1. */
void background_close(struct background *background);

static inline bool background_is_open(const struct background *background)
{
	return background->fault_fd >= 0;
}

#endif
