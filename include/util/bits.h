/* SPDX-License-Identifier: MIT */
/* The number of elements of an array, the lesser of two numbers, and reading and writing little-endian numbers. */
#ifndef LKVM_UTIL_BITS_H
#define LKVM_UTIL_BITS_H

#include <stdint.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#ifndef MIN /* <sys/param.h> has the same */
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#endif

static inline uint16_t get16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static inline uint32_t get32(const uint8_t *bytes)
{
	return get16(bytes) | (uint32_t)get16(bytes + 2) << 16;
}

/* Writes the low 16 bits of `value`. */
static inline void put16(uint8_t *bytes, unsigned value)
{
	bytes[0] = (uint8_t)value;
	bytes[1] = (uint8_t)(value >> 8);
}

static inline void put32(uint8_t *bytes, uint32_t value)
{
	put16(bytes, value);
	put16(bytes + 2, value >> 16);
}

#endif
