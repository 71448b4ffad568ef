/* SPDX-License-Identifier: MIT */
/* Guest RAM: maps it, maps files over it, and gives pages back to the host. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "memory/ram.h"

/*
 * Reserves address space, aligned to a huge page. The host can then map guest memory in blocks, and one stage 2 fault maps 2
 * MiB. It is MAP_NORESERVE, because most guests use less memory than they have.
 */
static uint8_t *reserve(uint64_t size)
{
	const uint64_t alignment = 2ull << 20;
	uint8_t *area = mmap(NULL, size + alignment, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t skip;

	if (area == MAP_FAILED)
		return NULL;
	skip = -(uintptr_t)area & (alignment - 1);
	if (skip)
		munmap(area, skip);
	if (alignment - skip)
		munmap(area + skip + size, alignment - skip);
	return area + skip;
}

int ram_map(struct ram *ram, uint64_t offset, uint64_t size, int fd, uint64_t at, struct error *error)
{
	int flags = MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0);
	uint8_t *area = ram->host + offset;

	if (mmap(area, size, PROT_READ | PROT_WRITE, flags, fd, (off_t)at) == MAP_FAILED)
		return error_system(error, errno, "%llu MiB of guest memory", (unsigned long long)ram->size >> 20);
	ram->is_mapped |= fd >= 0;
	madvise(area, size, MADV_HUGEPAGE); /* a kernel without huge pages refuses, which does no harm */
	madvise(area, size, MADV_DONTDUMP); /* a core dump is for debugging the VMM, not the guest */
	return 0;
}

int ram_open(struct ram *ram, uint64_t base, uint64_t size, struct error *error)
{
	*ram = (struct ram){ .host = reserve(size), .base = base, .size = size };
	if (!ram->host)
		return error_system(error, errno, "%llu MiB of guest memory", (unsigned long long)size >> 20);
	if (ram_map(ram, 0, size, -1, 0, error) == 0)
		return 0;
	ram_close(ram);
	return -1;
}

void ram_discard(const struct ram *ram, void *host, uint64_t size)
{
	/* Discarding pages causes no fault. A write does, and makes the background snapshot capture the pages first. */
	if (__atomic_load_n(&ram->write_protected, __ATOMIC_ACQUIRE) && madvise(host, size, MADV_POPULATE_WRITE) < 0)
		return;
	madvise(host, size, MADV_DONTNEED);
}

void ram_close(struct ram *ram)
{
	if (ram->host)
		munmap(ram->host, ram->size);
	free(ram->marks);
	*ram = (struct ram){ 0 };
}
