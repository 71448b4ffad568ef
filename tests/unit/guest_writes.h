/* SPDX-License-Identifier: MIT */
/*
 * Writes of a test that plays the guest. ThreadSanitizer must ignore them, as a guest writes RAM while other threads read it.
 * A save copies such a page again, or makes the write wait. A device accepts any descriptor that a guest writes.
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
