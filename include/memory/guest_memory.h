/* SPDX-License-Identifier: MIT */
/*
 * Guest memory that is read bit by bit: a snapshot's, out of the file, or a machine's own. Whoever decodes tables that a
 * guest made reads them through this, so that nothing is loaded that is not looked at. Pure.
 */
#ifndef LKVM_MEMORY_GUEST_MEMORY_H
#define LKVM_MEMORY_GUEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct guest_memory {
	uint64_t base, size; /* guest physical addresses of RAM, bytes; their sum fits 64 bits */
	/* Copies [address, address + size), which is in RAM. 0 or -1. */
	int (*read)(void *owner, uint64_t address, void *to, size_t size, struct error *error);
	void *owner;
};

/* Whether [address, address + size) is RAM. */
bool guest_memory_has(const struct guest_memory *memory, uint64_t address, uint64_t size);

/* Copies it; -1 with EFAULT where it is not all RAM, with another code where it cannot be read. */
int guest_memory_read(const struct guest_memory *memory, uint64_t address, void *to, size_t size, struct error *error);

/*
 * Reads small pieces in any order, of which most are near the one before: a page is fetched at a time. Set `memory`,
 * leave the rest zero.
 */
#define GUEST_WINDOW_SIZE 4096u

struct guest_window {
	const struct guest_memory *memory;
	uint64_t start; /* of what is in `bytes` */
	size_t size;
	uint8_t bytes[GUEST_WINDOW_SIZE];
};

/* `size` bytes, 1 to 8, little-endian, at any address: guests choose it. Errors as above. */
int guest_window_read(struct guest_window *window, uint64_t address, unsigned size, uint64_t *value, struct error *error);

#endif
