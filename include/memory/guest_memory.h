/* SPDX-License-Identifier: MIT */
/*
 * Guest memory that is read in small pieces: a snapshot's, out of the file, or a machine's own. Code that decodes a guest's
 * tables reads them through this interface, so that only the pages that it reads are loaded. Pure.
 */
#ifndef LKVM_MEMORY_GUEST_MEMORY_H
#define LKVM_MEMORY_GUEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct guest_memory {
	uint64_t base, size; /* the guest physical address of RAM, and its bytes; their sum fits 64 bits */
	/* Copies [address, address + size), which is in RAM. Returns 0 or -1. */
	int (*read)(void *owner, uint64_t address, void *to, size_t size, struct error *error);
	void *owner;
};

/* Whether [address, address + size) is RAM. */
bool guest_memory_has(const struct guest_memory *memory, uint64_t address, uint64_t size);

/*
 * Copies [address, address + size). Returns -1 with EFAULT if not all of it is RAM, with another code if it cannot be read.
 */
int guest_memory_read(const struct guest_memory *memory, uint64_t address, void *to, size_t size, struct error *error);

/*
 * Reads small pieces in any order. It fetches a page at a time, as most pieces are near the one before. Set `memory`, and
 * leave the other members zero.
 */
#define GUEST_WINDOW_SIZE 4096u

struct guest_window {
	const struct guest_memory *memory;
	uint64_t start; /* the guest physical address of `bytes` */
	size_t size;
	uint8_t bytes[GUEST_WINDOW_SIZE];
};

/* Reads a little-endian number of `size` bytes, 1 to 8. A guest may choose any address. Errors as above. */
int guest_window_read(struct guest_window *window, uint64_t address, unsigned size, uint64_t *value, struct error *error);

#endif
