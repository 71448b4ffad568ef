/* SPDX-License-Identifier: MIT */
/* arm/its_table.c and its_problem.c: problems of tables, the predicted refusal of KVM, and that each walk ends. */
#include "unit/its_rig.h"
#include "util/bits.h"


static void its_walk_reports_each_problem_of_an_entry(void **state)
{
	static const struct {
		enum its_problem problem;
		uint64_t address, entry;
		enum { OF_COLLECTION, OF_DEVICE, OF_EVENT } of;
		unsigned index;
	} rows[] = {
		{ ITS_PROBLEM_VCPU, COLLECTIONS + 16, CTE(2, VCPUS), OF_COLLECTION, 2 },
		{ ITS_PROBLEM_VCPU, COLLECTIONS + 16, CTE(2, 0xfffffffe), OF_COLLECTION, 2 },
		{ ITS_PROBLEM_TWICE, COLLECTIONS + 16, CTE(1, 0), OF_COLLECTION, 2 },
		{ ITS_PROBLEM_COLLECTION_ID, COLLECTIONS + 16, CTE(8192, 0), OF_COLLECTION, 2 },
		{ ITS_PROBLEM_EVENT_BITS, DEVICES + 8 * 3, DTE(ITT(6), 17, 2), OF_DEVICE, 1 },
		{ ITS_PROBLEM_EVENT_BITS, DEVICES + 8 * 3, DTE(ITT(6), 32, 2), OF_DEVICE, 1 },
		{ ITS_PROBLEM_LPI, ITT(2) + 8, ITE(8191, 0, 2), OF_EVENT, 1 },
		{ ITS_PROBLEM_LPI, ITT(2) + 8, ITE(1, 0, 2), OF_EVENT, 1 },
		{ ITS_PROBLEM_NEXT, ITT(2) + 24, ITE(8300, 0, 1), OF_EVENT, 1 },
		{ ITS_PROBLEM_NEXT, ITT(2) + 24, ITE(8300, 0, 65535), OF_EVENT, 1 },
		{ ITS_PROBLEM_COLLECTION, ITT(2) + 8, ITE(8200, 2, 2), OF_EVENT, 1 },
		{ ITS_PROBLEM_COLLECTION, ITT(2) + 8, ITE(8200, 65535, 2), OF_EVENT, 1 },
		{ ITS_PROBLEM_PROPERTIES, ITT(2) + 8, ITE(0xffffffff, 1, 2), OF_EVENT, 1 },
		{ ITS_PROBLEM_LPI_LIMIT, ITT(2) + 8, ITE(65536, 1, 2), OF_EVENT, 1 },
		{ ITS_PROBLEM_NOWHERE, COLLECTIONS, CTE(0, 0xffffffff), OF_EVENT, 0 },
	};
	struct rig *rig = *state;

	put(rig, ITT(2), ITE(8192, 0, 1));
	put(rig, DEVICES + 8 * 2, DTE(ITT(2), 2, 1));
	put(rig, COLLECTIONS + 24, CTE(9, 1));
	for (size_t i = 0; i < COUNT(rows); i++) {
		bool refused = rows[i].problem < ITS_PROBLEMS_REFUSED;
		uint8_t kept[8];
		uint32_t told;

		memcpy(kept, rig->ram + (rows[i].address - RAM), 8);
		put(rig, rows[i].address, rows[i].entry);
		assert_int_equal(walk(rig), 0);
		told = rows[i].of == OF_COLLECTION ? rig->collections[rows[i].index].problems :
		       rows[i].of == OF_DEVICE     ? rig->devices[rows[i].index].problems :
						     rig->events[rows[i].index].problems;
		if (rows[i].problem == ITS_PROBLEM_PROPERTIES)
			told &= ~PROBLEM(LPI_LIMIT); /* an LPI above all tables is above the limit, too */
		assert_int_equal(told, 1u << rows[i].problem);
		assert_int_equal(rig->walk.refusal, refused ? its_problem_refusal(rows[i].problem) : 0);
		expect_event(rig, rig->event_count - 1, 5, 1, 65535);
		memcpy(rig->ram + (rows[i].address - RAM), kept, 8);
	}
}

static void its_walk_reports_problems_of_registers(void **state)
{
	struct rig *rig = *state;

	rig->pendbasers[1] = END;
	expect(rig, EFAULT, 2, 2, 3);
	assert_int_equal(rig->events[0].problems, 0);
	assert_int_equal(rig->events[1].problems, PROBLEM(PENDING));
	rig->pendbasers[1] = END - 0x10000;
	expect(rig, 0, 2, 2, 3);
	rig->tables.propbaser = PROPERTIES | 14;
	expect(rig, 0, 2, 2, 3);
	assert_int_equal(rig->events[1].problems, 0);
	assert_int_equal(rig->events[2].problems, PROBLEM(LPI_LIMIT));
	rig->tables.propbaser = (END - 0x1000) | 15;
	expect(rig, EFAULT, 2, 2, 3);
	assert_int_equal(rig->events[1].problems, 0);
	assert_int_equal(rig->events[2].problems, PROBLEM(PROPERTIES));
	rig->tables.propbaser = 0;
	expect(rig, EFAULT, 2, 2, 3);
	/* More than 16 bits of devices. */
	rig->tables.propbaser = PROPERTIES | 15;
	rig->tables.device_baser = VALID | EMPTY | 15;
	put(rig, EMPTY + 8 * 65536, DTE(ITT(2), 2, 0));
	expect(rig, EINVAL, 2, 1, 2);
	assert_int_equal(rig->devices[0].problems, PROBLEM(DEVICE_ID));
	rig->tables.device_baser = VALID | (END - 0x80000) | 15;
	put(rig, END - 8, DTE(ITT(2), 2, 1));
	assert_int_equal(walk(rig), 0); /* its other half is not RAM */
	assert_int_equal(rig->walk.refusal, EFAULT);
	expect_device(rig, 0, 65535, END - 8);
	assert_int_equal(rig->devices[0].problems, 0);
	assert_int_equal(rig->stops[0].why, ITS_STOP_DEVICES);
	assert_int_equal(rig->stops[0].address, END);
}

static void its_walk_predicts_the_first_refusal(void **state)
{
	struct rig *rig = *state;

	put(rig, ITT(2), ITE(0xffffffff, 0, 3));
	put(rig, ITT(2) + 24, ITE(1, 9, 9));
	expect(rig, EFAULT, 2, 2, 3);
	assert_int_equal(rig->events[1].problems, PROBLEM(LPI) | PROBLEM(NEXT) | PROBLEM(COLLECTION));
	put(rig, COLLECTIONS + 16, CTE(1, 1));
	expect(rig, EEXIST, 3, 2, 3);
	put(rig, COLLECTIONS + 16, CTE(1, VCPUS));
	expect(rig, EINVAL, 3, 2, 3);
	assert_int_equal(rig->collections[2].problems, PROBLEM(VCPU) | PROBLEM(TWICE));
}

static void expect_stop(struct rig *rig, enum its_stop why, uint64_t address, unsigned devices, unsigned events)
{
	assert_int_equal(walk(rig), 0);
	assert_int_equal(rig->walk.refusal, EFAULT);
	assert_int_equal(rig->stop_count, 1);
	assert_int_equal(rig->stops[0].why, why);
	assert_int_equal(rig->stops[0].address, address);
	assert_int_equal(rig->device_count, devices);
	assert_int_equal(rig->event_count, events);
}

static void its_walk_reports_tables_outside_ram(void **state)
{
	struct rig *rig = *state;

	rig->tables.collection_baser = VALID | (RAM - 0x10000);
	expect_stop(rig, ITS_STOP_COLLECTIONS, RAM - 0x10000, 2, 3);
	rig->tables.collection_baser = VALID | COLLECTIONS;
	rig->tables.device_baser = VALID | 0x1000;
	expect_stop(rig, ITS_STOP_DEVICES, 1ull << 48, 0, 0);
	rig->tables.device_baser = VALID | INDIRECT | (END - 0x10000) | 255;
	expect_stop(rig, ITS_STOP_DEVICES, END, 0, 0);
	rig->tables.device_baser = VALID | INDIRECT | (END - 0x10000);
	put(rig, END - 8, VALID | 0x10000);
	expect_stop(rig, ITS_STOP_SECOND, 0x10000, 0, 0);
	/* KVM stops here. The walk continues, to find more problems. */
	put(rig, END - 16, VALID | 0x20000);
	assert_int_equal(walk(rig), 0);
	assert_int_equal(rig->stop_count, 2);
	assert_int_equal(rig->stops[0].address, 0x20000);
	assert_int_equal(rig->stops[1].address, 0x10000);
	put(rig, END - 16, 0);
	put(rig, END - 8, VALID | 1ull << 51 | SECOND(0));
	expect_stop(rig, ITS_STOP_SECOND, 1ull << 51 | SECOND(0), 0, 0);
	put(rig, END - 8, 0);
	rig->tables.device_baser = VALID | DEVICES;
	/* The walk stops in an ITT, and continues with the next device. */
	put(rig, DEVICES + 16, DTE(END - 256, 6, 3));
	put(rig, END - 256, ITE(8200, 0, 31));
	put(rig, END - 8, ITE(8201, 0, 1));
	expect_stop(rig, ITS_STOP_EVENTS, END, 2, 3);
	assert_int_equal(rig->stops[0].device, 2);
	put(rig, DEVICES + 16, DTE(0xfffffffffff00, 16, 3));
	expect_stop(rig, ITS_STOP_EVENTS, 0xfffffffffff00, 2, 1);
}

static void its_walk_fails_when_memory_cannot_be_read(void **state)
{
	static const uint64_t places[] = {
		COLLECTIONS, DEVICES, ITT(2), PROPERTIES, PENDING(0) + 1024, PENDING(1) + 8191,
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < COUNT(places); i++) {
		rig->broken = places[i];
		assert_int_equal(walk(rig), -1);
		assert_int_equal(rig->error.code, EIO);
		assert_string_equal(rig->error.text, "reading the ITS's tables: a broken disk");
	}
	rig->broken = SECOND(0) + 0x1000;
	rig->tables.device_baser |= INDIRECT;
	put(rig, DEVICES + 16, SECOND(0) | VALID);
	assert_int_equal(walk(rig), -1);
}

static void its_walk_stops_at_its_limit_of_entries(void **state)
{
	struct rig *rig = *state;

	for (unsigned i = 0; i < 8192; i++)
		put(rig, DEVICES + 8 * i, DTE(EMPTY, 16, 1));
	assert_int_equal(walk(rig), 0);
	assert_true(rig->walk.over);
	assert_int_equal(rig->walk.entries, (1u << 24) + 1);
	assert_int_equal(rig->stop_count, 1);
	assert_int_equal(rig->stops[0].why, ITS_STOP_LIMIT);
	assert_int_equal(rig->walk.refusal, 0);
}

/* A first level of more than 64 pages exceeds ids of 32 bits, so the ids begin again at 0. */
static void its_walk_reports_devices_that_are_there_twice(void **state)
{
	struct rig *rig = *state;

	rig->tables.device_baser = VALID | INDIRECT | EMPTY | 64;
	put(rig, EMPTY, SECOND(0) | VALID);
	put(rig, SECOND(0) + 8 * 7, DTE(ITT(2), 2, 16383));
	put(rig, EMPTY + 0x400000, SECOND(1) | VALID);
	put(rig, SECOND(1) + 8 * 7, DTE(ITT(5), 1, 0));
	expect(rig, 0, 2, 2, 3);
	assert_int_equal(rig->devices[0].problems, 0);
	expect_device(rig, 1, 7, SECOND(1) + 8 * 7);
	assert_int_equal(rig->devices[1].problems, PROBLEM(DEVICE_TWICE));
	/* Without the first one, the entry is not at the place of its id. */
	put(rig, EMPTY, SECOND(0)); /* not valid */
	expect(rig, EINVAL, 2, 1, 1);
	assert_int_equal(rig->devices[0].problems, PROBLEM(DEVICE_ID));
	put(rig, EMPTY, END | VALID);
	put(rig, EMPTY + 8, SECOND(0) | VALID);
	assert_int_equal(walk(rig), 0);
	assert_int_equal(rig->stops[0].why, ITS_STOP_SECOND);
}

static void problems_and_stops_have_texts(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ITS_PROBLEMS; i++) {
		int refusal = its_problem_refusal((enum its_problem)i);

		assert_int_equal(refusal != 0, i < ITS_PROBLEMS_REFUSED);
		assert_true(strlen(its_problem_text((enum its_problem)i)) > 10);
	}
	for (unsigned i = 0; i <= ITS_STOP_LIMIT; i++)
		assert_true(strlen(its_stop_text((enum its_stop)i)) > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(its_walk_reports_each_problem_of_an_entry),
		WITH_RIG(its_walk_reports_problems_of_registers),
		WITH_RIG(its_walk_predicts_the_first_refusal),
		WITH_RIG(its_walk_reports_tables_outside_ram),
		WITH_RIG(its_walk_fails_when_memory_cannot_be_read),
		WITH_RIG(its_walk_stops_at_its_limit_of_entries),
		WITH_RIG(its_walk_reports_devices_that_are_there_twice),
		cmocka_unit_test(problems_and_stops_have_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
