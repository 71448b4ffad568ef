/* SPDX-License-Identifier: MIT */
/* verify_its(): registers, table entries and places of tables with one fault each, and with random contents. */
#include "test.h"

#include "util/bits.h"
#include "verify_rig.h"

static void verify_its_accepts_sound_tables_and_absent_its(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig_expect_good(rig, verify_its);

	/* A machine without an ITS has no faults. */
	rig = rig_new();
	rig->no_its = true;
	rig->leave = "its";
	rig_expect_good(rig, verify_its);

	/* The guest's driver has not set up the ITS. */
	rig = rig_new();
	rig->control = 0x80000000;
	rig->cbaser = rig->creadr = rig->cwriter = 0;
	rig->baser[0] = 0x1907000000000600;
	rig->baser[1] = 0x1c07000000000600;
	rig_expect_good(rig, verify_its);
}

static void verify_its_reports_bad_registers(void **state)
{
	static const struct {
		size_t offset;
		uint64_t value;
		const char *part;
	} cases[] = {
		{ offsetof(struct inspection_rig, creadr), 0x10000, "GITS_CREADR 0x10000 is beyond the queue of 65536 bytes" },
		{ offsetof(struct inspection_rig, creadr), 0x641, "GITS_CREADR 0x641 is not the offset" },
		{ offsetof(struct inspection_rig, cwriter), 0x10000, "GITS_CWRITER 0x10000 is beyond the queue" },
		{ offsetof(struct inspection_rig, cwriter), 0x100640, "GITS_CWRITER 0x100640 is not the offset" },
		{ offsetof(struct inspection_rig, identity), 0x4b00143b, "of revision 1; KVM knows 0 and refuses it (EINVAL)" },
		{ offsetof(struct inspection_rig, control), 0x80000003, "bits that KVM would drop" },
		{ offsetof(struct inspection_rig, baser[2]), 1, "no such table" },
		{ offsetof(struct inspection_rig, baser[7]), 1, "no such table" },
		/* pages of 4 KiB; another size of entries; a collection table in two levels; the types swapped */
		{ offsetof(struct inspection_rig, baser[0]), 0xb907000000000400 | RIG_DEVICES, "KVM would change" },
		{ offsetof(struct inspection_rig, baser[0]), 0xb90f000000000600 | RIG_DEVICES, "KVM would change" },
		{ offsetof(struct inspection_rig, baser[1]), 0xfc07000000000600 | RIG_COLLECTIONS, "KVM would change" },
		{ offsetof(struct inspection_rig, baser[1]), 0xb907000000000600 | RIG_COLLECTIONS, "KVM would change" },
		{ offsetof(struct inspection_rig, cbaser), RIG_VALID | 0x400 | RIG_QUEUE | 0x100f, "multiple of 64 KiB" },
		{ offsetof(struct inspection_rig, cbaser), 0x400 | RIG_QUEUE | 0xf, "GITS_CBASER is not valid" },
		{ offsetof(struct inspection_rig, baser[0]), 0x3907000000000600 | RIG_DEVICES, "GITS_BASER0 is not valid" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct inspection_rig *rig = rig_new();

		memcpy((char *)rig + cases[i].offset, &cases[i].value, sizeof(cases[i].value));
		rig_expect(rig, verify_its, "its", cases[i].part);
	}
}

static void verify_its_reports_index_after_the_queue_when_cbaser_is_zero(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	/* A CBASER of 0 is not restored; KVM's initial value of 0 has one page. */
	rig->cbaser = 0;
	rig->control = 0;
	rig->creadr = 0x1000;
	rig_expect(rig, verify_its, "its", "beyond the queue of 4096 bytes; KVM refuses it (EINVAL)");
}

static void verify_its_names_missing_registers(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig->leave = "CREADR";
	rig_expect(rig, verify_its, "its", "CREADR");
	rig = rig_new();
	rig->leave = "BASER5";
	rig_expect(rig, verify_its, "its", "BASER5");
}

static void verify_its_reports_bad_entries(void **state)
{
	static const struct {
		uint64_t address, value;
		const char *place, *part;
	} cases[] = {
		{ RIG_ITT(1) + 8, 0x0001000020090007, "its/device 0x8",
		  "event 1 at 0x80060108, LPI 8201: its collection does not exist; RESTORE_TABLES refuses it (EINVAL)" },
		{ RIG_ITT(0) + 8, 0x000100001fff0000, "its/device 0x0", "is not an LPI; RESTORE_TABLES refuses it (EINVAL)" },
		{ RIG_ITT(0) + 16, 0x0040000020020000, "its/device 0x0", "beyond the table's end; RESTORE_TABLES refuses" },
		{ RIG_ITT(1) + 8, 0x0001000020080001, "its/device 0x8", "an earlier event has the same LPI; it would go" },
		/* 2^17 events: neither the events nor the place of the ITT is checked */
		{ RIG_DEVICES + 64, 0x8000000010000010, "its/device 0x8", "the entry at 0x80010040: it has more than 16 bits" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct inspection_rig *rig = rig_new();

		rig_put(rig, cases[i].address, cases[i].value);
		rig_expect(rig, verify_its, cases[i].place, cases[i].part);
	}
}

static void verify_its_reports_bad_collections(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	/* Its three events then have no collection. */
	rig_put(rig, RIG_COLLECTIONS + 8, rig_collection(1, 2));
	assert_int_equal(rig_verify(rig, verify_its), 4);
	assert_string_equal(rig->place, "its/collection 1");
	assert_non_null(strstr(rig->what, "0x80020008: its vCPU does not exist; RESTORE_TABLES refuses it (EINVAL)"));
	free(rig);

	rig = rig_new();
	rig_put(rig, RIG_COLLECTIONS + 8, rig_collection(1, UINT32_MAX));
	assert_int_equal(rig_verify(rig, verify_its), 3);
	assert_string_equal(rig->place, "its/device 0x8");
	assert_non_null(strstr(rig->what, "its collection is on no vCPU; the interrupt would be lost"));
	free(rig);

	rig = rig_new();
	rig_put(rig, RIG_COLLECTIONS + 16, rig_collection(1, 1));
	rig_expect(rig, verify_its, "its/collection 1", "an earlier entry is of the same collection; RESTORE_TABLES refuses "
		   "it (EEXIST)");
}

static void verify_its_reports_tables_outside_ram(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	/* A table that the walk reaches is reported once. */
	rig->baser[0] = 0xb907000000000600 | RIG_END;
	rig_expect(rig, verify_its, "its", "at 0x80100000 the device table is not in RAM; RESTORE_TABLES refuses it (EFAULT)");
	rig = rig_new();
	rig_put(rig, RIG_DEVICES + 64, rig_device(RIG_END, 5, 0));
	rig_expect(rig, verify_its, "its/device 0x8", "at 0x80100000 an interrupt translation table is not in RAM");

	/* A part that the walk does not reach, the second half of a table, is reported, too. */
	rig = rig_new();
	rig->baser[0] = 0xb907000000000601 | (RIG_END - 0x10000);
	memcpy(rig->ram + RIG_RAM_SIZE - 0x10000, rig->ram + (RIG_DEVICES - RIG_RAM), 0x10000);
	rig_expect(rig, verify_its, "its", "the device table at 0x800f0000 (131072 bytes) is not completely in RAM");
	rig = rig_new();
	rig->baser[1] = 0xbc07000000000601 | (RIG_END - 0x10000);
	memcpy(rig->ram + RIG_RAM_SIZE - 0x10000, rig->ram + (RIG_COLLECTIONS - RIG_RAM), 0x10000);
	rig_expect(rig, verify_its, "its", "the collection table at 0x800f0000 (131072 bytes) is not completely in RAM");
	rig = rig_new();
	rig->cbaser = RIG_VALID | RIG_END | 0xf;
	rig_expect(rig, verify_its, "its", "the command queue at 0x80100000 (65536 bytes) is not completely in RAM");

	/* Bits 51:48 of the address. */
	rig = rig_new();
	rig->baser[0] |= 0x1000;
	rig_expect(rig, verify_its, "its", "at 0x1000080010000 the device table is not in RAM");
}

static void use_two_levels(struct inspection_rig *rig)
{
	memcpy(rig->ram + (RIG_SECOND - RIG_RAM), rig->ram + (RIG_DEVICES - RIG_RAM), 0x10000);
	memset(rig->ram + (RIG_DEVICES - RIG_RAM), 0, 0x10000);
	rig_put(rig, RIG_DEVICES, RIG_VALID | RIG_SECOND);
	rig->baser[0] |= 1ull << 62;
}

static void verify_its_checks_both_levels(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	use_two_levels(rig);
	rig_expect_good(rig, verify_its);

	/* RESTORE_TABLES does not read entries after the last device, but the guest may use them. */
	rig = rig_new();
	use_two_levels(rig);
	rig_put(rig, RIG_DEVICES + 8, RIG_VALID | RIG_END);
	rig_expect(rig, verify_its, "its", "a second level of the device table at 0x80100000 (65536 bytes) is not completely");
	rig = rig_new();
	use_two_levels(rig);
	rig_put(rig, RIG_DEVICES + 56, RIG_VALID | RIG_QUEUE);
	rig_expect(rig, verify_its, "its", "overlaps");

	/* RESTORE_TABLES reads entries before the last device. */
	rig = rig_new();
	use_two_levels(rig);
	rig_put(rig, RIG_DEVICES, RIG_VALID | RIG_END);
	rig_expect(rig, verify_its, "its", "at 0x80100000 a second level of the device table is not in RAM; RESTORE_TABLES");
}

static void verify_its_reports_overlapping_tables(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	/* The end of one ITT overlaps the start of the other. */
	rig_put(rig, RIG_DEVICES, rig_device(RIG_ITT(0), 6, 8));
	rig_expect(rig, verify_its, "its", "the events' table of device 0x8 at 0x80060100 (256 bytes) overlaps the events' "
		   "table of device 0x0 at 0x80060000 (512 bytes)");
	rig = rig_new();
	rig->cbaser += 0x10000;
	rig_expect(rig, verify_its, "its", "overlaps");
	rig = rig_new();
	rig->redistributors[1].pending = RIG_QUEUE | 0x780;
	rig_expect(rig, verify_its, "its", "the pending table of vCPU 1");
	rig = rig_new();
	rig->redistributors[0].properties = rig->redistributors[1].properties = RIG_SECOND | 0x78f;
	use_two_levels(rig);
	rig_expect(rig, verify_its, "its", "the LPIs' configuration table");

	/* Two tables inside one large range are both reported. */
	rig = rig_new();
	rig->cbaser = RIG_VALID | 0x400 | RIG_ITT(0) | 0xf;
	assert_int_equal(rig_verify(rig, verify_its), 2);
	free(rig);

	/* verify_lpis() reports a pending table that two vCPUs share. */
	rig = rig_new();
	rig->redistributors[0].pending = RIG_PENDING(1) | 0x780;
	rig_expect_good(rig, verify_its);
}

static void verify_its_reports_lpi_above_the_limit(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig_put(rig, RIG_ITT(0) + 16, rig_event(0x4000, 0, 0));
	rig->redistributors[0].properties = rig->redistributors[1].properties = RIG_PROPERTIES | 0x78d;
	rig_expect(rig, verify_its, "its/device 0x0", "above what GICR_PROPBASER allows; its configuration would be whatever");
}

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return *seed ^ *seed >> 29;
}

/* Flips random bits of a register in one of four calls. */
static void flip(uint64_t *value, uint64_t *seed)
{
	if (next_random(seed) >> 62 == 0)
		*value ^= next_random(seed) & next_random(seed) & next_random(seed);
}

static void flip_registers(struct inspection_rig *rig, uint64_t *seed)
{
	flip(&rig->cbaser, seed);
	flip(&rig->creadr, seed);
	for (unsigned i = 0; i < 8; i++)
		flip(&rig->baser[i], seed);
	for (unsigned i = 0; i < RIG_VCPUS; i++) {
		flip(&rig->redistributors[i].properties, seed);
		flip(&rig->redistributors[i].pending, seed);
		flip(&rig->queues[i].descriptors, seed);
		flip(&rig->queues[i].driver, seed);
		flip(&rig->queues[i].device, seed);
		for (unsigned byte = 0; byte < 256; byte++)
			rig->pci[i].config[byte] ^= (uint8_t)(next_random(seed) >> 40 & next_random(seed) >> 40);
		rig->pci[i].config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	}
}

/* With any contents, a check ends and accesses no memory outside of RAM. */
static void checks_survive_garbage(void **state)
{
	static const uint64_t masks[] = { ~0ull, 0x8000ffff8000ffff, 0x80000000800fffff, 0x8000000000000000 };
	uint64_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 60; round++) {
		struct inspection_rig *rig = rig_new();

		for (size_t i = 0; round % 5 && i < RIG_RAM_SIZE / 8; i++)
			rig_put(rig, RIG_RAM + 8 * i, next_random(&seed) & masks[round % 4]);
		if (round & 1)
			rig->baser[0] |= 1ull << 62;
		flip_registers(rig, &seed);
		assert_true(rig_verify(rig, verify_its) > 0);
		rig_verify(rig, verify_lpis);
		rig_verify(rig, verify_queues);
		rig_verify(rig, verify_msix);
		free(rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verify_its_accepts_sound_tables_and_absent_its),
		cmocka_unit_test(verify_its_reports_bad_registers),
		cmocka_unit_test(verify_its_reports_index_after_the_queue_when_cbaser_is_zero),
		cmocka_unit_test(verify_its_names_missing_registers),
		cmocka_unit_test(verify_its_reports_bad_entries),
		cmocka_unit_test(verify_its_reports_bad_collections),
		cmocka_unit_test(verify_its_reports_tables_outside_ram),
		cmocka_unit_test(verify_its_checks_both_levels),
		cmocka_unit_test(verify_its_reports_overlapping_tables),
		cmocka_unit_test(verify_its_reports_lpi_above_the_limit),
		cmocka_unit_test(checks_survive_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
