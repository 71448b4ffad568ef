/* SPDX-License-Identifier: MIT */
/* verify_lpis(): pending LPIs, pending tables and GICR_PROPBASER with one fault each. */
#include "test.h"

#include "verify_rig.h"

static void verify_lpis_accepts_sound_tables(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig_expect_good(rig, verify_lpis);
	rig = rig_new();
	rig->no_its = true;
	rig->redistributors[0].properties = rig->redistributors[0].pending = 0;
	rig_expect_good(rig, verify_lpis);
}

static void verify_lpis_reports_pending_lpis_that_would_be_lost(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig_set_pending(rig, 0, 9000);
	rig_expect(rig, verify_lpis, "gic/redistributor0", "LPI 9000 is pending at 0x80040465, but no event maps to it: the "
		   "interrupt would be lost, unless an earlier save set the bit");
	rig = rig_new();
	rig_set_pending(rig, 0, RIG_LPI(1, 0));
	rig_expect(rig, verify_lpis, "gic/redistributor0", "event 0 of device 0x8 maps to it, on vCPU 1");
	rig = rig_new();
	rig_put(rig, RIG_COLLECTIONS + 8, rig_collection(1, UINT32_MAX));
	rig_expect(rig, verify_lpis, "gic/redistributor1", "event 2 of device 0x8 maps to it, on no vCPU");

	/* The last possible LPI. INTIDs below 8192 are not LPIs. */
	rig = rig_new();
	rig_set_pending(rig, 1, 8191);
	rig_set_pending(rig, 1, 65535);
	rig_set_pending(rig, 1, RIG_LPI(0, 0));
	assert_int_equal(rig_verify(rig, verify_lpis), 2);
	free(rig);

	/* GICR_PROPBASER limits INTIDs to 14 bits. */
	rig = rig_new();
	rig->redistributors[0].properties = rig->redistributors[1].properties = RIG_PROPERTIES | 0x78d;
	rig_set_pending(rig, 1, 16384);
	rig_expect_good(rig, verify_lpis);
	rig = rig_new();
	rig->redistributors[0].properties = rig->redistributors[1].properties = RIG_PROPERTIES | 0x78d;
	rig_set_pending(rig, 1, 16383);
	rig_expect(rig, verify_lpis, "gic/redistributor1", "LPI 16383");

	/* The table is not used while LPIs are disabled. */
	rig = rig_new();
	rig->redistributors[0].control = 6;
	rig_set_pending(rig, 0, 9000);
	rig_expect_good(rig, verify_lpis);
}

static void verify_lpis_reports_pending_table_that_two_vcpus_share(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig->ram[RIG_PENDING(1) - RIG_RAM + RIG_LPI(1, 2) / 8] = 0;
	rig->redistributors[1].pending = RIG_PENDING(0) | 0x780;
	rig_expect(rig, verify_lpis, "gic/redistributor1", "its pending table at 0x80040000 is vCPU 0's, too");
	rig = rig_new();
	rig->ram[RIG_PENDING(1) - RIG_RAM + RIG_LPI(1, 2) / 8] = 0;
	rig->redistributors[1].pending = RIG_PENDING(0) | 0x780;
	rig->redistributors[0].control = 0;
	rig_expect_good(rig, verify_lpis);
}

static void verify_lpis_reports_tables_outside_ram(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig->redistributors[1].pending = RIG_END | 0x780;
	rig_expect(rig, verify_lpis, "gic/redistributor1", "the pending table at 0x80100000 (8192 bytes) is not completely in RAM");
	rig = rig_new();
	rig->redistributors[0].properties = rig->redistributors[1].properties = (RIG_END - 0x1000) | 0x78f;
	rig_expect(rig, verify_lpis, "gic/redistributor1", "configuration table at 0x800ff000 (57344 bytes) is not completely in RAM");

	/* Some guests enable LPIs without a table and without events. No interrupt is lost. */
	rig = rig_new();
	rig->redistributors[1].pending = 0x580;
	rig_put(rig, RIG_DEVICES, rig_device(RIG_ITT(0), 5, 0));
	rig_expect_good(rig, verify_lpis);
}

static void verify_lpis_reports_bad_propbaser(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig->redistributors[0].properties ^= 0x10000;
	rig_expect(rig, verify_lpis, "gic/redistributor0", "is not the last redistributor's 0x8003078f");
	rig = rig_new();
	rig->redistributors[0].properties = rig->redistributors[1].properties = 0x78f;
	rig_expect(rig, verify_lpis, "gic/redistributor1", "has no table, but 6 events are mapped");

	rig = rig_new();
	rig->redistributors[0].properties = rig->redistributors[1].properties = 0x78f;
	rig->baser[0] = 0;
	rig->ram[RIG_PENDING(1) - RIG_RAM + RIG_LPI(1, 2) / 8] = 0;
	rig_expect_good(rig, verify_lpis);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verify_lpis_accepts_sound_tables),
		cmocka_unit_test(verify_lpis_reports_pending_lpis_that_would_be_lost),
		cmocka_unit_test(verify_lpis_reports_pending_table_that_two_vcpus_share),
		cmocka_unit_test(verify_lpis_reports_tables_outside_ram),
		cmocka_unit_test(verify_lpis_reports_bad_propbaser),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
