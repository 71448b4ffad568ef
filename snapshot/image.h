/* SPDX-License-Identifier: MIT */
/*
 * RAM in a snapshot file: as it is in the guest, page for page, holes for pages that were zero. It can be written while the
 * guest goes on: image_update() then writes what is different from the file by now.
 */
#ifndef LKVM_SNAPSHOT_IMAGE_H
#define LKVM_SNAPSHOT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory/page_map.h"
#include "memory/ram.h"
#include "util/err.h"

struct snapshot;
struct snapshot_progress;

struct image {
	const struct ram *ram;
	const struct snapshot *base; /* NULL, or what has the pages that are not in the file */
	int fd;
	uint64_t offset;     /* of RAM in the file */
	uint64_t chunks;
	uint32_t *checksums; /* one a chunk: of what is in the file */
	uint8_t *written;    /* a bit a page: it is in the file, and not the base's or zero */
	const uint8_t *file; /* RAM in the file, mapped; only what is written may be looked at */
	uint64_t pages;      /* so many are data in the file */
	uint64_t changes;    /* chunks that were brought up to date, each as often as it was */
	uint64_t changed;    /* the last of them: offset in RAM */
	struct page_map map; /* of this process */
};

/*
 * `ram`, `base` and `fd` are the caller's, and stay as long as the image. The base has RAM of the same size. On failure
 * nothing is to be closed.
 */
int image_open(struct image *image, const struct ram *ram, const struct snapshot *base, int fd, uint64_t offset,
	       struct error *error);
void image_close(struct image *image);

/*
 * Brings the file up to date with RAM, and the checksums with the file. `pages`: NULL, or for each chunk of RAM a bit
 * a page, of which those that are 0 are in the file as they are. Not `still`: RAM changes meanwhile, and the file then has something of
 * before and something of after.
 */
int image_update(struct image *image, const uint16_t *pages, bool still, const struct snapshot_progress *progress,
		 struct error *error);

/* Writes `bytes` as whole pages of RAM at offset `at`. Their chunks' checksums are the caller's. */
int image_write(struct image *image, uint64_t at, const uint8_t *bytes, size_t size, struct error *error);

/* How much of RAM is data in the file. */
uint64_t image_bytes(const struct image *image);

extern const uint8_t image_zeroes[]; /* a page */

/* The checksum of a chunk of `size` bytes that are all zero. */
uint32_t image_zero_checksum(size_t size);

#endif
