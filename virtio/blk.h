/* SPDX-License-Identifier: MIT */
/* Shared by virtio/blk.c, which serves requests, and virtio/blk_open.c, which makes the device. */
#ifndef LKVM_VIRTIO_BLK_H
#define LKVM_VIRTIO_BLK_H

#include <limits.h>
#include <linux/virtio_blk.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "disk.h"
#include "virtio/virtio.h"

/* A discard frees space fast; zeroes may have to be written, and a pause must not wait long for that. */
#define DISCARD_SECTORS (1u << 22)
#define DISCARD_SEGMENTS 32u
#define ZERO_SECTORS (1u << 15)
#define ZERO_SEGMENTS 1u

/* What a guest remembers of its disk, and would be lost with if it changed behind its back. */
struct block_state {
	uint64_t capacity; /* sectors */
	uint8_t serial[VIRTIO_BLK_ID_BYTES]; /* zero-padded, not terminated */
	uint8_t padding[4];
};

struct block {
	struct virtio_device device; /* first: virtio_close() and free() are all that an owner does with it */
	struct block_state state;
	struct disk disk;
	struct virtio_blk_config config;
	char path[PATH_MAX];
	char serial[VIRTIO_BLK_ID_BYTES + 1]; /* as text, for virtio_block_describe() */
	bool warned;                  /* an I/O error was logged; worker only */
	atomic_ulong read_bytes, written_bytes;
	atomic_bool changed;              /* something that changes the disk was begun */
	_Atomic(const char *) written;    /* path of what is changed then */
};

extern const struct virtio_ops block_ops;

#endif
