/* SPDX-License-Identifier: MIT */
#ifndef LKVM_UTIL_CHECKSUM_H
#define LKVM_UTIL_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Returns the CRC-32 (IEEE 802.3, the same as zlib's), computed by the processor's own instructions where it has them. `crc`
 * is 0 for the first bytes, or the result for the bytes before these.
 */
uint32_t checksum(uint32_t crc, const void *bytes, size_t size);

#endif
