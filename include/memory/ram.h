/* SPDX-License-Identifier: MIT */
/*
 * Guest RAM: one block of guest physical addresses, and one mapping in this process. Code that uses an address that a guest
 * chose must get the host address from ram_at(), which checks it.
 */
#ifndef LKVM_MEMORY_RAM_H
#define LKVM_MEMORY_RAM_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

struct snapshot;

struct ram {
	uint8_t *host; /* NULL while closed */
	uint64_t base; /* guest physical, bytes */
	uint64_t size; /* bytes, a multiple of the host's page size */
	const struct snapshot *from; /* NULL, or the source of untouched pages: the caller's, open as long as the RAM is */
	uint64_t huge_page; /* bytes of a page, if RAM is from the host's pool of huge pages; or 0 */
	bool is_mapped; /* part of it is mapped from files */
	bool write_protected; /* by save/background.h, which must capture pages before ram_discard() drops them */
	uint8_t *marks; /* NULL, or one byte per RAM_MARK bytes: a device wrote there since the marks were last taken */
};

#define RAM_MARK 0x10000u

/* Maps `size` bytes of zeroed memory for guest addresses from `base` on. */
int ram_open(struct ram *ram, uint64_t base, uint64_t size, struct error *error);

/*
 * The same from the host's pool of huge pages (hugetlbfs). They have `page` bytes, or the default size with RAM_HUGE_DEFAULT.
 * If the pool has too few, it fails, and the error has the number of free ones. `size` must be whole pages. No file can be
 * mapped over them.
 */
#define RAM_HUGE_DEFAULT 1u
int ram_open_huge(struct ram *ram, uint64_t base, uint64_t size, uint64_t page, struct error *error);

/*
 * Maps `size` bytes of a file, from `at` on, privately over RAM at `offset`. The guest's writes never reach the file, and
 * pages that it does not access are not read. The file must not be cut or changed while it is mapped. With -1 for `fd` it
 * maps zeroed memory. `offset`, `size` and `at` are multiples of the host's page size.
 */
int ram_map(struct ram *ram, uint64_t offset, uint64_t size, int fd, uint64_t at, struct error *error);

/* Unmaps RAM and frees the marks. It may be called twice. */
void ram_close(struct ram *ram);

/*
 * Returns the host address of guest bytes [address, address + length), or NULL unless all of them are RAM. With a length of
 * 0, `address` may also be the end of RAM. The bytes may change at any time. Read a value that is checked only once, into a
 * local variable.
 */
static inline void *ram_at(const struct ram *ram, uint64_t address, uint64_t length)
{
	uint64_t offset = address - ram->base;

	if (address < ram->base || offset > ram->size || length > ram->size - offset)
		return NULL;
	return ram->host + offset;
}

/* Gives whole pages back to the host, after which they are zero. Only threads that machine_pause() stops may call it. */
void ram_discard(const struct ram *ram, void *host, uint64_t size);

/*
 * Records a write to [host, host + size) of guest memory that is not by KVM or a vCPU: by a worker, vhost or a passed-through
 * device. Call it after the write, on any thread. KVM's dirty log has only the writes of KVM and the vCPUs.
 */
static inline void ram_mark(const struct ram *ram, const void *host, uint64_t size)
{
	uint8_t *marks = __atomic_load_n(&ram->marks, __ATOMIC_ACQUIRE);
	uint64_t offset = (uint64_t)((const uint8_t *)host - ram->host);

	if (!marks || !size)
		return;
	for (uint64_t i = offset / RAM_MARK; i <= (offset + size - 1) / RAM_MARK; i++)
		__atomic_store_n(&marks[i], 1, __ATOMIC_RELEASE);
}

#endif
