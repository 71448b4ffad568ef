/* SPDX-License-Identifier: MIT */
/* arm/its_table.c: entries of tables, and the order of a walk. tests/irqchip/predict.h compares the same with KVM. */
#include "unit/its_rig.h"

static void its_registers_are_decoded(void **state)
{
	struct its_baser baser = its_baser_decode(0, true);

	(void)state;
	assert_false(baser.valid || baser.indirect);
	assert_int_equal(baser.address, 0);
	assert_int_equal(baser.size, 0x10000);
	baser = its_baser_decode(VALID, true);
	assert_true(baser.valid && !baser.indirect);
	baser = its_baser_decode(INDIRECT, true);
	assert_true(!baser.valid && baser.indirect);
	assert_false(its_baser_decode(INDIRECT, false).indirect);
	/* Bits 47:16 are the address's, bits 15:12 its bits 51:48. KVM uses pages of 64 KiB for any value of bits 9:8. */
	assert_int_equal(its_baser_decode(~0ull, true).address, 0xfffffffff0000);
	assert_int_equal(its_baser_decode(0x0000ffffffff0000, true).address, 0xffffffff0000);
	assert_int_equal(its_baser_decode(0xf000, true).address, 0xf000000000000);
	assert_int_equal(its_baser_decode(0x1000, true).address, 0x1000000000000);
	assert_int_equal(its_baser_decode(0x7fff000000000fff, true).address, 0);
	assert_int_equal(its_baser_decode(0xff, true).size, 0x1000000);
	assert_int_equal(its_baser_decode(0xffffffffffffff01, true).size, 0x20000);

	assert_int_equal(its_lpi_limit(0), 2);
	assert_int_equal(its_lpi_limit(13), 16384);
	assert_int_equal(its_lpi_limit(14), 32768);
	assert_int_equal(its_lpi_limit(15), 65536);
	assert_int_equal(its_lpi_limit(16), 65536);
	assert_int_equal(its_lpi_limit(31), 65536);
	assert_int_equal(its_lpi_limit(~0x1full), 2);
	assert_int_equal(its_properties_address(~0ull), 0xffffffffff000);
	assert_int_equal(its_pending_address(~0ull), 0xfffffffff0000);
}

static void device_entry_decodes_each_bit(void **state)
{
	struct rig *rig = *state;

	for (unsigned bit = 0; bit < 63; bit++) {
		uint64_t entry = VALID | 1ull << bit;
		const struct its_device *device = &rig->devices[0];

		put(rig, DEVICES + 8 * 2, entry);
		assert_int_equal(walk(rig), 0);
		expect_device(rig, 0, 2, DEVICES + 8 * 2);
		assert_int_equal(device->event_bits, bit < 5 ? 1 + (1u << bit) : 1);
		assert_int_equal(device->itt_size, 8ull << device->event_bits);
		assert_int_equal(device->itt, bit >= 5 && bit < 49 ? 256ull << (bit - 5) : 0);
		assert_int_equal(device->next, bit >= 49 ? 1u << (bit - 49) : 0);
	}
	put(rig, DEVICES + 8 * 2, ~VALID);
	expect(rig, 0, 2, 1, 1); /* only the device after it */
}

static void event_entry_decodes_each_bit(void **state)
{
	struct rig *rig = *state;

	for (unsigned bit = 0; bit < 64; bit++) {
		const struct its_event *event = &rig->events[0];

		put(rig, ITT(2), 1ull << 47 | 1ull << bit);
		assert_int_equal(walk(rig), 0);
		assert_int_equal(event->address, ITT(2));
		assert_int_equal(event->device, 2);
		assert_int_equal(event->id, 0);
		assert_int_equal(event->collection, bit < 16 ? 1u << bit : 0);
		assert_int_equal(event->lpi, bit >= 16 && bit < 48 ? 0x80000000u | 1u << (bit - 16) : 0x80000000u);
		assert_int_equal(event->next, bit >= 48 ? 1u << (bit - 48) : 0);
	}
	/* An entry with INTID 0 is no event, with any other bits. */
	put(rig, ITT(2), 0xffff00000000ffff);
	expect(rig, 0, 2, 2, 2);
	expect_event(rig, 0, 2, 3, 8300);
}

static void collection_entry_decodes_each_bit(void **state)
{
	struct rig *rig = *state;

	for (unsigned bit = 0; bit < 63; bit++) {
		const struct its_collection *collection = &rig->collections[0];

		put(rig, COLLECTIONS, VALID | 1ull << bit);
		assert_int_equal(walk(rig), 0);
		assert_int_equal(collection->address, COLLECTIONS);
		assert_int_equal(collection->id, bit < 16 ? 1u << bit : 0);
		assert_int_equal(collection->vcpu, bit >= 16 && bit < 48 ? 1u << (bit - 16) : 0);
	}
	put(rig, COLLECTIONS, CTE(0, 0xffffffff));
	expect(rig, 0, 2, 2, 3);
	assert_int_equal(rig->collections[0].vcpu, ITS_NO_VCPU);
	assert_int_equal(rig->collections[0].problems, 0);
	assert_int_equal(rig->walk.vcpus[0], 0xffff);
	assert_int_equal(rig->walk.vcpus[1], 2);
	assert_int_equal(rig->walk.vcpus[2], 0);
}

static void its_walk_visits_flat_table(void **state)
{
	struct rig *rig = *state;

	expect(rig, 0, 2, 2, 3);
	expect_device(rig, 0, 2, DEVICES + 16);
	expect_device(rig, 1, 5, DEVICES + 40);
	expect_event(rig, 0, 2, 0, 8192);
	expect_event(rig, 1, 2, 3, 8300);
	expect_event(rig, 2, 5, 1, 65535);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(rig->events[i].problems, 0);
	assert_int_equal(rig->events[0].vcpu, 0);
	assert_int_equal(rig->events[1].vcpu, 1);
	assert_true(rig->walk.lpis[8300].used);
	assert_int_equal(rig->walk.lpis[8300].device, 2);
	assert_int_equal(rig->walk.lpis[8300].event, 3);
	assert_int_equal(rig->walk.lpis[8300].vcpu, 1);
	assert_false(rig->walk.lpis[8301].used);
}

static void its_walk_skips_old_entries_by_the_next_field(void **state)
{
	struct rig *rig = *state;

	put(rig, DEVICES + 8 * 3, DTE(ITT(5), 32, 0));
	put(rig, ITT(2) + 8, ITE(1, 99, 65535));
	put(rig, COLLECTIONS + 24, CTE(1, 77)); /* after the first one that is not valid */
	put(rig, DEVICES + 8 * 6, DTE(0ull, 32, 1)); /* after the last */
	expect(rig, 0, 2, 2, 3);

	/* The offset to the next device has 14 bits. After the largest offset, the walk continues entry by entry. */
	rig->tables.device_baser = VALID | (EMPTY) | 7;
	put(rig, EMPTY, DTE(ITT(2), 2, 16383));
	put(rig, EMPTY + 8 * 16382, DTE(ITT(5), 32, 0));
	put(rig, EMPTY + 8 * 20000, DTE(ITT(5), 1, 0));
	expect(rig, 0, 2, 2, 3);
	expect_device(rig, 1, 20000, EMPTY + 8 * 20000);
}

static void its_walk_stops_at_the_end_of_each_table(void **state)
{
	struct rig *rig = *state;

	/* Devices: 8191 is the last entry of the page, and its next device would be in another table. */
	put(rig, DEVICES + 8 * 5, DTE(ITT(5), 1, 8186));
	put(rig, DEVICES + 8 * 8191, DTE(ITT(7), 1, 1));
	expect(rig, 0, 2, 3, 3);
	expect_device(rig, 2, 8191, COLLECTIONS - 8);
	put(rig, DEVICES + 8 * 5, DTE(ITT(5), 1, 8187));
	expect(rig, 0, 2, 2, 3);
	put(rig, DEVICES + 8 * 5, DTE(ITT(5), 1, 16383));
	expect(rig, 0, 2, 2, 3);

	/* Events: an ITT of two entries has no third event. */
	put(rig, ITT(5) + 8 * 2, ITE(8400, 0, 0));
	put(rig, ITT(5) + 8, 0);
	expect(rig, 0, 2, 2, 2);

	/* Collections: the walk of a full table stops at its end. */
	for (unsigned i = 0; i < 8192; i++)
		put(rig, COLLECTIONS + 8 * i, CTE(i, i % VCPUS));
	put(rig, COLLECTIONS + 8 * 8192, CTE(9000, 0));
	assert_int_equal(walk(rig), 0);
	assert_int_equal(rig->walk.refusal, 0);
	assert_int_equal(rig->walk.collections, 8192);
}

static void its_walk_skips_tables_that_are_not_valid(void **state)
{
	struct rig *rig = *state;

	rig->tables.device_baser &= ~VALID;
	expect(rig, 0, 2, 0, 0);
	rig->tables.collection_baser &= ~VALID;
	expect(rig, 0, 0, 0, 0);
	assert_int_equal(rig->walk.entries, 0);
	rig->tables.device_baser |= VALID;
	expect(rig, EINVAL, 0, 2, 3);
	assert_int_equal(rig->events[0].problems, PROBLEM(COLLECTION));
}

static void its_walk_visits_two_levels(void **state)
{
	struct rig *rig = *state;

	rig->tables.device_baser = VALID | INDIRECT | DEVICES;
	memset(rig->ram + (DEVICES - RAM), 0, 0x10000);
	put(rig, DEVICES + 8, SECOND(2) | VALID | 0x7ff000000000ffff); /* the other bits are ignored */
	put(rig, DEVICES + 24, SECOND(0) | VALID);
	put(rig, DEVICES + 32, SECOND(1)); /* not valid */
	put(rig, SECOND(2) + 8 * 10, DTE(ITT(2), 2, 8181));
	put(rig, SECOND(2) + 8 * 8191, DTE(ITT(5), 1, 9000)); /* leaves the block: continues with the first of the next */
	put(rig, SECOND(0), DTE(ITT(7), 1, 5));
	put(rig, SECOND(0) + 40, DTE(ITT(8), 1, 0)); /* ends the walk */
	put(rig, DEVICES + 40, SECOND(0) | VALID);
	expect(rig, 0, 2, 4, 3);
	expect_device(rig, 0, 8202, SECOND(2) + 80);
	expect_device(rig, 1, 16383, SECOND(2) + 0xfff8);
	expect_device(rig, 2, 24576, SECOND(0));
	expect_device(rig, 3, 24581, SECOND(0) + 40);
	/* The last device id of 16 bits, and the one after it. */
	put(rig, SECOND(0) + 40, DTE(ITT(8), 1, 8187));
	put(rig, DEVICES + 40, 0);
	put(rig, DEVICES + 8 * 7, SECOND(1) | VALID);
	put(rig, SECOND(1) + 8 * 8191, DTE(ITT(9), 1, 1));
	expect(rig, 0, 2, 5, 3);
	assert_int_equal(rig->devices[4].id, 65535);
	put(rig, DEVICES + 8 * 8, SECOND(1) | VALID);
	expect(rig, EINVAL, 2, 6, 3);
	assert_int_equal(rig->devices[5].id, 65536 + 8191);
	assert_int_equal(rig->devices[5].problems, PROBLEM(DEVICE_ID));
}

static void its_walk_reads_configuration_and_pending_bits_of_lpis(void **state)
{
	struct rig *rig = *state;

	rig->ram[PROPERTIES - RAM] = 0xff;
	rig->ram[PROPERTIES - RAM + 8300 - 8192] = 0xa2;
	rig->ram[PROPERTIES - RAM + 65535 - 8192] = 1;
	rig->ram[PENDING(1) - RAM + 8300 / 8] = 1u << 8300 % 8;
	rig->ram[PENDING(0) - RAM + 8300 / 8] = 0xff; /* another vCPU's */
	rig->ram[PENDING(0) - RAM + 8192 / 8] = 0xfe; /* other LPIs' */
	rig->ram[PENDING(1) - RAM + 65535 / 8] = 0x80;
	rig->ram[PENDING(1) - RAM + 8301 / 8] |= 1u << 8301 % 8; /* no event maps it */
	expect(rig, 0, 2, 2, 3);
	assert_true(rig->events[0].enabled && !rig->events[0].pending);
	assert_int_equal(rig->events[0].priority, 0xfc);
	assert_true(!rig->events[1].enabled && rig->events[1].pending);
	assert_int_equal(rig->events[1].priority, 0xa0);
	assert_true(rig->events[2].enabled && rig->events[2].pending);
	assert_int_equal(rig->events[2].priority, 0);
	assert_int_equal(rig->walk.pending, 2);
}

static void shared_lpi_belongs_to_its_first_event(void **state)
{
	struct rig *rig = *state;

	rig->ram[PENDING(1) - RAM + 8300 / 8] = 1u << 8300 % 8;
	put(rig, ITT(5), ITE(8300, 0, 1));
	expect(rig, 0, 2, 2, 4);
	assert_int_equal(rig->events[1].problems, 0);
	expect_event(rig, 2, 5, 0, 8300);
	assert_int_equal(rig->events[2].problems, PROBLEM(LPI_SHARED));
	assert_int_equal(rig->events[2].vcpu, 1);
	assert_true(rig->events[2].pending);
	assert_int_equal(rig->walk.pending, 1);
	assert_int_equal(rig->walk.lpis[8300].device, 2);
}

static void its_walk_works_without_callbacks(void **state)
{
	const struct its_visitor nobody = { 0 };
	struct rig *rig = *state;

	put(rig, DEVICES + 8 * 5, DTE(END, 1, 0));
	assert_int_equal(its_tables_walk(&rig->tables, &nobody, &rig->walk, &rig->error), 0);
	assert_int_equal(rig->walk.refusal, EFAULT);
	assert_int_equal(rig->walk.events, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_registers_are_decoded),
		WITH_RIG(device_entry_decodes_each_bit),
		WITH_RIG(event_entry_decodes_each_bit),
		WITH_RIG(collection_entry_decodes_each_bit),
		WITH_RIG(its_walk_visits_flat_table),
		WITH_RIG(its_walk_skips_old_entries_by_the_next_field),
		WITH_RIG(its_walk_stops_at_the_end_of_each_table),
		WITH_RIG(its_walk_skips_tables_that_are_not_valid),
		WITH_RIG(its_walk_visits_two_levels),
		WITH_RIG(its_walk_reads_configuration_and_pending_bits_of_lpis),
		WITH_RIG(shared_lpi_belongs_to_its_first_event),
		WITH_RIG(its_walk_works_without_callbacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
