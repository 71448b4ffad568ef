/* SPDX-License-Identifier: MIT */
/* A hash of 128 bits for contents that nobody forges: MurmurHash3_x64_128 with seed 0. Pure. */
#ifndef LKVM_UTIL_HASH_H
#define LKVM_UTIL_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_BLOCK 16u /* bytes */

/* Zeroes at first. */
struct hash {
	uint64_t h[2];
	uint64_t size; /* bytes so far */
};

/* `size` is a multiple of HASH_BLOCK. */
void hash_add(struct hash *hash, const void *bytes, size_t size);

/* The hash of all bytes that were added. `hash` may be added to afterwards. */
void hash_get(const struct hash *hash, uint64_t value[2]);

#endif
