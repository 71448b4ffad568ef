/* SPDX-License-Identifier: MIT */
/*
 * Hashes that do not resist forgery: MurmurHash3_x64_128 with seed 0 for bytes, FNV-1a for short texts. Pure.
 */
#ifndef LKVM_UTIL_HASH_H
#define LKVM_UTIL_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_BLOCK 16u /* bytes */

/* The caller sets all members to zero before the first hash_add(). */
struct hash {
	uint64_t h[2];
	uint64_t size; /* bytes so far */
};

/* Adds bytes to the hash. `size` must be a multiple of HASH_BLOCK. */
void hash_add(struct hash *hash, const void *bytes, size_t size);

/* Returns the hash of all bytes so far in `value`. More bytes may be added afterwards. */
void hash_get(const struct hash *hash, uint64_t value[2]);

/*
 * Returns the 64-bit FNV-1a hash, which differs much between similar texts. `start` is HASH_TEXT_START, or a value made from
 * it and from other data that is part of the hash.
 */
#define HASH_TEXT_START 0xcbf29ce484222325ull
uint64_t hash_text(uint64_t start, const char *text);

#endif
