/* SPDX-License-Identifier: MIT */
/* MurmurHash3_x64_128 and FNV-1a. */
#include "util/hash.h"

#include <assert.h>
#include <string.h>

#define C1 0x87c37b91114253d5ull
#define C2 0x4cf5ad432745937full

static uint64_t rotate(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

static uint64_t mix(uint64_t value)
{
	value = (value ^ value >> 33) * 0xff51afd7ed558ccdull;
	value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53ull;
	return value ^ value >> 33;
}

void hash_add(struct hash *hash, const void *bytes, size_t size)
{
	uint64_t h1 = hash->h[0], h2 = hash->h[1], k[2];

	assert(size % HASH_BLOCK == 0);
	for (size_t at = 0; at < size; at += HASH_BLOCK) {
		memcpy(k, (const uint8_t *)bytes + at, sizeof(k));
		h1 ^= rotate(k[0] * C1, 31) * C2;
		h1 = (rotate(h1, 27) + h2) * 5 + 0x52dce729;
		h2 ^= rotate(k[1] * C2, 33) * C1;
		h2 = (rotate(h2, 31) + h1) * 5 + 0x38495ab5;
	}
	hash->h[0] = h1;
	hash->h[1] = h2;
	hash->size += size;
}

void hash_get(const struct hash *hash, uint64_t value[2])
{
	uint64_t h1 = hash->h[0] ^ hash->size, h2 = hash->h[1] ^ hash->size;

	h1 += h2;
	h2 += h1;
	h1 = mix(h1);
	h2 = mix(h2);
	h1 += h2;
	h2 += h1;
	value[0] = h1;
	value[1] = h2;
}

uint64_t hash_text(uint64_t start, const char *text)
{
	for (; *text; text++)
		start = (start ^ (uint8_t)*text) * 0x100000001b3ull;
	return start;
}
