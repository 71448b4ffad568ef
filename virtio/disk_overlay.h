/* SPDX-License-Identifier: MIT */
/*
 * Overlays of a disk. An overlay has the blocks that were written, in its file at their own offsets, and a map
 * of them. All other blocks are in what is below: another overlay or the disk. docs/snapshot-format.md
 * describes the file. This module has only the map; virtio/disk.c does the I/O. Offsets and lengths are in
 * bytes and inside of the disk. One thread at a time: a disk has one worker.
 */
#ifndef LKVM_VIRTIO_DISK_OVERLAY_H
#define LKVM_VIRTIO_DISK_OVERLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "virtio/disk_identity.h"

/* A page of the guest. File systems write pages, so a part of a block rarely has to be copied. */
#define DISK_OVERLAY_BLOCK 4096u

struct disk_overlay {
	int fd;           /* closed by disk_overlay_close() */
	char *path;       /* for messages */
	int base_fd;      /* the disk's; the caller closes it */
	struct disk_overlay *lower; /* the overlay below, closed with this one; NULL: the disk is below */
	struct disk_identity base; /* of what was below when the overlay was made; its size is the disk's */
	uint64_t size;    /* of the disk */
	uint8_t *written; /* the map: one bit a block */
	uint8_t *changed; /* for each DISK_OVERLAY_BLOCK bytes of the map: they have bits that the file does not have */
	uint64_t map_size; /* bytes of `written` */
	bool has_changed;
	bool begun;       /* the file has its footer */
	bool over_unsynced; /* what is below was written, and not flushed since */
	int failed;       /* errno value of a sync that failed, or 0 */
};

/*
 * Opens an overlay in `fd` for a disk of `size` bytes. After a failure `fd` stays the caller's. An empty file
 * is an overlay without blocks. Any other file that is no overlay of a disk of this size is refused. `base` is
 * known afterwards if the file has it. Before the first write (`begun`) the caller may set it, and the first
 * write stores it.
 */
struct disk_overlay *disk_overlay_open(int fd, const char *path, uint64_t size, struct error *error);

/* Sets what is below it. */
void disk_overlay_stack(struct disk_overlay *overlay, int base_fd, struct disk_overlay *lower);

/* The nearest overlay below it that has blocks. NULL: none, so the disk is its base. */
const struct disk_overlay *disk_overlay_find_base(const struct disk_overlay *overlay);

/*
 * Reserves space for the footer of an empty overlay, so that the first write does not fail because of the
 * file's size or a full file system. The file stays empty. 0, or -1 with the error set.
 */
int disk_overlay_reserve(const struct disk_overlay *overlay, struct error *error);

/* The number of overlays, with those below. NULL: 0. */
unsigned disk_overlay_depth(const struct disk_overlay *overlay);

/* Records the map first. NULL: nothing. */
void disk_overlay_close(struct disk_overlay *overlay);

/* Whether the byte at `offset` is in the overlay itself. Reduces *length to where that changes. */
bool disk_overlay_has(const struct disk_overlay *overlay, uint64_t offset, uint64_t *length);

/* The file with the byte at `offset`: of the overlay, of one below, or of the disk. Reduces *length as well. */
int disk_overlay_find_fd(const struct disk_overlay *overlay, uint64_t offset, uint64_t *length);

/*
 * Call them around a write to the overlay's file. Before it, disk_overlay_prepare() copies the rest of the
 * first and the last block from below: 0 or an errno value. After it, if it succeeded, disk_overlay_mark() adds
 * the blocks to the map.
 */
int disk_overlay_prepare(struct disk_overlay *overlay, uint64_t offset, uint64_t length);
void disk_overlay_mark(struct disk_overlay *overlay, uint64_t offset, uint64_t length);

/*
 * disk_overlay_record() writes the map to the file, after the data is durable. So if the host fails, each block
 * is either complete in the overlay or the one below. disk_overlay_flush() also makes the map durable, and
 * earlier writes to what is below. 0 or an errno value.
 */
int disk_overlay_record(struct disk_overlay *overlay);
int disk_overlay_flush(struct disk_overlay *overlay);

#endif
