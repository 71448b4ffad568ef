/* SPDX-License-Identifier: MIT */
/* Shared by virtio/blk.c, which executes requests, and virtio/blk_open.c, which makes the device. */
#ifndef LKVM_VIRTIO_BLK_H
#define LKVM_VIRTIO_BLK_H

#include <limits.h>
#include <linux/virtio_blk.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "disk.h"
#include "virtio/virtio.h"

/* A discard is fast. Zeroes may have to be written, and a pause must not wait long for that. */
#define DISCARD_SECTORS (1u << 22)
#define DISCARD_SEGMENTS 32u
#define ZERO_SECTORS (1u << 15)
#define ZERO_SEGMENTS 1u

/* What a guest has read of its disk and must not change. */
struct block_state {
	uint64_t capacity; /* sectors */
	uint8_t serial[VIRTIO_BLK_ID_BYTES]; /* zero-padded, not terminated */
	uint8_t padding[4];
};

struct block {
	struct virtio_device device; /* first: free() of the device frees this */
	struct block_state state;
	struct disk disk;
	struct virtio_blk_config config;
	char path[PATH_MAX];
	char serial[VIRTIO_BLK_ID_BYTES + 1]; /* as text, for virtio_block_describe() */
	bool warned;                      /* an I/O error was logged; worker only */
	atomic_ulong read_bytes, written_bytes;
	atomic_bool changed;              /* a request that changes the disk was begun */
	_Atomic(const char *) written;    /* path of the file that such requests change */
};

extern const struct virtio_ops block_ops;

#endif
