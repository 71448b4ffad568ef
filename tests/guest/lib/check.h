/* SPDX-License-Identifier: MIT */
/* Checks that end the program when they fail. A program defines PROGRAM, its name, before the include. */
#ifndef GUEST_CHECK_H
#define GUEST_CHECK_H

#include "lib/runtime.h"

/* Prints the message and two values, and ends. */
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
