/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <zlib.h>

#include "lkvm/format.h"

#ifdef __aarch64__
#include <arm_acle.h>
#include <sys/auxv.h>

/*
 * Debian builds zlib for the first arm64 processors, which need not have these instructions; almost all have, and with
 * them it takes an eighth of the time.
 */
__attribute__((target("+crc"))) static uint32_t by_instructions(uint32_t crc, const uint8_t *bytes, size_t size)
{
	crc = ~crc;
	for (; size && (uintptr_t)bytes % 8; size--)
		crc = __crc32b(crc, *bytes++);
	/* Sixteen at a time: the loop itself would cost as much as what it does. */
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
#else
uint32_t checksum(uint32_t crc, const void *bytes, size_t size)
{
	return (uint32_t)crc32_z(crc, bytes, size);
}
#endif
