/* SPDX-License-Identifier: MIT */
/*
 * How inputs made of sections change: mostly one number in its place, as an inserted byte moves all that follows
 * and leaves nothing that a reader takes. Numbers are 8-byte aligned. For one source file a program, as it defines
 * the function.
 */
#ifndef TESTS_FUZZ_MUTATE_H
#define TESTS_FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

static inline uint64_t fuzz_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Another number for `old`: near it, a power of two or near one, or anything. */
static inline uint64_t fuzz_other_number(uint64_t old, uint64_t *state)
{
	uint64_t random = fuzz_random(state);
	unsigned shift = random >> 8 & 63;

	switch (random % 8) {
	case 0:
		return old + 1;
	case 1:
		return old - 1;
	case 2:
		return old ^ 1ull << shift;
	case 3:
		return 1ull << shift;
	case 4:
		return (1ull << shift) - 1;
	case 5:
		return random >> 16 & 31;
	case 6:
		return old + (1ull << shift);
	default:
		return fuzz_random(state);
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
	uint64_t state = seed * 0x9e3779b97f4a7c15ull + 1;
	uint64_t random = fuzz_random(&state);
	size_t width = (size_t)1 << (random >> 8) % 4, at;
	uint64_t number = 0;

	if (size < 8 || random % 4 == 0)
		return LLVMFuzzerMutate(data, size, most);
	/* What an input starts with decides most. */
	at = random % 16 == 1 ? 0 : (random >> 32) % (size / 8) * 8;
	at += (random >> 16) % (8 / width) * width;
	memcpy(&number, data + at, width);
	number = fuzz_other_number(number, &state);
	memcpy(data + at, &number, width);
	return size;
}

#endif
