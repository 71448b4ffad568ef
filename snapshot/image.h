/* SPDX-License-Identifier: MIT */
/*
 * Plain RAM in a snapshot file: the same pages in the same order as in the guest, with holes for pages of zeroes. It can be
 * written while the guest runs. A later image_update() writes the pages that differ from the file by then.
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
	const struct snapshot *base; /* NULL, or the snapshot with the pages that are not in the file */
	int fd;
	uint64_t offset;     /* of RAM in the file */
	uint64_t chunks;
	uint32_t *checksums; /* one per chunk, of its contents in the file or its base */
	uint8_t *written;    /* one bit per page: this file has the page; otherwise it is the base's, or zero */
	const uint8_t *file; /* RAM in the file, mapped; only written pages may be read */
	uint64_t pages;      /* the number of pages with data in the file */
	uint64_t changes;    /* the number of updates of chunks; a chunk may count several times */
	uint64_t changed;    /* the chunk of the last update: offset in RAM */
	struct page_map map; /* of this process */
};

/*
 * `ram`, `base` and `fd` are the caller's, and must stay valid until image_close(). The base has RAM of the same size. After
 * a failure do not call image_close().
 */
int image_open(struct image *image, const struct ram *ram, const struct snapshot *base, int fd, uint64_t offset,
	       struct error *error);
void image_close(struct image *image);

/*
 * Updates the file from RAM, and the checksums from the file. `pages` is NULL, or has one bit per page of each chunk: a page
 * whose bit is 0 is up to date in the file. If `still` is false, RAM may change during the call, and the file gets a mix of
 * old and new contents.
 */
int image_update(struct image *image, const uint16_t *pages, bool still, const struct snapshot_progress *progress,
		 struct error *error);

/* Writes `bytes`, whole pages, at offset `at` of RAM. The caller must update the checksums of their chunks. */
int image_write(struct image *image, uint64_t at, const uint8_t *bytes, size_t size, struct error *error);

/* Returns the bytes of RAM that are data in the file. */
uint64_t image_bytes(const struct image *image);

extern const uint8_t image_zeroes[]; /* one page */

/* Returns the checksum of `size` bytes of zeroes. */
uint32_t image_zero_checksum(size_t size);

#endif
