/* SPDX-License-Identifier: MIT */
/* kvm/bus.c: finds the region of an access, and allows changes during accesses. */
#include "unit/test.h"

#include <errno.h>
#include <stdatomic.h>

#include "kvm/bus.h"
#include "util/bits.h"

struct device {
	struct bus *bus;
	uint64_t offset, value;
	unsigned size, calls;
};

static uint64_t device_read(void *owner, uint64_t offset, unsigned size)
{
	struct device *device = owner;

	*device = (struct device){ .offset = offset, .size = size, .calls = device->calls + 1 };
	return 0x1234;
}

static void device_write(void *owner, uint64_t offset, unsigned size, uint64_t value)
{
	struct device *device = owner;

	*device = (struct device){ .offset = offset, .size = size, .value = value, .calls = device->calls + 1 };
}

static const struct bus_ops device_ops = { .read = device_read, .write = device_write };

static int map(struct bus *bus, uint64_t base, uint64_t size, struct device *device, struct error *error)
{
	const struct bus_region region = { .base = base, .size = size, .ops = &device_ops, .owner = device };

	return bus_map(bus, &region, error);
}

static void access_reaches_its_region(void **state)
{
	struct device a = { 0 }, b = { 0 }, end = { 0 };
	struct error error;
	struct bus bus;
	uint64_t value;

	(void)state;
	assert_int_equal(bus_open(&bus, &error), 0);
	assert_int_equal(map(&bus, 0x2000, 0x1000, &b, &error), 0);
	assert_int_equal(map(&bus, 0x1000, 0x1000, &a, &error), 0); /* side by side */
	assert_int_equal(map(&bus, 0xfffffffffffff000, 0x1000, &end, &error), 0);

	assert_true(bus_read(&bus, 0x1ffc, 4, &value));
	assert_int_equal(value, 0x1234);
	assert_int_equal(a.offset, 0xffc);
	assert_int_equal(a.size, 4);
	assert_true(bus_write(&bus, 0x2000, 8, 99));
	assert_int_equal(b.offset, 0);
	assert_int_equal(b.value, 99);
	assert_true(bus_read(&bus, UINT64_MAX, 1, &value));
	assert_int_equal(end.offset, 0xfff);
	assert_int_equal(a.calls + b.calls + end.calls, 3);

	/* Accesses outside of a region or across its end fail, also if another region follows or the addresses end there. */
	assert_false(bus_read(&bus, 0xfff, 1, &value));
	assert_true(value == UINT64_MAX);
	assert_false(bus_read(&bus, 0x1ffd, 4, &value));
	assert_false(bus_write(&bus, 0x2ff9, 8, 0));
	assert_false(bus_write(&bus, 0x3000, 1, 0));
	assert_false(bus_read(&bus, UINT64_MAX, 2, &value));
	assert_false(bus_read(&bus, 0, 1, &value));
	assert_int_equal(a.calls + b.calls + end.calls, 3);
	bus_close(&bus);
}

static void bus_map_refuses_bad_and_overlapping_regions(void **state)
{
	struct device device = { 0 };
	struct error error;
	struct bus bus;

	(void)state;
	bus_open(&bus, &error);
	assert_int_equal(map(&bus, 0x1000, 0, &device, &error), -1);
	assert_int_equal(error.code, EINVAL);
	assert_int_equal(map(&bus, UINT64_MAX - 10, 12, &device, &error), -1);
	assert_int_equal(error.code, EINVAL);
	assert_int_equal(map(&bus, 0, UINT64_MAX, &device, &error), 0);
	bus_unmap(&bus, 0, &device);

	assert_int_equal(map(&bus, 0x1000, 0x1000, &device, &error), 0);
	static const uint64_t overlaps[][2] = {
		{ 0x1000, 0x1000 }, { 0x1000, 1 }, { 0x1fff, 1 }, { 0xfff, 2 }, { 0x800, 0x2000 }, { 0x1800, 0x1000 },
	};
	for (size_t i = 0; i < COUNT(overlaps); i++) {
		assert_int_equal(map(&bus, overlaps[i][0], overlaps[i][1], &device, &error), -1);
		assert_int_equal(error.code, EEXIST);
	}
	assert_int_equal(bus.count, 1);
	bus_close(&bus);
}

static void bus_map_fails_when_the_bus_is_full(void **state)
{
	struct device devices[BUS_MAX_REGIONS] = { 0 };
	struct device more = { 0 };
	struct error error;
	struct bus bus;
	uint64_t value;

	(void)state;
	bus_open(&bus, &error);
	/* The order is neither ascending nor descending: 7 and the number of regions have no common factor. */
	for (unsigned i = 0; i < BUS_MAX_REGIONS; i++) {
		unsigned place = i * 7 % BUS_MAX_REGIONS;

		assert_int_equal(map(&bus, place * 0x100ull, 0x80, &devices[place], &error), 0);
	}
	assert_int_equal(map(&bus, 0x80, 0x80, &more, &error), -1);
	assert_int_equal(error.code, ENOSPC);
	for (unsigned i = 0; i < BUS_MAX_REGIONS; i++) {
		assert_true(bus_read(&bus, i * 0x100ull + 0x7f, 1, &value));
		assert_false(bus_read(&bus, i * 0x100ull + 0x80, 1, &value));
		assert_int_equal(devices[i].calls, 1);
	}
	bus_close(&bus);
}

static void bus_unmap_requires_base_and_owner(void **state)
{
	struct device a = { 0 }, b = { 0 };
	struct error error;
	struct bus bus;
	uint64_t value;

	(void)state;
	bus_open(&bus, &error);
	bus_unmap(&bus, 0x1000, &a);
	map(&bus, 0x1000, 0x1000, &a, &error);
	map(&bus, 0x3000, 0x1000, &b, &error);
	bus_unmap(&bus, 0x1000, &b);
	bus_unmap(&bus, 0x1800, &a);
	bus_unmap(&bus, 0x2000, &a);
	assert_true(bus_read(&bus, 0x1000, 4, &value));
	bus_unmap(&bus, 0x1000, &a);
	assert_false(bus_read(&bus, 0x1000, 4, &value));
	assert_true(bus_read(&bus, 0x3000, 4, &value));
	bus_close(&bus);
}

/* A region moves itself during a write, as a BAR does. */
static void move_itself(void *owner, uint64_t offset, unsigned size, uint64_t value)
{
	static const struct bus_ops ops = { .read = device_read, .write = move_itself };
	struct device *device = owner;
	const struct bus_region there = { .base = value, .size = 0x1000, .ops = &ops, .owner = device };
	struct error error;

	(void)offset;
	(void)size;
	bus_unmap(device->bus, 0x1000, device);
	assert_int_equal(bus_map(device->bus, &there, &error), 0);
}

static void device_moves_its_region_during_an_access(void **state)
{
	static const struct bus_ops ops = { .read = device_read, .write = move_itself };
	struct bus bus;
	struct device device = { .bus = &bus };
	const struct bus_region here = { .base = 0x1000, .size = 0x1000, .ops = &ops, .owner = &device };
	struct error error;
	uint64_t value;

	(void)state;
	bus_open(&bus, &error);
	bus_map(&bus, &here, &error);
	assert_true(bus_write(&bus, 0x1000, 4, 0x8000));
	assert_false(bus_read(&bus, 0x1000, 4, &value));
	assert_true(bus_read(&bus, 0x8000, 4, &value));
	bus_close(&bus);
}

static uint64_t constant_read(void *owner, uint64_t offset, unsigned size)
{
	(void)owner;
	(void)size;
	return offset;
}

struct reader {
	struct bus *bus;
	atomic_bool stop;
	bool wrong;
};

static void *read_on(void *argument)
{
	struct reader *reader = argument;
	uint64_t value;

	while (!atomic_load(&reader->stop))
		if (!bus_read(reader->bus, 0x2010, 1, &value) || value != 0x10)
			reader->wrong = true;
	return NULL;
}

static void region_is_found_while_others_change(void **state)
{
	static const struct bus_ops ops = { .read = constant_read };
	const struct bus_region fixed = { .base = 0x2000, .size = 0x1000, .ops = &ops };
	const struct bus_region other = { .base = 0x1000, .size = 0x1000, .ops = &ops };
	struct bus bus;
	struct reader reader = { .bus = &bus };
	struct error error;
	pthread_t thread;

	(void)state;
	bus_open(&bus, &error);
	bus_map(&bus, &fixed, &error);
	pthread_create(&thread, NULL, read_on, &reader);
	for (unsigned i = 0; i < 2000; i++) {
		assert_int_equal(bus_map(&bus, &other, &error), 0);
		bus_unmap(&bus, other.base, other.owner);
	}
	atomic_store(&reader.stop, true);
	pthread_join(thread, NULL);
	assert_false(reader.wrong);
	bus_close(&bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(access_reaches_its_region),
		cmocka_unit_test(bus_map_refuses_bad_and_overlapping_regions),
		cmocka_unit_test(bus_map_fails_when_the_bus_is_full),
		cmocka_unit_test(bus_unmap_requires_base_and_owner),
		cmocka_unit_test(device_moves_its_region_during_an_access),
		cmocka_unit_test(region_is_found_while_others_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
