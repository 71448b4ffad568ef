/* SPDX-License-Identifier: MIT */
/* arm/its_table.c: walks the ITS's tables that KVM saved of a guest with Debian's kernel (tests/golden/README.md). */
#include "unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "inspect/inspect.h"

#define DEVICES 5u
#define EVENTS 32u /* of each device */
#define LPI 8256u  /* the first LPI; the others follow */
#define PENDING 8261u

struct seen {
	unsigned collections, devices, events, stops;
};

static void see_collection(void *owner, const struct its_collection *collection)
{
	((struct seen *)owner)->collections++;
	assert_int_equal(collection->id, 0);
	assert_int_equal(collection->vcpu, 0);
	assert_int_equal(collection->problems, 0);
	assert_int_equal(collection->address, 0x802e0000);
}

static void see_device(void *owner, const struct its_device *device)
{
	unsigned number = ((struct seen *)owner)->devices++;

	assert_int_equal(device->id, 8 * number);
	assert_int_equal(device->itt, 0x802aa000 + 0x100 * number);
	assert_int_equal(device->itt_size, 8 * EVENTS);
	assert_int_equal(device->event_bits, 5);
	assert_int_equal(device->next, number < DEVICES - 1 ? 8 : 0);
	assert_int_equal(device->problems, 0);
}

static void see_event(void *owner, const struct its_event *event)
{
	unsigned number = ((struct seen *)owner)->events++;

	assert_int_equal(event->device, number / EVENTS * 8);
	assert_int_equal(event->id, number % EVENTS);
	assert_int_equal(event->lpi, LPI + number);
	assert_int_equal(event->collection, 0);
	assert_int_equal(event->vcpu, 0);
	assert_int_equal(event->next, event->id < EVENTS - 1);
	assert_true(event->enabled);
	assert_int_equal(event->priority, 0xa0);
	assert_int_equal(event->pending, event->lpi == PENDING);
	assert_int_equal(event->problems, 0);
}

static void see_stop(void *owner, enum its_stop stop, uint64_t address, uint32_t device)
{
	(void)stop;
	(void)address;
	(void)device;
	((struct seen *)owner)->stops++;
}

/* Unpacks into an unnamed file. Zero pages become holes. */
static int unpack(const char *packed, char path[32])
{
	static const uint8_t zeroes[4096];
	int fd = memfd_create("snapshot", MFD_CLOEXEC);
	gzFile from = gzopen(packed, "rb");
	uint8_t page[4096];
	off_t end = 0;
	int got;

	assert_non_null(from);
	assert_true(fd >= 0);
	for (; (got = gzread(from, page, sizeof(page))) > 0; end += got)
		if (memcmp(page, zeroes, (size_t)got) != 0)
			assert_int_equal(pwrite(fd, page, (size_t)got, end), got);
	assert_int_equal(gzclose(from), Z_OK);
	assert_int_equal(ftruncate(fd, end), 0);
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

static void its_walk_finds_all_events_of_a_real_guest(void **state)
{
	struct its_walk *walk = malloc(sizeof(*walk));
	struct seen seen = { 0 };
	const struct its_visitor visitor = {
		.collection = see_collection, .device = see_device, .event = see_event, .stop = see_stop, .owner = &seen,
	};
	struct inspection inspection;
	struct snapshot snapshot;
	struct its_tables tables;
	struct error error;
	char path[32];
	int fd = unpack("tests/golden/real-1.lkvm.gz", path);

	(void)state;
	if (snapshot_open(&snapshot, path, &error) < 0 || inspection_open(&inspection, &snapshot, &error) < 0 ||
	    inspection_its_tables(&inspection, &tables, &error) < 0 ||
	    its_tables_walk(&tables, &visitor, walk, &error) < 0)
		fail_msg("%s", error.text);
	assert_int_equal(walk->refusal, 0);
	assert_int_equal(seen.collections, 1);
	assert_int_equal(seen.devices, DEVICES);
	assert_int_equal(seen.events, DEVICES * EVENTS);
	assert_int_equal(seen.stops, 0);
	assert_int_equal(walk->pending, 1);
	assert_int_equal(walk->lpis[PENDING].device, 0);
	assert_int_equal(walk->lpis[PENDING].event, 5);
	inspection_close(&inspection);
	snapshot_close(&snapshot);
	close(fd);
	free(walk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_walk_finds_all_events_of_a_real_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
