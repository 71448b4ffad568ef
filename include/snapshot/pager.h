/* SPDX-License-Identifier: MIT */
/*
 * Loading RAM from a compressed snapshot while the machine runs already. One thread owns the userfaultfd: it brings what
 * somebody waits for, and what a second one, last in line for the processor, reads ahead, the snapshot's working set first. All
 * of it is checked on the way.
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
	int done_fd; /* -1: not open. Readable once it has ended: all is loaded, or `result` is -1 */
	atomic_int result;  /* -1 once `error` is filled in */
	struct error error; /* what is not loaded reads as zeroes then: only where no guest runs */

	/* Private. */
	const struct snapshot *snapshot;
	struct ram ram; /* a copy: where it is */
	struct snapshot_unloaded unloaded;
	bool check;
	int fault_fd, ahead_fd; /* ahead_fd: the reader has something for the server, or it is called off */
	uint64_t page, block; /* bytes; `block` is what is read at once */
	atomic_bool *loaded;  /* one a block; the server's to write */
	atomic_bool *asked;   /* the same: somebody waited for some of it */
	uint8_t *removed;     /* a bit a page, the server's: it was given back, what it was is not to come */
	uint8_t *bytes;       /* a block, the server's */
	pthread_t server, reader;
	atomic_bool cancelled;

	pthread_mutex_t lock; /* what follows */
	pthread_cond_t taken;
	enum { AHEAD_NONE, AHEAD_BLOCK, AHEAD_END, AHEAD_FAILED } ahead;
	uint8_t *ahead_bytes;
	uint64_t ahead_block;
	bool ahead_zero; /* nothing but zeroes */
	struct error ahead_error;
};

/*
 * Starts; with `check`, checksums are compared. The snapshot stays open and the RAM where it is until it is closed; nobody
 * may have touched the RAM. Where it cannot load a range, guest memory is lost (memory/memory_loss.h): it releases nobody
 * who waits. On success `unloaded` is moved. On failure (this host has no userfaultfd for us, say) nothing is
 * open, and nothing is loaded yet.
 */
int pager_open(struct pager *pager, const struct snapshot *snapshot, const struct ram *ram, struct snapshot_unloaded *unloaded,
	       bool check, struct error *error);

/* Whether it was opened and not closed: it may have ended. */
static inline bool pager_is_open(const struct pager *pager)
{
	return pager->done_fd >= 0;
}

/* While it is open: whether it brings what is `offset` bytes behind RAM's beginning; whether somebody waited for that. */
bool pager_brings(const struct pager *pager, uint64_t offset);
bool pager_was_asked(const struct pager *pager, uint64_t offset);

/* Calls it off; what is not loaded reads as zeroes. Also where nothing was opened, if done_fd says so. */
void pager_close(struct pager *pager);

#endif
