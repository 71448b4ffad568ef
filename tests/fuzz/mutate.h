/* SPDX-License-Identifier: MIT */
/*
 * Mutates inputs that consist of sections. Mostly it replaces one number, as an inserted byte would move all that follows, and
 * a reader would refuse the input. Numbers are aligned to 8 bytes. It defines a function, so only one source file of a program
 * may include it.
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

/* Returns a number in place of `old`: near it, a power of two or near one, or random. */
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
	/* The first number of an input has the largest effect, so it changes more often. */
	at = random % 16 == 1 ? 0 : (random >> 32) % (size / 8) * 8;
	at += (random >> 16) % (8 / width) * width;
	memcpy(&number, data + at, width);
	number = fuzz_other_number(number, &state);
	memcpy(data + at, &number, width);
	return size;
}

#endif
