/* SPDX-License-Identifier: MIT */
/* RAM piece for piece, on every processor at once. */
#ifndef LKVM_SNAPSHOT_PIECES_H
#define LKVM_SNAPSHOT_PIECES_H

#include <stddef.h>
#include <stdint.h>

#include "lkvm/snapshot.h"

#define PIECE (1u << 20) /* what a thread takes at a time */

_Static_assert(PIECE % FORMAT_RAM_CHUNK == 0 && PIECE % FORMAT_RAM_FRAME_LIMIT == 0, "chunks and frames are of one piece");

/*
 * Calls `work` for [0, total), each [from, end) of it once, by any thread; `bytes` is room for a piece, of that thread's own.
 * Returns when all is done, or after the first failure, which it is told. `progress` is told by the calling thread.
 */
int pieces_work(uint64_t total, const struct snapshot_progress *progress,
		int (*work)(void *owner, uint64_t from, uint64_t end, uint8_t *bytes, struct error *error), void *owner,
		struct error *error);

#endif
