/* SPDX-License-Identifier: MIT */
/* For a program that ends where something is not as it should be. It defines its name before: PROGRAM. */
#ifndef GUEST_CHECK_H
#define GUEST_CHECK_H

#include "lib/runtime.h"

/* Says what, and two values that tell more. */
static void fail(const char *what, uint64_t a, uint64_t b)
{
	print(PROGRAM ": FAILED: %s (0x%lx, 0x%lx)\n", what, a, b);
	power_off();
}

#define CHECK(condition, what, a, b)                                                                       \
	do {                                                                                               \
		if (!(condition))                                                                          \
			fail(what, a, b);                                                                  \
	} while (0)

#endif
