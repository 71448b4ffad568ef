/* SPDX-License-Identifier: MIT */
/*
 * Whether a disk is as it was when a snapshot was saved or an overlay was made: its size, its modification time and a
 * digest of some of its blocks. docs/snapshot-format.md says which blocks. A copy with the same times matches, so inode
 * and change time do not count.
 */
#ifndef LKVM_VIRTIO_DISK_IDENTITY_H
#define LKVM_VIRTIO_DISK_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

#define DISK_IDENTITY_BLOCKS 149u /* of 4 KiB, that are sampled of a large disk */

struct disk_identity {
	bool known;        /* false: there is nothing to compare, and the rest is zero */
	uint64_t size;     /* bytes */
	int64_t modified;  /* nanoseconds since 1970; 0: a block device, which has no such time */
	uint64_t digest[2];
};

/*
 * Reads a regular file or a block device, about 600 KiB of it. Nobody may write it meanwhile. 0 or an errno value; `known` is
 * false after a failure. What was read shortly before is in the host's cache, and a second call is fast.
 */
int disk_identity_compute(int fd, struct disk_identity *identity);

/*
 * 0 if `found` matches `saved`, or if one of them is not known. Otherwise the sentence names `what` ("disk /d"), both times,
 * and `event`, after which it was not to be written ("the snapshot was saved"). Some copies keep a part of the
 * modification time only, and match too.
 */
int disk_identity_check(const struct disk_identity *saved, const struct disk_identity *found, const char *what,
			const char *event, struct error *error);

#endif
