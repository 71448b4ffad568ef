/* SPDX-License-Identifier: MIT */
/*
 * Guest RAM: one block of guest physical addresses, one mapping in this process. Whatever reads an
 * address that a guest chose goes through ram_at(), the one checked way from guest to host addresses.
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
	const struct snapshot *from; /* NULL, or what untouched pages come from: the caller's, open as long as the RAM is */
	uint64_t huge_page; /* bytes of the pages that it is made of, if they are of the host's pool; or 0 */
	bool is_mapped; /* some of it is of files */
	bool write_protected; /* for a background snapshot (save/background.h): ram_discard() must not drop pages unseen */
	uint8_t *marks; /* NULL, or a byte a RAM_MARK bytes: written by a device since it was last taken; ram_mark() */
};

#define RAM_MARK 0x10000u

/* Maps `size` bytes of zeroed memory, for guest addresses from `base` on. */
int ram_open(struct ram *ram, uint64_t base, uint64_t size, struct error *error);

/*
 * The same of pages of `page` bytes, or of the usual size, that the host keeps for that (hugetlbfs): all that are needed, or the
 * sentence says how many there are. `size` must be whole pages. Nothing can be mapped over them.
 */
#define RAM_HUGE_DEFAULT 1u
int ram_open_huge(struct ram *ram, uint64_t base, uint64_t size, uint64_t page, struct error *error);

/*
 * Maps `size` bytes of a file from `at` on privately over what is `offset` bytes behind RAM's beginning: what the guest
 * writes never reaches the file, and what it does not touch is not read. Nobody may cut or change the file meanwhile. With
 * -1 for `fd` it is zeroed memory again. All three are multiples of the host's page size.
 */
int ram_map(struct ram *ram, uint64_t offset, uint64_t size, int fd, uint64_t at, struct error *error);
void ram_close(struct ram *ram);

/*
 * Host address of guest bytes [address, address + length), or NULL unless all of them are RAM. A length
 * of 0 asks for one address inside RAM or just behind its end. The bytes may change under the reader at
 * any time: read what is checked once, into a local variable.
 */
static inline void *ram_at(const struct ram *ram, uint64_t address, uint64_t length)
{
	uint64_t offset = address - ram->base;

	if (address < ram->base || offset > ram->size || length > ram->size - offset)
		return NULL;
	return ram->host + offset;
}

/* Gives whole pages of the host back to it: they are zero from then on. By any thread that machine_pause() stops. */
void ram_discard(const struct ram *ram, void *host, uint64_t size);

/*
 * To be called by whoever writes guest memory behind KVM's back, once [host, host + size) of it is written. By any thread;
 * KVM itself keeps account of what it and the vCPUs write.
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
