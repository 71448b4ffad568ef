/* SPDX-License-Identifier: MIT */
#ifndef LKVM_UTIL_CHECKSUM_H
#define LKVM_UTIL_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/*
 * CRC-32 (IEEE 802.3, as zlib has it), by the processor's own instructions where it has some. `crc` is 0 at first, or
 * what the bytes before gave.
 */
uint32_t checksum(uint32_t crc, const void *bytes, size_t size);

#endif
