/* SPDX-License-Identifier: MIT */
/*
 * RAM with an ITS's tables, and a visitor that records a walk over them. The entries are encoded by hand from
 * Documentation/virt/kvm/devices/arm-vgic-its.rst, "ITS Table ABI REV0".
 */
#ifndef TESTS_UNIT_ITS_RIG_H
#define TESTS_UNIT_ITS_RIG_H

#include "unit/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arm/its_table.h"

#define VALID (1ull << 63)
#define INDIRECT (1ull << 62)
#define PROBLEM(name) (1u << ITS_PROBLEM_##name)
#define VCPUS 2u
#define ROOM 64u /* recorded visits of each kind */

/* RAM, and the addresses of the tables in it. */
#define RAM 0x80000000ull
#define RAM_SIZE 0x800000ull
#define END (RAM + RAM_SIZE)
#define DEVICES (RAM + 0x10000)
#define COLLECTIONS (RAM + 0x20000)
#define SECOND(index) (RAM + 0x30000 + 0x10000ull * (index)) /* index 0 to 2 */
#define PROPERTIES (RAM + 0x60000)
#define PENDING(vcpu) (RAM + 0x70000 + 0x10000ull * (vcpu))
#define ITT(number) (RAM + 0x90000 + 0x1000ull * (number))
#define EMPTY (RAM + 0x100000) /* from here to the end, RAM is zero */

#define DTE(itt, bits, next) (VALID | (uint64_t)(next) << 49 | (itt) >> 8 << 5 | ((bits) - 1))
#define ITE(lpi, collection, next) ((uint64_t)(next) << 48 | (uint64_t)(lpi) << 16 | (collection))
#define CTE(id, vcpu) (VALID | (uint64_t)(vcpu) << 16 | (id))

struct rig {
	uint8_t ram[RAM_SIZE];
	struct guest_memory memory;
	uint64_t pendbasers[VCPUS];
	struct its_tables tables;
	struct its_walk walk;
	uint64_t broken; /* address that cannot be read, or 0 */
	unsigned collection_count, device_count, event_count, stop_count;
	struct its_collection collections[ROOM];
	struct its_device devices[ROOM];
	struct its_event events[ROOM];
	struct {
		enum its_stop why;
		uint64_t address;
		uint32_t device;
	} stops[ROOM];
	struct error error;
};

static inline int read_ram(void *owner, uint64_t address, void *to, size_t size, struct error *error)
{
	struct rig *rig = owner;

	assert_true(guest_memory_has(&rig->memory, address, size));
	if (rig->broken >= address && rig->broken < address + size)
		return error_set(error, EIO, "a broken disk");
	memcpy(to, rig->ram + (address - RAM), size);
	return 0;
}

static inline void put(struct rig *rig, uint64_t address, uint64_t entry)
{
	assert_true(guest_memory_has(&rig->memory, address, 8));
	for (unsigned i = 0; i < 8; i++)
		rig->ram[address - RAM + i] = (uint8_t)(entry >> 8 * i);
}

/* Two collections, one for each vCPU; device 2 with the events 0 and 3; device 5 with event 1. */
static inline int open_rig(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->memory = (struct guest_memory){ .base = RAM, .size = RAM_SIZE, .read = read_ram, .owner = rig };
	for (unsigned i = 0; i < VCPUS; i++)
		rig->pendbasers[i] = PENDING(i);
	rig->tables = (struct its_tables){
		.memory = &rig->memory, .device_baser = VALID | DEVICES, .collection_baser = VALID | COLLECTIONS,
		.propbaser = PROPERTIES | 15, .vcpu_count = VCPUS, .pendbasers = rig->pendbasers,
	};
	put(rig, COLLECTIONS, CTE(0, 0));
	put(rig, COLLECTIONS + 8, CTE(1, 1));
	put(rig, DEVICES + 8 * 2, DTE(ITT(2), 2, 3));
	put(rig, ITT(2), ITE(8192, 0, 3));
	put(rig, ITT(2) + 8 * 3, ITE(8300, 1, 0));
	put(rig, DEVICES + 8 * 5, DTE(ITT(5), 1, 0));
	put(rig, ITT(5) + 8 * 1, ITE(65535, 1, 0));
	*state = rig;
	return 0;
}

static inline int close_rig(void **state)
{
	free(*state);
	return 0;
}

static inline void see_collection(void *owner, const struct its_collection *collection)
{
	struct rig *rig = owner;

	if (rig->collection_count < ROOM)
		rig->collections[rig->collection_count++] = *collection;
}

static inline void see_device(void *owner, const struct its_device *device)
{
	struct rig *rig = owner;

	if (rig->device_count < ROOM)
		rig->devices[rig->device_count++] = *device;
}

static inline void see_event(void *owner, const struct its_event *event)
{
	struct rig *rig = owner;

	if (rig->event_count < ROOM)
		rig->events[rig->event_count++] = *event;
}

static inline void see_stop(void *owner, enum its_stop why, uint64_t address, uint32_t device)
{
	struct rig *rig = owner;

	assert_true(rig->stop_count < ROOM);
	rig->stops[rig->stop_count].why = why;
	rig->stops[rig->stop_count].address = address;
	rig->stops[rig->stop_count++].device = device;
}

static inline int walk(struct rig *rig)
{
	const struct its_visitor visitor = {
		.collection = see_collection, .device = see_device, .event = see_event, .stop = see_stop, .owner = rig,
	};

	rig->collection_count = rig->device_count = rig->event_count = rig->stop_count = 0;
	return its_tables_walk(&rig->tables, &visitor, &rig->walk, &rig->error);
}

/* Walks without a stop, and expects these numbers of entries. */
static inline void expect(struct rig *rig, int refusal, unsigned collections, unsigned devices, unsigned events)
{
	assert_int_equal(walk(rig), 0);
	assert_int_equal(rig->walk.refusal, refusal);
	assert_int_equal(rig->collection_count, collections);
	assert_int_equal(rig->device_count, devices);
	assert_int_equal(rig->event_count, events);
	assert_int_equal(rig->walk.collections, collections);
	assert_int_equal(rig->walk.devices, devices);
	assert_int_equal(rig->walk.events, events);
	assert_int_equal(rig->stop_count, 0);
	assert_false(rig->walk.over);
}

static inline void expect_device(struct rig *rig, unsigned index, uint32_t id, uint64_t address)
{
	assert_int_equal(rig->devices[index].id, id);
	assert_int_equal(rig->devices[index].address, address);
}

static inline void expect_event(struct rig *rig, unsigned index, uint32_t device, uint32_t id, uint32_t lpi)
{
	assert_int_equal(rig->events[index].device, device);
	assert_int_equal(rig->events[index].id, id);
	assert_int_equal(rig->events[index].lpi, lpi);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, open_rig, close_rig)

#endif
