/* SPDX-License-Identifier: MIT */
/* The bus: finds the device that answers at a guest physical address. */
#include "kvm/bus.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

int bus_open(struct bus *bus, struct error *error)
{
	int result = pthread_rwlock_init(&bus->lock, NULL);

	if (result)
		return error_system(error, result, "bus: pthread_rwlock_init");
	bus->count = 0;
	return 0;
}

void bus_close(struct bus *bus)
{
	pthread_rwlock_destroy(&bus->lock);
}

/* Returns the number of regions that start at or below `address`. Only the last of them can contain it. */
static unsigned regions_up_to(const struct bus *bus, uint64_t address)
{
	unsigned low = 0, high = bus->count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (bus->regions[middle].base <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Returns the address of the last byte, which fits in 64 bits also if the region ends at 2^64. */
static uint64_t last_byte(const struct bus_region *region)
{
	return region->base + (region->size - 1);
}

static int map_locked(struct bus *bus, const struct bus_region *region, struct error *error)
{
	unsigned place = regions_up_to(bus, region->base);
	const struct bus_region *before = place > 0 ? &bus->regions[place - 1] : NULL;
	const struct bus_region *after = place < bus->count ? &bus->regions[place] : NULL;

	if ((before && last_byte(before) >= region->base) || (after && after->base <= last_byte(region)))
		return error_set(error, EEXIST, "bus: 0x%" PRIx64 " is taken", region->base);
	if (bus->count == BUS_MAX_REGIONS)
		return error_set(error, ENOSPC, "bus: no room for a region at 0x%" PRIx64, region->base);
	memmove(&bus->regions[place + 1], &bus->regions[place], (bus->count - place) * sizeof(*region));
	bus->regions[place] = *region;
	bus->count++;
	return 0;
}

int bus_map(struct bus *bus, const struct bus_region *region, struct error *error)
{
	int result;

	if (region->size == 0 || last_byte(region) < region->base)
		return error_set(error, EINVAL, "bus: 0x%" PRIx64 " bytes at 0x%" PRIx64 " are not a region",
				 region->size, region->base);
	pthread_rwlock_wrlock(&bus->lock);
	result = map_locked(bus, region, error);
	pthread_rwlock_unlock(&bus->lock);
	return result;
}

void bus_unmap(struct bus *bus, uint64_t base, const void *owner)
{
	unsigned behind;

	pthread_rwlock_wrlock(&bus->lock);
	behind = regions_up_to(bus, base);
	if (behind > 0 && bus->regions[behind - 1].base == base && bus->regions[behind - 1].owner == owner) {
		memmove(&bus->regions[behind - 1], &bus->regions[behind],
			(bus->count - behind) * sizeof(bus->regions[0]));
		bus->count--;
	}
	pthread_rwlock_unlock(&bus->lock);
}

/*
 * Finds the region that contains the whole access, and copies it. The device is called with the bus unlocked, because it may
 * map and unmap regions (a write to a BAR does).
 */
static bool find(struct bus *bus, uint64_t address, unsigned size, struct bus_region *region)
{
	unsigned behind;
	bool found = false;

	pthread_rwlock_rdlock(&bus->lock);
	behind = regions_up_to(bus, address);
	if (behind > 0) {
		*region = bus->regions[behind - 1];
		found = region->size >= size && address - region->base <= region->size - size;
	}
	pthread_rwlock_unlock(&bus->lock);
	return found;
}

bool bus_read(struct bus *bus, uint64_t address, unsigned size, uint64_t *value)
{
	struct bus_region region;

	if (!find(bus, address, size, &region)) {
		*value = UINT64_MAX;
		return false;
	}
	*value = region.ops->read(region.owner, address - region.base, size);
	return true;
}

bool bus_write(struct bus *bus, uint64_t address, unsigned size, uint64_t value)
{
	struct bus_region region;

	if (!find(bus, address, size, &region))
		return false;
	region.ops->write(region.owner, address - region.base, size, value);
	return true;
}
