/* SPDX-License-Identifier: MIT */
/*
 * Checks that a reset restores the machine's initial state. The first boot records all that it can read of the hardware. Then
 * each boot changes everything and resets, and the next boot must find the recorded state. The record is in RAM.
 */
#ifndef GUEST_RESET_H
#define GUEST_RESET_H

#include "lib/gic.h"
#include "lib/parameters.h"
#include "lib/virtio.h"

/* One register: its owner, its address or number, and its value. */
struct word {
	const char *owner;
	uint64_t where, value;
};

#define MAX_WORDS 8192u
struct state {
	unsigned count;
	bool second; /* there is a second vCPU, whose registers are included */
	struct word words[MAX_WORDS];
};

/* Reads everything. Finds the devices, and leaves them accessible. */
void state_read(struct state *state, struct virtio *devices, unsigned *device_count);

/* Prints up to `limit` differences, and returns their number. */
unsigned state_compare(const struct state *expected, const struct state *found, unsigned limit);

/* dirty() changes everything except the UART. After dirty_console() nothing can be printed. */
void dirty(struct virtio *devices, unsigned count);
void dirty_console(void);

/* Keeps a device busy for ever, with requests and register accesses. Either vCPU may run it. */
void keep_busy(void);

void fail(const char *what, ...) __attribute__((format(printf, 1, 2), noreturn));
#define CHECK(condition, ...)                                                                              \
	do {                                                                                               \
		if (!(condition))                                                                          \
			fail(__VA_ARGS__);                                                                 \
	} while (0)

#endif
