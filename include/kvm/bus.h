/* SPDX-License-Identifier: MIT */
/*
 * Memory-mapped I/O: which device answers at which guest physical address. Regions come and go while
 * vCPUs run (a guest moves a BAR), so look-ups and changes may happen on any thread.
 */
#ifndef LKVM_KVM_BUS_H
#define LKVM_KVM_BUS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

/*
 * What a device does with an access. `offset` counts from the region's base; `size` is 1, 2, 4 or 8 and
 * the access lies inside the region; values are little-endian numbers of that size. Called on vCPU
 * threads, several at once: the device locks what it must. An access that means nothing to the device
 * reads as zero and is ignored when written: a guest can do anything, and nothing here can fail.
 */
struct bus_ops {
	uint64_t (*read)(void *owner, uint64_t offset, unsigned size);
	void (*write)(void *owner, uint64_t offset, unsigned size, uint64_t value);
};

struct bus_region {
	uint64_t base;
	uint64_t size;
	const struct bus_ops *ops;
	void *owner; /* must outlive the bus: an access may still run just after the region was unmapped */
};

#define BUS_MAX_REGIONS 160

struct bus {
	pthread_rwlock_t lock;
	unsigned count;
	struct bus_region regions[BUS_MAX_REGIONS]; /* by ascending base, never overlapping */
};

int bus_open(struct bus *bus, struct error *error);
void bus_close(struct bus *bus);

/* Fails with EEXIST where the region overlaps another, EINVAL where it is empty or wraps, ENOSPC when full. */
int bus_map(struct bus *bus, const struct bus_region *region, struct error *error);

/* Forgets the region that starts at `base` and belongs to `owner`; no such region is no error. */
void bus_unmap(struct bus *bus, uint64_t base, const void *owner);

/* Both return false where no region holds the whole access; a read then gives all ones. */
bool bus_read(struct bus *bus, uint64_t address, unsigned size, uint64_t *value);
bool bus_write(struct bus *bus, uint64_t address, unsigned size, uint64_t value);

#endif
