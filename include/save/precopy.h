/* SPDX-License-Identifier: MIT */
/*
 * Precopy: copies RAM while the guest runs. The first round copies all of it, each further round the pages written meanwhile,
 * until the rest fits into the pause that the user allows. machine_track() tracks the writes.
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
	uint64_t max_pause; /* nanoseconds; 0: one round only */
	uint16_t *dirty;    /* NULL while closed; else pages written but not yet in the file, as in dirty_log_fetch() */
	uint64_t chunk_count;
	bool has_map;       /* `dirty` has all pages that may differ from the file or its base */
	unsigned rounds;
	unsigned throttle_step; /* incremented by each round that is hardly shorter than the last one */
	atomic_uint *throttle; /* the step of struct throttle, or NULL */
};

/* Main thread: starts to track writes. The caller has set `max_pause` and `throttle`, and the base of `writer`, if any. */
int precopy_open(struct precopy *precopy, struct machine *machine, struct snapshot_writer *writer, struct error *error);
void precopy_close(struct precopy *precopy);

/* Any thread, after snapshot_begin(). On return `dirty` has the pages that are left. */
int precopy_copy(struct precopy *precopy, struct error *error);

/* Call it with the machine paused and its interrupt tables in RAM. On return `dirty` has all pages that the pause must copy. */
int precopy_finish(struct precopy *precopy, bool goes_on, struct error *error);

#endif
