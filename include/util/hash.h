/* SPDX-License-Identifier: MIT */
/*
 * Hashes for contents that nobody forges: MurmurHash3_x64_128 with seed 0 for bytes, FNV-1a for short texts. Pure.
 */
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

/* FNV-1a, 64 bits: spreads similar texts. `start` is HASH_TEXT_START, changed by what else is to be hashed. */
#define HASH_TEXT_START 0xcbf29ce484222325ull
uint64_t hash_text(uint64_t start, const char *text);

#endif
