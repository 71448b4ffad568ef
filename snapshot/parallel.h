/* SPDX-License-Identifier: MIT */
/* Runs a function on each piece of RAM, on every processor at once. */
#ifndef LKVM_SNAPSHOT_PARALLEL_H
#define LKVM_SNAPSHOT_PARALLEL_H

#include <stdbool.h>

#include "snapshot/snapshot.h"

#define PIECE (1u << 20) /* bytes of a piece; the last one may have fewer */

_Static_assert(PIECE % FORMAT_RAM_CHUNK == 0 && PIECE % FORMAT_RAM_FRAME_LIMIT == 0, "chunks and frames are of one piece");

struct pieces {
	uint64_t total; /* bytes of RAM */
	size_t room;    /* bytes of the buffer that each thread has */
	bool in_order;  /* work on the pieces in order, on one thread */
	/* Called on any thread, for RAM at [from, end). Returns 0 or -1. */
	int (*work)(void *owner, uint64_t from, uint64_t end, uint8_t *room, struct error *error);
	void *owner;
	const struct snapshot_progress *progress; /* called on the calling thread; or NULL */
};

/* Works on all pieces. Fails with the first error, or with ECANCELED if `progress` cancels it. */
int pieces_work(const struct pieces *pieces, struct error *error);

#endif
