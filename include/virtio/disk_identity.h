/* SPDX-License-Identifier: MIT */
/*
 * The identity of a disk: its size, its modification time and a digest of some of its blocks, to detect that it
 * has changed since a snapshot was saved or an overlay was made. docs/snapshot-format.md defines the blocks.
 * Inode and change time do not count, so a copy with the same modification time matches.
 */
#ifndef LKVM_VIRTIO_DISK_IDENTITY_H
#define LKVM_VIRTIO_DISK_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

#define DISK_IDENTITY_BLOCKS 149u /* sampled blocks of 4 KiB of a large disk */

struct disk_identity {
	bool known;        /* false: nothing to compare; all else is zero */
	uint64_t size;     /* bytes */
	int64_t modified;  /* nanoseconds since 1970; 0: a block device, which has no modification time */
	uint64_t digest[2];
};

/*
 * Computes the identity of a regular file or a block device. It reads about 600 KiB, which must not be written
 * meanwhile. A second call is fast, because the host has cached the blocks. 0, or an errno value with `known`
 * false.
 */
int disk_identity_compute(int fd, struct disk_identity *identity);

/*
 * 0 if `found` matches `saved`, or if one of them is not known. Otherwise the error names `what` ("disk /d"),
 * both times, and the `event` after which it must not be written ("the snapshot was saved"). A modification
 * time of lower resolution matches, as some copies have it.
 */
int disk_identity_check(const struct disk_identity *saved, const struct disk_identity *found, const char *what,
			const char *event, struct error *error);

#endif
