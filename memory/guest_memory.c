/* SPDX-License-Identifier: MIT */
/* Reads guest memory through a window of one page. */
#include "memory/guest_memory.h"

#include <errno.h>

#include "util/bits.h"

bool guest_memory_has(const struct guest_memory *memory, uint64_t address, uint64_t size)
{
	return address >= memory->base && address - memory->base <= memory->size &&
	       size <= memory->size - (address - memory->base);
}

int guest_memory_read(const struct guest_memory *memory, uint64_t address, void *to, size_t size, struct error *error)
{
	if (!guest_memory_has(memory, address, size))
		return error_set(error, EFAULT, "0x%llx is not in RAM", (unsigned long long)address);
	return memory->read(memory->owner, address, to, size, error);
}

/*
 * Fetches the part of the page around `address` that is RAM. If the piece crosses the page's end, it fetches from `address`
 * on.
 */
static int fetch(struct guest_window *window, uint64_t address, unsigned size, struct error *error)
{
	const struct guest_memory *memory = window->memory;
	uint64_t start = address & ~(uint64_t)(GUEST_WINDOW_SIZE - 1);
	uint64_t end = memory->base + memory->size;

	if (address - start + size > GUEST_WINDOW_SIZE)
		start = address;
	if (start < memory->base)
		start = memory->base;
	window->start = start;
	window->size = (size_t)MIN(end - start, GUEST_WINDOW_SIZE);
	if (memory->read(memory->owner, start, window->bytes, window->size, error) == 0)
		return 0;
	window->size = 0;
	return -1;
}

int guest_window_read(struct guest_window *window, uint64_t address, unsigned size, uint64_t *value, struct error *error)
{
	if (!guest_memory_has(window->memory, address, size))
		return error_set(error, EFAULT, "0x%llx is not in RAM", (unsigned long long)address);
	if ((address < window->start || address - window->start + size > window->size) && fetch(window, address, size, error) < 0)
		return -1;
	*value = 0;
	for (unsigned i = 0; i < size; i++)
		*value |= (uint64_t)window->bytes[address - window->start + i] << (8 * i);
	return 0;
}
