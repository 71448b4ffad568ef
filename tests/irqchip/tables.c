/* SPDX-License-Identifier: MIT */
/*
 * The ITS's tables in states in which kernels failed to save or restore them: before the guest wrote a register, right after a
 * reset, with tables that are valid and empty, or valid and broken (Eric Auger, "vITS Migration fixes and reset", 2017).
 */
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "rig.h"

#define DEVICE 3u
#define LPI 8200u

static void expect_ram_is_zero(const struct saved *saved)
{
	for (uint64_t at = RIG_QUEUE - RIG_RAM; at < RIG_RAM_SIZE; at++)
		if (saved->ram[at])
			fail("the save wrote to RAM at 0x%llx", (unsigned long long)(RIG_RAM + at));
}

static void save_leaves_ram_alone(struct rig *rig)
{
	struct saved saved;
	struct error error;

	if (rig_save(rig, &saved, &error) < 0)
		fail("saving: %s", error.text);
	expect_ram_is_zero(&saved);
	saved_free(&saved);
}

/* Maps event 1 of one device to LPI on vCPU 1. */
static void map_one(struct rig *rig)
{
	rig_set_properties(rig, LPI, 0xa0, true);
	rig_map_collection(rig, 1, 1);
	rig_map_device(rig, DEVICE, 4);
	rig_map_event(rig, DEVICE, 1, LPI, 1);
}

static void expect_one(struct rig *rig, uint32_t device, uint32_t event, uint32_t lpi)
{
	uint32_t seen[8];

	if (!rig_send_msi(rig, device, event))
		fail("the MSI of device %u, event %u is dropped", device, event);
	expect_interrupts(1, seen, rig_drain(rig, 1, seen, 8), &lpi, 1);
}

/* Initializes the ITS as a guest's driver does, and expects that it works, before and after a move. */
static void expect_works(struct rig *rig)
{
	rig_program_gic(rig);
	rig_program_its(rig, false);
	map_one(rig);
	expect_one(rig, DEVICE, 1, LPI);
	rig_move(rig);
	expect_one(rig, DEVICE, 1, LPI);
}

static void its_moves_before_the_guest_wrote_a_register(void)
{
	struct rig rig;

	rig_open(&rig, 2);
	save_leaves_ram_alone(&rig);
	rig_move(&rig);
	expect_works(&rig);
	rig_close(&rig);
}

/* Clears the tables' memory, as a booting kernel does with memory that it allocates. */
static void clear_tables(struct rig *rig)
{
	memset(ram_at(&rig->vm.ram, RIG_QUEUE, 1), 0, RIG_RAM_SIZE - (RIG_QUEUE - RIG_RAM));
}

static void its_moves_right_after_reset(void)
{
	struct error error;
	struct rig rig;

	rig_open(&rig, 2);
	rig_program_gic(&rig);
	rig_program_its(&rig, false);
	map_one(&rig);
	rig_send_msi(&rig, DEVICE, 1);
	if (migrate_reset(&rig.migrate, &error) < 0)
		fail("reset: %s", error.text);
	clear_tables(&rig);
	save_leaves_ram_alone(&rig);
	rig_move(&rig);
	if (rig_send_msi(&rig, DEVICE, 1))
		fail("a mapping outlived the reset");
	rig_close(&rig);
}

static void its_works_when_programmed_again_after_reset(void)
{
	struct error error;
	struct rig rig;

	rig_open(&rig, 2);
	for (unsigned i = 0; i < 5; i++) {
		rig_program_gic(&rig);
		rig_program_its(&rig, i % 2);
		map_one(&rig);
		rig_map_event(&rig, DEVICE, 2 + i, LPI + 2 + i, 1);
		rig_set_properties(&rig, LPI + 2 + i, 0xa0, true);
		rig_invalidate(&rig, DEVICE, 2 + i);
		if (i % 2)
			rig_move(&rig);
		expect_one(&rig, DEVICE, 2 + i, LPI + 2 + i);
		rig_send_msi(&rig, DEVICE, 1); /* pending, and dropped by the reset */
		if (migrate_reset(&rig.migrate, &error) < 0)
			fail("reset %u: %s", i, error.text);
		clear_tables(&rig);
		rig_start(&rig);
	}
	rig_close(&rig);
}

/* The registers are valid, and the tables have no valid entry. */
static void empty_tables(bool indirect, bool second_level)
{
	struct rig rig;

	rig_open(&rig, 2);
	rig_program_gic(&rig);
	rig_program_its(&rig, indirect);
	if (indirect && !second_level)
		memset(ram_at(&rig.vm.ram, RIG_DEVICES, 8), 0, 8);
	rig_move(&rig);
	if (rig_send_msi(&rig, DEVICE, 1))
		fail("a device came from an empty table");
	rig_close(&rig);
}

static void its_moves_with_empty_flat_tables(void)
{
	empty_tables(false, false);
}

static void its_moves_with_empty_first_level(void)
{
	empty_tables(true, false);
}

static void its_moves_with_empty_second_level(void)
{
	empty_tables(true, true);
}

/* A restore writes zero to both indices. KVM must accept that while no queue is valid. */
static void its_moves_with_queue_indices_without_a_queue(void)
{
	struct rig rig;

	rig_open(&rig, 2);
	rig_set_its(&rig, GITS_CREADR, 0);
	rig_set_its(&rig, GITS_CWRITER, 0);
	rig_set_its(&rig, GITS_BASER0, BASER_VALID | RIG_DEVICES);
	rig_set_its(&rig, GITS_BASER1, BASER_VALID | RIG_COLLECTIONS);
	rig_move(&rig);
	expect_works(&rig);
	rig_close(&rig);
}

/* With one of the three registers invalid, GITS_CTLR.Enabled stays 0, and a save has no mappings. */
static void its_stays_disabled_when_a_table_is_missing(void)
{
	for (unsigned missing = 0; missing < 3; missing++) {
		struct rig rig;

		rig_open(&rig, 2);
		rig_program_gic(&rig);
		rig_set_its(&rig, GITS_CBASER, (missing == 0 ? 0 : BASER_VALID) | RIG_QUEUE);
		rig_set_its(&rig, GITS_BASER0, (missing == 1 ? 0 : BASER_VALID) | RIG_DEVICES);
		rig_set_its(&rig, GITS_BASER1, (missing == 2 ? 0 : BASER_VALID) | RIG_COLLECTIONS);
		rig_set_its(&rig, GITS_CTLR, 1);
		if (rig_its(&rig, GITS_CTLR) & 1)
			fail("the ITS turned on without register %u", missing);
		rig_move(&rig);
		if (rig_its(&rig, GITS_CTLR) & 1)
			fail("a restore turned the ITS on");
		rig_close(&rig);
	}
}

/* A guest makes the device table invalid. Its mappings are removed, and the save writes no table. */
static void its_drops_mappings_when_the_device_table_is_invalid(void)
{
	struct rig rig;

	rig_open(&rig, 2);
	rig_program_gic(&rig);
	rig_program_its(&rig, false);
	map_one(&rig);
	rig_set_its(&rig, GITS_CTLR, 0);
	rig_set_its(&rig, GITS_BASER0, RIG_DEVICES);
	rig_move(&rig);
	if (rig_send_msi(&rig, DEVICE, 1))
		fail("a mapping outlived its table");
	rig_set_its(&rig, GITS_BASER0, BASER_VALID | RIG_DEVICES);
	rig_set_its(&rig, GITS_CTLR, 1);
	map_one(&rig);
	expect_one(&rig, DEVICE, 1, LPI);
	rig_close(&rig);
}

/* Mappings far apart, in both levels, and some discarded. A restore finds them by each entry's offset to the next. */
static void many_mappings(bool indirect)
{
	static const uint32_t devices[] = { 0, 1, 7, 8, 200, 8190 };
	struct rig rig;

	rig_open(&rig, 2);
	rig_program_gic(&rig);
	rig_program_its(&rig, indirect);
	for (unsigned i = 0; i < 40; i++)
		rig_map_collection(&rig, i, 1);
	for (unsigned i = 0; i < 6; i++) {
		rig_map_device(&rig, devices[i], 6);
		for (unsigned event = i; event < 64; event += 9) {
			rig_set_properties(&rig, 8192 + 64 * i + event, 0xa0, true);
			rig_map_event(&rig, devices[i], event, 8192 + 64 * i + event, event % 40);
		}
		rig_discard_event(&rig, devices[i], i + 18);
	}
	rig_move(&rig);
	for (unsigned i = 0; i < 6; i++)
		for (unsigned event = 0; event < 64; event++) {
			bool mapped = event >= i && (event - i) % 9 == 0 && event != i + 18;

			if (mapped)
				expect_one(&rig, devices[i], event, 8192 + 64 * i + event);
			else if (rig_send_msi(&rig, devices[i], event))
				fail("device %u, event %u was not mapped", devices[i], event);
		}
	rig_close(&rig);
}

static void its_keeps_many_mappings_in_flat_tables(void)
{
	many_mappings(false);
}

static void its_keeps_many_mappings_in_two_levels(void)
{
	many_mappings(true);
}

/*
 * A guest broke its own device table. Kernels before 7 refuse the save, and lkvm returns an error. Newer kernels leave out the
 * device, and lkvm saves. The guest continues in both cases.
 */
static void guest_continues_after_save_of_broken_device_table(void)
{
	struct saved saved;
	struct error error;
	struct rig rig;

	rig_open(&rig, 2);
	rig_program_gic(&rig);
	rig_program_its(&rig, true);
	map_one(&rig);
	memset(ram_at(&rig.vm.ram, RIG_DEVICES, 8), 0, 8);
	if (rig_save(&rig, &saved, &error) == 0)
		saved_free(&saved);
	else if (!strstr(error.text, "its-tables: KVM_DEV_ARM_ITS_SAVE_TABLES"))
		fail("the sentence does not name the step: %s", error.text);
	expect_one(&rig, DEVICE, 1, LPI);
	rig_close(&rig);
}

/*
 * The device table is in memory that another kernel uses now (kexec). SAVE_TABLES writes KVM's devices into it, and keeps the
 * other contents, which RESTORE_TABLES will refuse. The save fails, or marks the file. The guest continues.
 */
static void save_refuses_overwritten_device_table(void)
{
	struct saved saved;
	struct error error;
	struct rig rig;

	rig_open(&rig, 2);
	rig_program_gic(&rig);
	rig_program_its(&rig, false);
	map_one(&rig);
	rig.migrate.check = MIGRATE_CHECK;
	if (rig_save(&rig, &saved, &error) < 0)
		fail("sound tables are refused: %s", error.text);
	saved_free(&saved);
	memset(ram_at(&rig.vm.ram, RIG_DEVICES, 0x1000), 0xa5, 0x1000);
	if (rig_save(&rig, &saved, &error) == 0)
		fail("a snapshot that cannot be restored was saved");
	if (!strstr(error.text, "its-check: the guest's ITS tables are overwritten"))
		fail("the sentence is: %s", error.text);
	expect_one(&rig, DEVICE, 1, LPI);
	rig.migrate.check = MIGRATE_MARK;
	if (rig_save(&rig, &saved, &error) < 0)
		fail("it is not saved by force: %s", error.text);
	saved_free(&saved);
	expect_one(&rig, DEVICE, 1, LPI);
	rig_close(&rig);
}

/* The kernel cannot write a table outside of RAM. */
static void save_fails_when_collection_table_is_outside_ram(void)
{
	struct saved saved;
	struct error error;
	struct rig rig;

	rig_open(&rig, 2);
	rig_program_gic(&rig);
	rig_program_its(&rig, false);
	map_one(&rig);
	rig_set_its(&rig, GITS_CTLR, 0);
	rig_set_its(&rig, GITS_BASER1, BASER_VALID | (RIG_RAM + RIG_RAM_SIZE));
	rig_set_its(&rig, GITS_CTLR, 1);
	rig_map_collection(&rig, 2, 1);
	if (rig_save(&rig, &saved, &error) == 0)
		fail("a table outside RAM was saved");
	if (!strstr(error.text, "its-tables: KVM_DEV_ARM_ITS_SAVE_TABLES: Bad address"))
		fail("the sentence is: %s", error.text);
	rig_close(&rig);
}

/* Tables in a snapshot that KVM refuses: the restore fails, and no vCPU runs. */
static void restore_refuses_broken_tables(void)
{
	static const struct {
		uint64_t address, value;
		const char *word; /* in the error */
	} broken[] = {
		{ RIG_TRANSLATIONS + RIG_TRANSLATION_SIZE * DEVICE + 8, 100ull << 16 | 1, "Invalid argument" }, /* no LPI */
		{ RIG_TRANSLATIONS + RIG_TRANSLATION_SIZE * DEVICE + 8, (uint64_t)LPI << 16 | 9, "Invalid argument" },
		{ RIG_DEVICES + 8 * DEVICE, BASER_VALID | 0x1f, "Invalid argument" }, /* 32 bits of events */
		{ RIG_COLLECTIONS, BASER_VALID | 77ull << 16 | 1, "Invalid argument" }, /* vCPU 77 */
		{ RIG_COLLECTIONS + 8, BASER_VALID | 1ull << 16 | 1, "File exists" }, /* the same collection again */
	};
	struct saved saved;
	struct error error;
	struct rig rig;

	rig_open(&rig, 2);
	rig_program_gic(&rig);
	rig_program_its(&rig, false);
	map_one(&rig);
	if (rig_save(&rig, &saved, &error) < 0)
		fail("saving: %s", error.text);
	rig_close(&rig);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		uint8_t *entry = saved.ram + (broken[i].address - RIG_RAM);
		uint64_t good;

		memcpy(&good, entry, sizeof(good));
		memcpy(entry, &broken[i].value, sizeof(good));
		rig_open(&rig, 2);
		if (rig_restore(&rig, &saved, &error) == 0)
			fail("broken table %zu was restored", i);
		if (!strstr(error.text, "its-tables: KVM_DEV_ARM_ITS_RESTORE_TABLES") ||
		    !strstr(error.text, broken[i].word))
			fail("broken table %zu: the sentence is: %s", i, error.text);
		rig_close(&rig);
		memcpy(entry, &good, sizeof(good));
	}
	rig_open(&rig, 2);
	if (rig_restore(&rig, &saved, &error) < 0)
		fail("restoring: %s", error.text);
	expect_one(&rig, DEVICE, 1, LPI);
	saved_free(&saved);
	rig_close(&rig);
}

const struct irqchip_case table_cases[] = {
	{ "its_moves_before_the_guest_wrote_a_register", its_moves_before_the_guest_wrote_a_register },
	{ "its_moves_right_after_reset", its_moves_right_after_reset },
	{ "its_works_when_programmed_again_after_reset", its_works_when_programmed_again_after_reset },
	{ "its_moves_with_empty_flat_tables", its_moves_with_empty_flat_tables },
	{ "its_moves_with_empty_first_level", its_moves_with_empty_first_level },
	{ "its_moves_with_empty_second_level", its_moves_with_empty_second_level },
	{ "its_moves_with_queue_indices_without_a_queue", its_moves_with_queue_indices_without_a_queue },
	{ "its_stays_disabled_when_a_table_is_missing", its_stays_disabled_when_a_table_is_missing },
	{ "its_drops_mappings_when_the_device_table_is_invalid", its_drops_mappings_when_the_device_table_is_invalid },
	{ "its_keeps_many_mappings_in_flat_tables", its_keeps_many_mappings_in_flat_tables },
	{ "its_keeps_many_mappings_in_two_levels", its_keeps_many_mappings_in_two_levels },
	{ "guest_continues_after_save_of_broken_device_table", guest_continues_after_save_of_broken_device_table },
	{ "save_refuses_overwritten_device_table", save_refuses_overwritten_device_table },
	{ "save_fails_when_collection_table_is_outside_ram", save_fails_when_collection_table_is_outside_ram },
	{ "restore_refuses_broken_tables", restore_refuses_broken_tables },
	{ 0 },
};
