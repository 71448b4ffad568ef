/* SPDX-License-Identifier: MIT */
/*
 * RAM as it was at one point in time, copied while the guest goes on: in the pause all of it is write-protected (userfaultfd),
 * which copies nothing. Who writes a page that is not in the file yet, vCPU, device or the kernel, waits for as long as it takes
 * to write 64 KiB to the file; everything else is copied in order meanwhile.
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
	uint64_t held; /* writes that had to wait */

	/* Private. */
	struct ram *ram;
	struct snapshot_writer *writer;
	int go_fd;
	uint64_t unit;     /* bytes that are copied and let go for one write */
	uint64_t released; /* bytes from RAM's beginning on that are not watched any more */
	pthread_mutex_t lock; /* what follows, and whatever else the thread works with, from one function below to the next */
	bool frozen;
	uint8_t *units;
	uint8_t *blocks;   /* what snapshot_look() said of each */
};

/*
 * Fails where it cannot be done here: the kernel has no write-protecting userfaultfd for us, RAM is a mapping of a file or is
 * being loaded, its pages are too large to have somebody wait for one.
 */
int background_open(struct background *background, struct ram *ram, struct snapshot_writer *writer, struct error *error);

/*
 * By a thread that writes no RAM, the writer having begun, while the machine runs; who writes RAM from now on may have to wait
 * until that thread calls background_copy(). Failed, nobody waits.
 */
int background_prepare(struct background *background, struct error *error);

/* This is the point in time: by the main thread, with the machine paused and background_copy() at work. */
int background_freeze(struct background *background, struct error *error);

/* Until background_proceed(), only what somebody waits for; then all of RAM. Failed or not, nobody waits when it returns. */
int background_copy(struct background *background, struct error *error);

/* Once the machine runs again, which comes first. Without a freeze before, it must have been called off. */
void background_proceed(struct background *background);

/* With no thread in it any more. Also where nothing was opened, if fault_fd says so, and where nothing was copied. */
void background_close(struct background *background);

static inline bool background_is_open(const struct background *background)
{
	return background->fault_fd >= 0;
}

#endif
