/* SPDX-License-Identifier: MIT */
/*
 * What stands behind a virtio-blk device: a regular file or a block device of the host, with an overlay over it or
 * without. Offsets and lengths are in
 * bytes, multiples of 512, and inside disk->size: the caller checks what the guest asked for.
 */
#ifndef LKVM_VIRTIO_DISK_H
#define LKVM_VIRTIO_DISK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "disk_overlay.h"
#include "util/err.h"
#include "util/log.h"
#include "virtio/virtio.h"

#define DISK_SECTOR 512u

struct disk {
	int fd; /* the disk's own file, which is only read if there is an overlay; -1: closed */
	struct disk_overlay *overlay; /* where writes go; NULL: none */
	bool read_only;
	bool is_device;
	uint64_t size;          /* whole sectors */
	uint64_t bytes;         /* of the file or device, with what is behind the last sector */
	uint32_t physical_block; /* bytes that the host writes at once; a power of two, 512..64 KiB */
	atomic_int sync_error;   /* an errno value of disk_sync(), for the next disk_flush() */
};

/*
 * Opens and locks: one writer, or any number of readers, on any descriptor of any process. Who has an overlay is a reader
 * of the disk. A file that has not the identity in `config` is refused, or is a warning in `log` (may be NULL). An image
 * that is not raw is refused unless the configuration says that it is (virtio/disk_format.h).
 */
int disk_open(struct disk *disk, const struct virtio_block_config *config, const struct log *log, struct error *error);
void disk_close(struct disk *disk);

/* These return 0 or an errno value. Reading and writing change the iovecs as they go. */
int disk_read(struct disk *disk, struct iovec *iov, unsigned count, uint64_t offset);
int disk_write(struct disk *disk, struct iovec *iov, unsigned count, uint64_t offset);
int disk_flush(struct disk *disk);

/* To be called before another process may open it: its files hold all that was written then. Without an overlay they do. */
int disk_record_map(struct disk *disk);

/* The files keep what was written and settled, and their times, when the host loses power. By any thread. */
int disk_sync(struct disk *disk);

/* Sets the identities of its files in `config`; nothing is written to these meanwhile. 0 or an errno value. */
int disk_identify(const struct disk *disk, struct virtio_block_config *config);

/*
 * Makes an overlay ready to be put over the disk, which its worker may be using: `fd`, an empty file at `path` that becomes
 * the overlay's. NULL, and nothing has changed, if it is no place for one, or if the disk has as many as it can.
 */
struct disk_overlay *disk_prepare(const struct disk *disk, int fd, const char *path, struct error *error);

/* Puts it over the disk, whose worker is parked and whose files are settled: from now on only the overlay is written. */
void disk_switch(struct disk *disk, struct disk_overlay *overlay);

/* Frees the space; what is read there afterwards is undefined. EOPNOTSUPP where the host cannot. */
int disk_discard(struct disk *disk, uint64_t offset, uint64_t length);

/* The range reads as zeroes afterwards; its space may be freed if `unmap`. */
int disk_write_zeroes(struct disk *disk, uint64_t offset, uint64_t length, bool unmap);

#endif
