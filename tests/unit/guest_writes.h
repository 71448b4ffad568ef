/* SPDX-License-Identifier: MIT */
/*
 * Writes to RAM of a test that plays the guest. ThreadSanitizer must not look at them, as a guest writes RAM while others read
 * it. A save reads again what it read too early, or the write waits for it. A device takes any descriptor that a guest writes.
 */
#ifndef TESTS_UNIT_GUEST_WRITES_H
#define TESTS_UNIT_GUEST_WRITES_H

#include <stddef.h>
#include <stdint.h>

#define GUEST_WRITES __attribute__((no_sanitize_thread))

GUEST_WRITES static inline void guest_fill(uint8_t *at, uint8_t byte, size_t size)
{
	volatile uint8_t *bytes = at;

	for (size_t i = 0; i < size; i++)
		bytes[i] = byte;
}

#endif
