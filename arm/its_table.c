/* SPDX-License-Identifier: MIT */
/* Walks the ITS's tables in guest RAM. */
#include "arm/its_table.h"

#include <errno.h>
#include <string.h>

#define ENTRY 8u /* bytes of every kind of entry */
#define FIELD(value, high, low) ((value) >> (low) & (~0ull >> (63 - (high) + (low))))
#define VALID(entry) ((entry) >> 63 != 0)
#define UNMAPPED 0xffffffffu /* RDBase of a collection without a vCPU */
#define NO_VCPU 0xffffu      /* the same in its_walk.vcpus */
#define MAX_ID_BITS 16u      /* of devices and events */
#define MAX_ENTRIES (1u << 24)
#define SECOND_LEVEL_IDS (ITS_TABLE_PAGE / ENTRY)

/* Results of looking at an entry, beside the distance to the next one. */
#define END 0
#define FAILED (-1) /* memory that is RAM could not be read */

struct walker {
	const struct its_tables *tables;
	const struct its_visitor *visitor;
	struct its_walk *walk;
	struct error *error;
	struct guest_window first, second, events, properties, pending;
};

struct its_baser its_baser_decode(uint64_t value, bool may_be_indirect)
{
	return (struct its_baser){
		.valid = VALID(value),
		.indirect = may_be_indirect && FIELD(value, 62, 62),
		/* Pages of 64 KiB: bits 51:48 of the address are in 15:12. */
		.address = (value & 0xffffffff0000) | FIELD(value, 15, 12) << 48,
		.size = (FIELD(value, 7, 0) + 1) * ITS_TABLE_PAGE,
	};
}

uint32_t its_lpi_limit(uint64_t propbaser)
{
	unsigned bits = (unsigned)FIELD(propbaser, 4, 0) + 1;

	return bits < 16 ? 1u << bits : ITS_LPI_LIMIT;
}

uint64_t its_properties_address(uint64_t propbaser)
{
	return propbaser & 0xffffffffff000;
}

uint64_t its_pending_address(uint64_t pendbaser)
{
	return pendbaser & 0xfffffffff0000;
}

/* Keeps the first refusal: KVM returns that one. */
static void refuse(struct walker *walker, int code)
{
	if (!walker->walk->refusal)
		walker->walk->refusal = code;
}

static void stop(struct walker *walker, enum its_stop why, uint64_t address, uint32_t device)
{
	if (why != ITS_STOP_LIMIT)
		refuse(walker, EFAULT);
	if (walker->visitor->stop)
		walker->visitor->stop(walker->visitor->owner, why, address, device);
}

static void take_problems(struct walker *walker, uint32_t set)
{
	for (unsigned problem = 0; problem < ITS_PROBLEMS_REFUSED; problem++)
		if (set >> problem & 1)
			refuse(walker, its_problem_refusal((enum its_problem)problem));
}

/*
 * Reads the entry at `address`. Returns 1; END, after reporting `why`, if it is not in RAM or there are too many; or FAILED.
 */
static int read_entry(struct walker *walker, struct guest_window *window, uint64_t address, uint64_t *entry,
		      enum its_stop why, uint32_t device)
{
	struct its_walk *walk = walker->walk;

	if (walk->over)
		return END;
	if (walk->entries++ == MAX_ENTRIES) {
		walk->over = true;
		stop(walker, ITS_STOP_LIMIT, address, device);
		return END;
	}
	if (guest_window_read(window, address, ENTRY, entry, walker->error) == 0)
		return 1;
	if (walker->error->code != EFAULT)
		return FAILED;
	stop(walker, why, address, device);
	return END;
}

/* Reads a byte of the LPI tables. Returns 1; 0 if it is not in RAM; or FAILED. */
static int read_byte(struct walker *walker, struct guest_window *window, uint64_t address, uint64_t *byte)
{
	if (guest_window_read(window, address, 1, byte, walker->error) == 0)
		return 1;
	return walker->error->code == EFAULT ? 0 : FAILED;
}

/* Collections. */

static int walk_collection(struct walker *walker, const struct its_baser *table, uint64_t address, uint64_t entry)
{
	struct its_walk *walk = walker->walk;
	uint32_t target = (uint32_t)FIELD(entry, 47, 16);
	struct its_collection collection = {
		.address = address,
		.id = (uint32_t)FIELD(entry, 15, 0),
		.vcpu = target == UNMAPPED ? ITS_NO_VCPU : target,
	};

	if (target != UNMAPPED && target >= walker->tables->vcpu_count)
		collection.problems |= 1u << ITS_PROBLEM_VCPU;
	if (walk->vcpus[collection.id])
		collection.problems |= 1u << ITS_PROBLEM_TWICE;
	/* KVM does not order the entries, but requires that the table has a place for the id. */
	if (collection.id * (uint64_t)ENTRY >= table->size ||
	    !guest_memory_has(walker->tables->memory, table->address + collection.id * (uint64_t)ENTRY, ENTRY))
		collection.problems |= 1u << ITS_PROBLEM_COLLECTION_ID;
	take_problems(walker, collection.problems);
	if (!collection.problems)
		walk->vcpus[collection.id] = (uint16_t)(target == UNMAPPED ? NO_VCPU : target + 1);
	walk->collections++;
	if (walker->visitor->collection)
		walker->visitor->collection(walker->visitor->owner, &collection);
	return 1;
}

static int walk_collections(struct walker *walker)
{
	struct its_baser table = its_baser_decode(walker->tables->collection_baser, false);
	uint64_t entry;
	int result;

	if (!table.valid)
		return 0;
	/* Collections have no `next`: the first invalid entry is the end. */
	for (uint64_t at = 0; at < table.size; at += ENTRY) {
		result = read_entry(walker, &walker->first, table.address + at, &entry, ITS_STOP_COLLECTIONS, 0);
		if (result <= 0)
			return result;
		if (!VALID(entry))
			break;
		walk_collection(walker, &table, table.address + at, entry);
	}
	return 0;
}

/* Events. */

/* Reads the LPI's configuration and pending bit. */
static int read_lpi(struct walker *walker, struct its_event *event)
{
	const struct its_tables *tables = walker->tables;
	uint64_t byte;
	int result;

	result = read_byte(walker, &walker->properties,
			   its_properties_address(tables->propbaser) + event->lpi - ITS_FIRST_LPI, &byte);
	if (result == FAILED)
		return FAILED;
	if (!result) {
		event->problems |= 1u << ITS_PROBLEM_PROPERTIES;
		return 0;
	}
	event->enabled = byte & 1;
	event->priority = (uint8_t)(byte & 0xfc);
	if (event->vcpu == ITS_NO_VCPU)
		return 0;
	result = read_byte(walker, &walker->pending,
			   its_pending_address(tables->pendbasers[event->vcpu]) + event->lpi / 8, &byte);
	if (result == FAILED)
		return FAILED;
	if (!result)
		event->problems |= 1u << ITS_PROBLEM_PENDING;
	else
		event->pending = byte >> event->lpi % 8 & 1;
	return 0;
}

/* The interrupt of an event whose collection exists. */
static int take_lpi(struct walker *walker, struct its_event *event)
{
	struct its_owner *owner = event->lpi < ITS_LPI_LIMIT ? &walker->walk->lpis[event->lpi] : NULL;

	/* KVM does not move an LPI that it already has. */
	if (owner && owner->used) {
		event->problems |= 1u << ITS_PROBLEM_LPI_SHARED;
		event->vcpu = owner->vcpu;
	}
	if (event->vcpu == ITS_NO_VCPU)
		event->problems |= 1u << ITS_PROBLEM_NOWHERE;
	if (event->lpi >= its_lpi_limit(walker->tables->propbaser))
		event->problems |= 1u << ITS_PROBLEM_LPI_LIMIT;
	if (read_lpi(walker, event) < 0)
		return FAILED;
	if (owner && !owner->used)
		*owner = (struct its_owner){ .vcpu = event->vcpu, .device = event->device, .event = event->id, .used = true };
	return 0;
}

/* Returns the distance to the next event, END or FAILED. */
static int walk_event(struct walker *walker, const struct its_device *device, uint32_t id, uint64_t address, uint64_t entry)
{
	struct its_walk *walk = walker->walk;
	struct its_event event = {
		.address = address,
		.device = device->id,
		.id = id,
		.lpi = (uint32_t)FIELD(entry, 47, 16),
		.collection = (uint32_t)FIELD(entry, 15, 0),
		.vcpu = ITS_NO_VCPU,
		.next = (uint32_t)FIELD(entry, 63, 48),
	};
	uint16_t vcpu = walk->vcpus[event.collection];

	if (!event.lpi)
		return 1; /* no event, and no distance to the next one */
	if (event.lpi < ITS_FIRST_LPI)
		event.problems |= 1u << ITS_PROBLEM_LPI;
	if (event.id + event.next >= 1u << device->event_bits)
		event.problems |= 1u << ITS_PROBLEM_NEXT;
	if (!vcpu)
		event.problems |= 1u << ITS_PROBLEM_COLLECTION;
	else if (vcpu != NO_VCPU)
		event.vcpu = vcpu - 1u;
	if (vcpu && event.lpi >= ITS_FIRST_LPI && take_lpi(walker, &event) < 0)
		return FAILED;
	take_problems(walker, event.problems);
	walk->events++;
	walk->pending += event.pending && !(event.problems & 1u << ITS_PROBLEM_LPI_SHARED);
	if (walker->visitor->event)
		walker->visitor->event(walker->visitor->owner, &event);
	return event.problems & 1u << ITS_PROBLEM_NEXT ? END : (int)event.next;
}

static int walk_events(struct walker *walker, const struct its_device *device)
{
	uint64_t entry;
	int result = 1;

	for (uint32_t id = 0; id < 1u << device->event_bits; id += (uint32_t)result) {
		uint64_t address = device->itt + id * (uint64_t)ENTRY;

		result = read_entry(walker, &walker->events, address, &entry, ITS_STOP_EVENTS, device->id);
		if (result > 0)
			result = walk_event(walker, device, id, address, entry);
		if (result <= 0)
			return result;
	}
	return 0;
}

/* Devices. */

/* Returns whether the table has a place for this id, as KVM checks. With two levels this may not be the walk's path. */
static int has_place(struct walker *walker, const struct its_baser *table, uint32_t id)
{
	uint64_t at = (uint64_t)(id / SECOND_LEVEL_IDS) * ENTRY, entry;

	if (id >> MAX_ID_BITS)
		return 0;
	if (!table->indirect)
		return id * (uint64_t)ENTRY < table->size;
	if (at >= table->size)
		return 0;
	if (guest_window_read(&walker->first, table->address + at, ENTRY, &entry, walker->error) < 0)
		return walker->error->code == EFAULT ? 0 : FAILED;
	return VALID(entry) && guest_memory_has(walker->tables->memory, (entry & 0xfffffffff0000) +
						id % SECOND_LEVEL_IDS * (uint64_t)ENTRY, ENTRY);
}

static bool seen_before(struct its_walk *walk, uint32_t id)
{
	uint8_t *byte = &walk->device_ids[(id & 0xffff) / 8];
	uint8_t bit = (uint8_t)(1u << id % 8);
	bool seen = *byte & bit;

	*byte |= bit;
	return seen;
}

/* Returns the distance to the next device, END or FAILED. */
static int walk_device(struct walker *walker, const struct its_baser *table, uint32_t id, uint64_t address, uint64_t entry)
{
	struct its_device device = {
		.address = address,
		.id = id,
		.itt = FIELD(entry, 48, 5) << 8,
		.event_bits = (unsigned)FIELD(entry, 4, 0) + 1,
		.next = (uint32_t)FIELD(entry, 62, 49),
	};
	int place;

	if (!VALID(entry))
		return 1;
	device.itt_size = (uint64_t)ENTRY << device.event_bits;
	place = has_place(walker, table, id);
	if (place < 0)
		return FAILED;
	if (device.event_bits > MAX_ID_BITS)
		device.problems |= 1u << ITS_PROBLEM_EVENT_BITS;
	if (!place)
		device.problems |= 1u << ITS_PROBLEM_DEVICE_ID;
	else if (seen_before(walker->walk, id))
		device.problems |= 1u << ITS_PROBLEM_DEVICE_TWICE;
	take_problems(walker, device.problems);
	walker->walk->devices++;
	if (walker->visitor->device)
		walker->visitor->device(walker->visitor->owner, &device);
	if (device.event_bits <= MAX_ID_BITS && walk_events(walker, &device) < 0)
		return FAILED;
	return (int)device.next;
}

/* Walks `size` bytes of device entries. Returns 1 at their end, END after the last device, or FAILED. */
static int walk_devices(struct walker *walker, const struct its_baser *table, struct guest_window *window, uint64_t start,
			uint64_t size, uint32_t first_id, enum its_stop why)
{
	uint64_t at = 0, entry;

	while (at < size) {
		uint32_t id = first_id + (uint32_t)(at / ENTRY);
		int result = read_entry(walker, window, start + at, &entry, why, id);

		/* KVM stops here, but the next block may have more problems. */
		if (result == END && why == ITS_STOP_SECOND && !walker->walk->over)
			return 1;
		if (result > 0)
			result = walk_device(walker, table, id, start + at, entry);
		if (result <= 0)
			return result;
		at += (uint64_t)result * ENTRY;
	}
	return 1;
}

static int walk_first_level(struct walker *walker, const struct its_baser *table)
{
	uint64_t entry;
	int result;

	for (uint64_t at = 0; at < table->size; at += ENTRY) {
		/* KVM's ids have 32 bits. A table of 256 pages exceeds them, and they wrap. */
		uint32_t first_id = (uint32_t)(at / ENTRY) * SECOND_LEVEL_IDS;

		result = read_entry(walker, &walker->first, table->address + at, &entry, ITS_STOP_DEVICES, first_id);
		if (result > 0 && VALID(entry))
			result = walk_devices(walker, table, &walker->second, entry & 0xfffffffff0000, ITS_TABLE_PAGE, first_id,
					      ITS_STOP_SECOND);
		if (result <= 0)
			return result;
	}
	return 0;
}

static int walk_device_table(struct walker *walker)
{
	struct its_baser table = its_baser_decode(walker->tables->device_baser, true);
	int result;

	if (!table.valid)
		return 0;
	if (table.indirect)
		return walk_first_level(walker, &table);
	result = walk_devices(walker, &table, &walker->first, table.address, table.size, 0, ITS_STOP_DEVICES);
	return result < 0 ? result : 0;
}

int its_tables_walk_zeroed(const struct its_tables *tables, const struct its_visitor *visitor, struct its_walk *walk,
			   struct error *error)
{
	struct walker walker = { .tables = tables, .visitor = visitor, .walk = walk, .error = error };

	walker.first.memory = walker.second.memory = walker.events.memory = tables->memory;
	walker.properties.memory = walker.pending.memory = tables->memory;
	if (walk_collections(&walker) < 0 || walk_device_table(&walker) < 0)
		return error_context(error, "reading the ITS's tables");
	return 0;
}

int its_tables_walk(const struct its_tables *tables, const struct its_visitor *visitor, struct its_walk *walk,
		    struct error *error)
{
	memset(walk, 0, sizeof(*walk));
	return its_tables_walk_zeroed(tables, visitor, walk, error);
}
