/* SPDX-License-Identifier: MIT */
/* RAM in a snapshot file: as it is in the guest, page for page, holes for pages of zeroes. */
#ifndef LKVM_SNAPSHOT_IMAGE_H
#define LKVM_SNAPSHOT_IMAGE_H

#include "lkvm/snapshot.h"

/* Writes writer->ram from file offset `offset` on, and fills in a checksum a chunk. */
int image_write(struct snapshot_writer *writer, uint64_t offset, uint32_t *checksums, struct error *error);

/* The checksum of a chunk of `size` bytes that are all zero. */
uint32_t image_zero_checksum(size_t size);

#endif
