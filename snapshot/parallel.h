/* SPDX-License-Identifier: MIT */
/* Runs a function on each slice of RAM, on every processor at once. */
#ifndef LKVM_SNAPSHOT_PARALLEL_H
#define LKVM_SNAPSHOT_PARALLEL_H

#include <stdbool.h>

#include "snapshot/snapshot.h"

#define PARALLEL_SLICE (1u << 20) /* bytes of a slice; the last one may have fewer */

_Static_assert(PARALLEL_SLICE % FORMAT_RAM_CHUNK == 0 && PARALLEL_SLICE % FORMAT_RAM_FRAME_LIMIT == 0,
	       "a slice is whole chunks and whole frames");

struct parallel_job {
	uint64_t total;     /* bytes of RAM */
	size_t buffer_size; /* bytes of the buffer that each thread has */
	bool in_order;      /* work on the slices in order, on one thread */
	/* Called on any thread, for RAM at [from, end). Returns 0 or -1. */
	int (*work)(void *owner, uint64_t from, uint64_t end, uint8_t *buffer, struct error *error);
	void *owner;
	const struct snapshot_progress *progress; /* called on the calling thread; or NULL */
};

/* Works on all slices. Fails with the first error, or with ECANCELED if `progress` cancels it. */
int parallel_run(const struct parallel_job *job, struct error *error);

#endif
