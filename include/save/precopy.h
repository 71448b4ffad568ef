/* SPDX-License-Identifier: MIT */
/*
 * Copying RAM while the guest goes on: all of it, then what was written meanwhile, and again, until the rest can be copied
 * within a pause that the user allows. What was written, the machine keeps account of.
 */
#ifndef LKVM_SAVE_PRECOPY_H
#define LKVM_SAVE_PRECOPY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "machine/machine.h"
#include "snapshot/snapshot.h"
#include "util/err.h"

struct precopy {
	struct machine *machine;
	struct snapshot_writer *writer;
	uint64_t max_pause; /* nanoseconds; 0: one round will do */
	uint16_t *dirty;    /* NULL while closed; else as dirty_log_fetch() has it: written, and not yet in the file */
	uint64_t chunk_count;
	bool has_map;       /* `dirty` is all that can be other than in the file or its base */
	unsigned rounds;
	unsigned throttle_step; /* rounds that were hardly shorter than the one before */
	atomic_uint *throttle; /* struct throttle's step, or NULL */
};

/* By the main thread: begins to keep account. `max_pause` and `throttle` are set, and `writer` has its base, if any. */
int precopy_open(struct precopy *precopy, struct machine *machine, struct snapshot_writer *writer, struct error *error);
void precopy_close(struct precopy *precopy);

/* By any thread, the writer having begun. What is left then is in `dirty`. */
int precopy_copy(struct precopy *precopy, struct error *error);

/* The machine is paused, and its interrupt tables are in RAM: `dirty` is all that snapshot_finish() has to look at. */
int precopy_finish(struct precopy *precopy, bool goes_on, struct error *error);

#endif
