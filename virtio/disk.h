/* SPDX-License-Identifier: MIT */
/*
 * The disk of a virtio-blk device: a regular file or a block device of the host, with or without overlays. Offsets and
 * lengths are in bytes, multiples of 512, and inside of disk->size: the caller checks the guest's requests.
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
	int fd; /* the disk's own file, read-only if there is an overlay; -1: closed */
	struct disk_overlay *overlay; /* receives writes; NULL: none */
	bool read_only;
	bool is_device;
	uint64_t size;          /* whole sectors */
	uint64_t bytes;         /* of the file or device, with a part of a sector at the end */
	uint32_t physical_block; /* unit of writes of the host in bytes; a power of two, 512..64 KiB */
	atomic_int sync_error;   /* an errno value of disk_sync(), for the next disk_flush() */
};

/*
 * Opens and locks the disk: one writer, or any number of readers, among all processes. With an overlay, the
 * disk itself is only read. If a file does not have the identity in `config`, it is refused, or there is a
 * warning in `log` (may be NULL). An image that is not raw is refused, unless the configuration declares it raw
 * (virtio/disk_format.h).
 */
int disk_open(struct disk *disk, const struct virtio_block_config *config, const struct log *log, struct error *error);
void disk_close(struct disk *disk);

/* They return 0 or an errno value. Reading and writing change the iovecs. */
int disk_read(struct disk *disk, struct iovec *iov, unsigned count, uint64_t offset);
int disk_write(struct disk *disk, struct iovec *iov, unsigned count, uint64_t offset);
int disk_flush(struct disk *disk);

/* Writes the overlay's map, if there is an overlay. Call it before another process opens the files. */
int disk_record_map(struct disk *disk);

/* Makes what was written durable, and the map after disk_record_map(), and the files' times. Any thread. */
int disk_sync(struct disk *disk);

/* Sets the identities of its files in `config`. The files must not be written meanwhile. 0 or an errno value. */
int disk_identify(const struct disk *disk, struct virtio_block_config *config);

/*
 * Prepares a new overlay in `fd`, an empty file at `path`, which it takes over. The worker may use the disk
 * meanwhile. NULL with the error set, and nothing changed, if the file cannot have an overlay or the disk has
 * the maximum already.
 */
struct disk_overlay *disk_prepare(const struct disk *disk, int fd, const char *path, struct error *error);

/*
 * Adds the overlay to the disk. From now on only it is written. The worker is parked, and disk_record_map() was
 * called.
 */
void disk_switch(struct disk *disk, struct disk_overlay *overlay);

/* Frees the space. Reads of it are undefined afterwards. EOPNOTSUPP if the host cannot. */
int disk_discard(struct disk *disk, uint64_t offset, uint64_t length);

/* Zeroes the range. With `unmap`, its space may be freed. */
int disk_write_zeroes(struct disk *disk, uint64_t offset, uint64_t length, bool unmap);

#endif
