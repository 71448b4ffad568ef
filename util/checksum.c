/* SPDX-License-Identifier: MIT */
/* CRC-32, with the processor's instructions where it has them. */
#include <string.h>
#include <zlib.h>

#include "util/checksum.h"

#ifdef __aarch64__
#include <arm_acle.h>
#include <sys/auxv.h>

/*
 * Debian builds zlib for the first arm64 processors, which need not have the CRC instructions. Almost all processors have
 * them. They take an eighth of zlib's time.
 */
__attribute__((target("+crc"))) static uint32_t by_instructions(uint32_t crc, const uint8_t *bytes, size_t size)
{
	crc = ~crc;
	for (; size && (uintptr_t)bytes % 8; size--)
		crc = __crc32b(crc, *bytes++);
	/* Unrolled 16 times: otherwise the loop itself would take as long as the checksum. */
	for (; size >= 128; size -= 128, bytes += 128)
#pragma GCC unroll 16
		for (int i = 0; i < 16; i++) {
			uint64_t word;

			memcpy(&word, bytes + 8 * i, sizeof(word));
			crc = __crc32d(crc, word);
		}
	for (; size; size--)
		crc = __crc32b(crc, *bytes++);
	return ~crc;
}

uint32_t checksum(uint32_t crc, const void *bytes, size_t size)
{
	if (getauxval(AT_HWCAP) & HWCAP_CRC32)
		return by_instructions(crc, bytes, size);
	return (uint32_t)crc32_z(crc, bytes, size);
}
#elif defined(__x86_64__)
#include <emmintrin.h>
#include <wmmintrin.h>

/* Snapshots are also inspected on x86 machines. Debian's zlib takes more than twice as long as these instructions. */
#define FOLD __attribute__((target("sse2,pclmul")))

#define LANES 4u
#define BLOCK (LANES * sizeof(__m128i))

/* Shifts `over`, reduces it modulo the polynomial, and adds the result to `there`. */
FOLD static __m128i fold(__m128i over, __m128i shift, __m128i there)
{
	return there ^ _mm_clmulepi64_si128(over, shift, 0x00) ^ _mm_clmulepi64_si128(over, shift, 0x11);
}

/*
 * The algorithm and its constants are from Intel's "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ
 * Instruction". It folds four lanes at a time, and then the lanes into one. The result is a message of 16 bytes with the same
 * checksum.
 */
FOLD static uint32_t by_instructions(uint32_t crc, const uint8_t *bytes, size_t size)
{
	const __m128i by_block = _mm_set_epi64x(0x1c6e41596, 0x154442bd4), by_lane = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
	__m128i lanes[LANES], last;

	memcpy(lanes, bytes, BLOCK);
	lanes[0] ^= _mm_cvtsi32_si128((int)~crc);
	for (bytes += BLOCK, size -= BLOCK; size >= BLOCK; bytes += BLOCK, size -= BLOCK)
#pragma GCC unroll 4
		for (unsigned i = 0; i < LANES; i++)
			lanes[i] = fold(lanes[i], by_block, _mm_loadu_si128((const void *)(bytes + i * sizeof(__m128i))));
	last = lanes[0];
	for (unsigned i = 1; i < LANES; i++)
		last = fold(last, by_lane, lanes[i]);
	/* `last` already includes the initial value. With ~0 zlib starts with the state 0. */
	return (uint32_t)crc32_z(crc32_z(~0u, (const uint8_t *)&last, sizeof(last)), bytes, size);
}

uint32_t checksum(uint32_t crc, const void *bytes, size_t size)
{
	if (size >= BLOCK && __builtin_cpu_supports("pclmul"))
		return by_instructions(crc, bytes, size);
	return (uint32_t)crc32_z(crc, bytes, size);
}
#else
uint32_t checksum(uint32_t crc, const void *bytes, size_t size)
{
	return (uint32_t)crc32_z(crc, bytes, size);
}
#endif
