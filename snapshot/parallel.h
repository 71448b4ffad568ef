/* SPDX-License-Identifier: MIT */
/* Work on RAM, a piece after the other, on every processor at once. */
#ifndef LKVM_SNAPSHOT_PARALLEL_H
#define LKVM_SNAPSHOT_PARALLEL_H

#include <stdbool.h>

#include "snapshot/snapshot.h"

#define PIECE (1u << 20) /* bytes; the last one may have less */

_Static_assert(PIECE % FORMAT_RAM_CHUNK == 0 && PIECE % FORMAT_RAM_FRAME_LIMIT == 0, "chunks and frames are of one piece");

struct pieces {
	uint64_t total; /* bytes of RAM */
	size_t room;    /* bytes that each thread has for itself */
	bool in_order;  /* by one thread only */
	/* By any thread. */
	int (*work)(void *owner, uint64_t from, uint64_t end, uint8_t *room, struct error *error);
	void *owner;
	const struct snapshot_progress *progress; /* told by the calling thread; or NULL */
};

/* Fails with the first error, and when it is called off. */
int pieces_work(const struct pieces *pieces, struct error *error);

#endif
