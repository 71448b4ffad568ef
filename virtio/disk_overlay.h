/* SPDX-License-Identifier: MIT */
/*
 * The map of an overlay: which blocks of a disk were written, and so are in the overlay's file at their own offsets; all
 * others are in what is under it: another overlay or the disk. docs/snapshot-format.md has the file. Of the disk's I/O there is here only what the map
 * needs. Offsets and lengths are in bytes and inside the disk. One thread at a time: a disk has one worker.
 */
#ifndef LKVM_VIRTIO_DISK_OVERLAY_H
#define LKVM_VIRTIO_DISK_OVERLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "virtio/disk_identity.h"

/* A page of the guest: what file systems write, so that hardly ever a part of a block must be copied. */
#define DISK_OVERLAY_BLOCK 4096u

struct disk_overlay {
	int fd;           /* closed with it */
	char *path;       /* for messages */
	int base_fd;      /* the disk's, the caller's */
	struct disk_overlay *lower; /* the overlay under it, which is closed with it; NULL: the disk is under it */
	struct disk_identity base; /* how what is under it was when it was made; its size is the disk's */
	uint64_t size;    /* of the disk */
	uint8_t *written; /* a bit a block */
	uint8_t *changed; /* for each DISK_OVERLAY_BLOCK bytes of these, whether they have bits that the file has not */
	uint64_t map_size; /* bytes of `written` */
	bool has_changed;
	bool begun;       /* the file has its end, and with that its size */
	bool over_unsynced; /* what is under it was written, and not flushed since */
	int failed;       /* errno value of a sync that failed, or 0 */
};

/*
 * Over a disk of `size` bytes, or over `lower`; both are left alone after a failure, as is `fd`. An empty file is an overlay
 * without a block. What is no overlay of a disk of this size is refused. `base` is known afterwards if the file has it. As
 * long as nothing was written (`begun`), the caller may set it, and the first write records it.
 */
struct disk_overlay *disk_overlay_open(int fd, const char *path, uint64_t size, struct error *error);

/* Sets what is under it. */
void disk_overlay_stack(struct disk_overlay *overlay, int base_fd, struct disk_overlay *lower);

/* The nearest overlay under it that has a block; NULL: what it has not is the disk's. */
const struct disk_overlay *disk_overlay_find_base(const struct disk_overlay *overlay);

/*
 * Whether the file system takes the end of an empty overlay, so that the first write does not fail for the disk's size or want
 * of space. The file stays empty. Sets an error that says why not.
 */
int disk_overlay_reserve(const struct disk_overlay *overlay, struct error *error);

/* How many there are: with those under it. NULL is none. */
unsigned disk_overlay_depth(const struct disk_overlay *overlay);

/* Records first. NULL is none. */
void disk_overlay_close(struct disk_overlay *overlay);

/* Whether what is at `offset` is in the overlay itself. Cuts *length down to where that changes. */
bool disk_overlay_has(const struct disk_overlay *overlay, uint64_t offset, uint64_t *length);

/* The file that has what is at `offset`: of the overlay, of one under it, or of the disk. Cuts *length down as well. */
int disk_overlay_find_fd(const struct disk_overlay *overlay, uint64_t offset, uint64_t *length);

/*
 * Around a write to the overlay's file: before, what the range leaves of its first and last block is copied from what is under
 * it; after, and only if it succeeded, its blocks are the overlay's. 0 or an errno value.
 */
int disk_overlay_prepare(struct disk_overlay *overlay, uint64_t offset, uint64_t length);
void disk_overlay_mark(struct disk_overlay *overlay, uint64_t offset, uint64_t length);

/*
 * Puts the map into the file, once the data is on the disk: so whenever the host dies, a block is whole there or that of what
 * is under it. A flush has the map on the disk, too, and what was written to what is under it before. 0 or an errno value.
 */
int disk_overlay_record(struct disk_overlay *overlay);
int disk_overlay_flush(struct disk_overlay *overlay);

#endif
