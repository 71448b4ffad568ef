/* SPDX-License-Identifier: MIT */
/*
 * Loads RAM from a compressed snapshot while the machine runs. One thread, the server, owns the userfaultfd and fills pages. It
 * loads each block that an access waits for. A second thread, the reader, has the lowest priority. It reads ahead, the
 * snapshot's working set first, and passes the blocks to the server. Checksums are compared on request.
 */
#ifndef LKVM_SNAPSHOT_PAGER_H
#define LKVM_SNAPSHOT_PAGER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "memory/ram.h"
#include "snapshot/snapshot.h"
#include "util/err.h"

struct pager {
	int done_fd; /* -1: not open. Becomes readable when loading ends: everything is loaded, or `result` is -1 */
	atomic_int result;  /* -1 after `error` was filled in */
	struct error error; /* then ranges that are not loaded read as zeroes, which happens only while no guest runs */

	/* Private. */
	const struct snapshot *snapshot;
	struct ram ram; /* a copy, for its addresses */
	struct snapshot_unloaded unloaded;
	bool check;
	int fault_fd, ahead_fd; /* ahead_fd wakes the server: the reader has a result, or loading is cancelled */
	uint64_t page, block; /* bytes; `block` is the size of one read */
	atomic_bool *loaded;  /* one per block; only the server writes it */
	atomic_bool *asked;   /* the same: an access has waited for a page of this block */
	uint8_t *removed;     /* one bit per page, the server's: it was discarded, and its old contents must not return */
	uint8_t *bytes;       /* room for one block, the server's */
	pthread_t server, reader;
	atomic_bool cancelled;

	pthread_mutex_t lock; /* protects the members below */
	pthread_cond_t taken;
	enum { AHEAD_NONE, AHEAD_BLOCK, AHEAD_END, AHEAD_FAILED } ahead;
	uint8_t *ahead_bytes;
	uint64_t ahead_block;
	bool ahead_zero; /* the block has only zeroes */
	struct error ahead_error;
};

/*
 * Starts to load `unloaded`. With `check`, checksums are compared. The snapshot must stay open and the RAM must stay mapped
 * until the pager is closed. The RAM must not have been accessed before. If a range cannot be loaded, guest memory is lost
 * (memory/memory_loss.h), and accesses that wait for it are not released. On success the pager takes over the list, and
 * `unloaded` becomes empty. On failure (for example without access to userfaultfd) nothing is open, and nothing is loaded.
 */
int pager_open(struct pager *pager, const struct snapshot *snapshot, const struct ram *ram, struct snapshot_unloaded *unloaded,
	       bool check, struct error *error);

/* Whether the pager was opened and not closed. Its threads may have ended. */
static inline bool pager_is_open(const struct pager *pager)
{
	return pager->done_fd >= 0;
}

/* While the pager is open: whether it loads the block at `offset` in RAM; whether an access has waited for that block. */
bool pager_brings(const struct pager *pager, uint64_t offset);
bool pager_was_asked(const struct pager *pager, uint64_t offset);

/* Cancels loading and waits for both threads. Ranges that are not loaded read as zeroes. Does nothing if done_fd is -1. */
void pager_close(struct pager *pager);

#endif
