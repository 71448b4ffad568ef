/* SPDX-License-Identifier: MIT */
/*
 * Memory-mapped I/O: maps guest physical addresses to devices. Regions change while vCPUs run (a guest moves a BAR), so any
 * thread may look up and change them.
 */
#ifndef LKVM_KVM_BUS_H
#define LKVM_KVM_BUS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

/*
 * A device's handlers of accesses. `offset` is from the region's base. `size` is 1, 2, 4 or 8, and the access lies inside the
 * region. Values are little-endian numbers of that size. Several vCPU threads may call at once: the device must lock its state.
 * Handlers cannot fail: an access without meaning reads as zero, and its write is ignored.
 */
struct bus_ops {
	uint64_t (*read)(void *owner, uint64_t offset, unsigned size);
	void (*write)(void *owner, uint64_t offset, unsigned size, uint64_t value);
};

struct bus_region {
	uint64_t base;
	uint64_t size;
	const struct bus_ops *ops;
	void *owner; /* must outlive the bus: an access may still run just after bus_unmap() */
};

#define BUS_MAX_REGIONS 160

struct bus {
	pthread_rwlock_t lock;
	unsigned count;
	struct bus_region regions[BUS_MAX_REGIONS]; /* by ascending base, never overlapping */
};

int bus_open(struct bus *bus, struct error *error);
void bus_close(struct bus *bus);

/* Fails with EEXIST if the region overlaps another one, EINVAL if it is empty or wraps, ENOSPC if the bus is full. */
int bus_map(struct bus *bus, const struct bus_region *region, struct error *error);

/* Removes the region of `owner` that starts at `base`. Does nothing if there is none. */
void bus_unmap(struct bus *bus, uint64_t base, const void *owner);

/* Both return false if no region contains the whole access; a read then returns all ones. */
bool bus_read(struct bus *bus, uint64_t address, unsigned size, uint64_t *value);
bool bus_write(struct bus *bus, uint64_t address, unsigned size, uint64_t value);

#endif
