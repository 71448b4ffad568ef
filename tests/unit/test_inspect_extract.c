/* SPDX-License-Identifier: MIT */
/* inspect_extract(): the pages of RAM that it copies. */
#include <errno.h>

#include "unit/views_rig.h"
#include "util/bits.h"

static void extract_copies_tables_and_rings(void **state)
{
	static const uint64_t taken[] = {
		RIG_QUEUE, RIG_QUEUE + 0xf000, RIG_DEVICES, RIG_COLLECTIONS, RIG_PROPERTIES, RIG_PENDING(0), RIG_PENDING(0) + 0x1000,
		RIG_PENDING(1) + 0x1000, RIG_ITT(0), RIG_RINGS(0), RIG_RINGS(0) + RIG_DRIVER, RIG_RINGS(0) + RIG_DEVICE,
		RIG_RINGS(0) + RIG_DEVICE + 0x1000,
	};
	static const uint64_t left[] = { RIG_SECOND, RIG_QUEUE + 0x10000 + 0x3000, RIG_RINGS(1) + 0x800, RIG_RINGS(0) + 0x6000 };
	struct inspection_rig *rig = rig_new();
	struct section_writer writer = { .start = 0 };
	struct ram ram = { .host = rig->ram, .base = RIG_RAM, .size = RIG_RAM_SIZE }, copy;
	struct error error;

	(void)state;
	/* Only the end of the device's ring is in its last page. The queue of the other device is not enabled. */
	rig->queues[0].device = RIG_RINGS(0) + RIG_DEVICE + 0xffc;
	rig->queues[1].enabled = 0;
	for (unsigned page = 0; page < RIG_RAM_SIZE; page += 4096)
		rig->ram[page + 4000] = 0x99;
	rig_write(rig, &writer);
	assert_int_equal(ram_open(&copy, RIG_RAM, RIG_RAM_SIZE, &error), 0);
	assert_int_equal(inspect_extract(&writer.buffer, &ram, &copy, &error), 0);
	for (size_t i = 0; i < COUNT(taken); i++)
		if (memcmp(ram_at(&copy, taken[i] & ~0xfffull, 4096), ram_at(&ram, taken[i] & ~0xfffull, 4096), 4096) != 0)
			fail_msg("0x%llx is missing", (unsigned long long)taken[i]);
	for (size_t i = 0; i < COUNT(left); i++)
		if (*(uint8_t *)ram_at(&copy, (left[i] & ~0xfffull) + 4000, 1))
			fail_msg("0x%llx is there", (unsigned long long)left[i]);
	ram_close(&copy);
	byte_buffer_free(&writer.buffer);
	free(rig);
}

/* The part of a table that is in RAM is copied. */
static void extract_copies_part_of_table_that_is_in_ram(void **state)
{
	struct inspection_rig *rig = rig_new();
	struct section_writer writer = { .start = 0 };
	struct ram ram = { .host = rig->ram, .base = RIG_RAM, .size = RIG_RAM_SIZE }, copy;
	struct error error;

	(void)state;
	rig->cbaser = RIG_VALID | (RIG_END - 0x1000) | 0xf;
	rig->queues[0].driver = RIG_END - 4;
	rig->queues[0].descriptors = UINT64_MAX - 8;
	rig->redistributors[1].pending = 0x200000000;
	rig->ram[RIG_RAM_SIZE - 1] = 0x99;
	rig_write(rig, &writer);
	assert_int_equal(ram_open(&copy, RIG_RAM, RIG_RAM_SIZE, &error), 0);
	assert_int_equal(inspect_extract(&writer.buffer, &ram, &copy, &error), 0);
	assert_int_equal(copy.host[RIG_RAM_SIZE - 1], 0x99);
	ram_close(&copy);
	byte_buffer_free(&writer.buffer);
	free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(extract_copies_tables_and_rings),
		cmocka_unit_test(extract_copies_part_of_table_that_is_in_ram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
