/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "lkvm/ram.h"

int ram_open(struct ram *ram, uint64_t base, uint64_t size, struct error *error)
{
	/*
	 * Aligned to a huge page, so that the host can back guest memory with blocks: one stage 2 fault then serves
	 * 2 MiB. NORESERVE, as guests use less than they are given.
	 */
	const uint64_t alignment = 2ull << 20;
	uint8_t *area;

	*ram = (struct ram){ 0 };
	area = mmap(NULL, size + alignment, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		return error_system(error, errno, "%llu MiB of guest memory", (unsigned long long)size >> 20);

	uint64_t skip = -(uintptr_t)area & (alignment - 1);

	if (skip)
		munmap(area, skip);
	if (alignment - skip)
		munmap(area + skip + size, alignment - skip);
	area += skip;
	if (mprotect(area, size, PROT_READ | PROT_WRITE) < 0) {
		error_system(error, errno, "%llu MiB of guest memory", (unsigned long long)size >> 20);
		munmap(area, size);
		return -1;
	}

	madvise(area, size, MADV_HUGEPAGE); /* a kernel without huge pages refuses: nothing lost */
	madvise(area, size, MADV_DONTDUMP); /* a core dump is about the VMM */
	*ram = (struct ram){ .host = area, .base = base, .size = size };
	return 0;
}

void ram_close(struct ram *ram)
{
	if (ram->host)
		munmap(ram->host, ram->size);
	*ram = (struct ram){ 0 };
}
