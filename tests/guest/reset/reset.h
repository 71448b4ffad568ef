/* SPDX-License-Identifier: MIT */
/*
 * Whether a reset leads back to where the machine started. The first boot writes down all that it can read
 * of the hardware; then each boot sets everything to something else and resets, and the next one must find
 * what the first one found. RAM keeps the notes.
 */
#ifndef GUEST_RESET_H
#define GUEST_RESET_H

#include "lib/gic.h"
#include "lib/parameters.h"
#include "lib/virtio.h"

/* One register: what it belongs to, its address or number, and what is in it. */
struct word {
	const char *owner;
	uint64_t where, value;
};

#define MAX_WORDS 8192u
struct state {
	unsigned count;
	bool second; /* there is a second vCPU, and its registers are among the words */
	struct word words[MAX_WORDS];
};

/* Reads everything; finds the devices on the way, and leaves them accessible. */
void state_read(struct state *state, struct virtio *devices, unsigned *device_count);

/* Prints up to `limit` differences, and returns how many there are. */
unsigned state_compare(const struct state *expected, const struct state *found, unsigned limit);

/* Changes everything, but the UART: after dirty_console() nothing can be printed. */
void dirty(struct virtio *devices, unsigned count);
void dirty_console(void);

/* Keeps a device busy, for ever: requests under way, registers accessed. For either vCPU. */
void keep_busy(void);

void fail(const char *what, ...) __attribute__((format(printf, 1, 2), noreturn));
#define CHECK(condition, ...)                                                                              \
	do {                                                                                               \
		if (!(condition))                                                                          \
			fail(__VA_ARGS__);                                                                 \
	} while (0)

#endif
