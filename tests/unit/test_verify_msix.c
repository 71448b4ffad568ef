/* SPDX-License-Identifier: MIT */
/* verify_msix(): MSI and MSI-X vectors of virtio and passed-through devices, with one fault each. */
#include "test.h"

#include "verify_rig.h"

static void verify_msix_accepts_sound_vectors(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig_expect_good(rig, verify_msix);

	/* Two vectors may send the same event. */
	rig = rig_new();
	rig->pci[1].msix_data[2] = 1;
	rig_expect_good(rig, verify_msix);
}

static void break_vector(struct inspection_rig *rig)
{
	rig->pci[1].msix_address[2] = 0x1000;
	rig->pci[1].msix_data[1] = 7;
}

static void verify_msix_reports_messages_that_would_be_dropped(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig->pci[1].msix_address[2] = RIG_DOORBELL + 4;
	rig_expect(rig, verify_msix, "virtio-blk1/msix 2", "sends to 0x3ffe0044, where no ITS is (its doorbell is 0x3ffe0040)");
	rig = rig_new();
	rig->pci[1].msix_data[1] = 3;
	rig_expect(rig, verify_msix, "virtio-blk1/msix 1", "sends event 3 of device 0x8, which the ITS does not map; its "
		   "interrupts would be dropped");
	rig = rig_new();
	rig->pci[0].msix_data[0] = 0x10000;
	rig_expect(rig, verify_msix, "virtio-blk0/msix 0", "event 65536 of device 0x0");

	/* The ITS does not map the second device, so the events of all its vectors are unmapped. */
	rig = rig_new();
	rig_put(rig, RIG_DEVICES, rig_device(RIG_ITT(0), 5, 0));
	assert_int_equal(rig_verify(rig, verify_msix), RIG_VECTORS);
	assert_string_equal(rig->place, "virtio-blk1/msix 0");
	free(rig);

	rig = rig_new();
	break_vector(rig);
	assert_int_equal(rig_verify(rig, verify_msix), 2);
	free(rig);
}

/* Vectors that send no messages are no faults. */
static void verify_msix_ignores_vectors_that_send_no_message(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	break_vector(rig);
	rig->pci[1].msix_control[1] = rig->pci[1].msix_control[2] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	rig_expect_good(rig, verify_msix);
	rig = rig_new();
	break_vector(rig);
	rig->pci[1].config[RIG_MSIX + PCI_MSIX_FLAGS + 1] |= PCI_MSIX_FLAGS_MASKALL >> 8;
	rig_expect_good(rig, verify_msix);
	rig = rig_new();
	break_vector(rig);
	rig->pci[1].config[RIG_MSIX + PCI_MSIX_FLAGS + 1] = 0;
	rig_expect_good(rig, verify_msix);
	rig = rig_new();
	break_vector(rig);
	rig->pci[1].config[PCI_COMMAND] = PCI_COMMAND_MEMORY;
	rig_expect_good(rig, verify_msix);

	/* After the last vector. */
	rig = rig_new();
	rig->pci[1].msix_control[RIG_VECTORS] = 0;
	rig_expect_good(rig, verify_msix);
}

static void verify_msix_finds_capability_in_any_list(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	/* The capability comes after another one. */
	rig->pci[1].config[PCI_CAPABILITY_LIST] = 0x70;
	rig->pci[1].config[0x70] = PCI_CAP_ID_VNDR;
	rig->pci[1].config[0x71] = RIG_MSIX;
	rig->pci[1].msix_data[1] = 3;
	rig_expect(rig, verify_msix, "virtio-blk1/msix 1", "event 3");

	/* The list of capabilities is a ring, and one is at the end of config space. */
	rig = rig_new();
	rig->pci[1].config[RIG_MSIX] = PCI_CAP_ID_VNDR;
	rig->pci[1].config[RIG_MSIX + 1] = RIG_MSIX;
	rig_expect_good(rig, verify_msix);
	rig = rig_new();
	rig->pci[1].config[PCI_CAPABILITY_LIST] = 0xff;
	rig->pci[1].config[0xfc] = PCI_CAP_ID_MSIX;
	rig->pci[1].config[0xfe] = 0xff;
	rig->pci[1].config[0xff] = 0xff;
	rig_expect(rig, verify_msix, "virtio-blk1/pci", "it has 2048 MSI-X vectors, above the 64");

	rig = rig_new();
	rig->no_its = true;
	rig->pci[0].config[PCI_STATUS] = 0;
	rig_expect(rig, verify_msix, "virtio-blk1/pci", "the machine has no ITS; a restore refuses it");
}

/* The vectors of a passed-through device's own table. */
static void verify_msix_checks_vectors_of_passed_through_devices(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig_pass(rig);
	rig_expect_good(rig, verify_msix);
	rig = rig_new();
	rig_pass(rig);
	rig->passed.entries[1][1] = 1;
	rig_expect(rig, verify_msix, "vfio0/msix 1", "sends to 0x13ffe0040, where no ITS is");
	rig = rig_new();
	rig_pass(rig);
	rig->passed.entries[2][2] = 3;
	rig_expect(rig, verify_msix, "vfio0/msix 2", "sends event 3 of device 0x10, which the ITS does not map");
	rig = rig_new();
	rig_pass(rig);
	rig->passed.entries[2][2] = 3;
	rig->passed.entries[2][3] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	rig_expect_good(rig, verify_msix);
}

static void verify_msix_reports_table_of_wrong_size(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig_pass(rig);
	rig->passed.words -= 4;
	rig_expect(rig, verify_msix, "vfio0/msix", "its MSI-X table is missing or of another size");
	rig = rig_new();
	rig_pass(rig);
	rig->leave = "vfio0/msix";
	rig_expect(rig, verify_msix, "vfio0/msix", "its MSI-X table is missing or of another size");
	rig = rig_new();
	rig_pass(rig);
	rig->passed.pci.config[RIG_MSIX] = PCI_CAP_ID_VNDR;
	rig_expect(rig, verify_msix, "vfio0/msix", "there is an MSI-X table, but the device has no MSI-X");

	/* It has the largest number of vectors, but a smaller table. */
	rig = rig_new();
	rig_pass(rig);
	rig->passed.pci.config[RIG_MSIX + PCI_MSIX_FLAGS] = 0xff;
	rig->passed.pci.config[RIG_MSIX + PCI_MSIX_FLAGS + 1] |= 7;
	rig_expect(rig, verify_msix, "vfio0/msix", "its MSI-X table is missing or of another size");
}

static void verify_msix_checks_msi_messages(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig_pass_msi(rig);
	rig_expect_good(rig, verify_msix);
	rig = rig_new();
	rig_pass_msi(rig);
	rig->passed.pci.config[RIG_MSIX + PCI_MSI_FLAGS] += 1 << 4; /* four */
	rig_expect(rig, verify_msix, "vfio0/msi 3", "sends event 3 of device 0x10, which the ITS does not map");
	rig = rig_new();
	rig_pass_msi(rig);
	rig->passed.pci.config[RIG_MSIX + PCI_MSI_FLAGS] += 1 << 4;
	rig->passed.pci.config[RIG_MSIX + PCI_MSI_MASK_64] = 8;
	rig_expect_good(rig, verify_msix);
	rig = rig_new();
	rig_pass_msi(rig);
	rig->passed.pci.config[RIG_MSIX + PCI_MSI_DATA_64] = 0x12;
	rig->passed.pci.config[PCI_COMMAND] = 0;
	rig_expect_good(rig, verify_msix);

	/* MSI-X has precedence if both are enabled. */
	rig = rig_new();
	rig_pass_msi(rig);
	rig->passed.words = 4 * RIG_VECTORS;
	rig->passed.pci.config[RIG_MSIX + PCI_MSI_DATA_64] = 0x12;
	rig->passed.pci.config[RIG_MSIX + PCI_CAP_LIST_NEXT] = 0x70;
	rig->passed.pci.config[0x70] = PCI_CAP_ID_MSIX;
	rig->passed.pci.config[0x70 + PCI_MSIX_FLAGS] = RIG_VECTORS - 1;
	rig->passed.pci.config[0x70 + PCI_MSIX_FLAGS + 1] = PCI_MSIX_FLAGS_ENABLE >> 8;
	rig_expect_good(rig, verify_msix);
}

/* verify_its() reports missing registers of the ITS, so this check does not. */
static void verify_msix_ignores_missing_its_registers(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig->leave = "BASER1";
	rig_expect_good(rig, verify_msix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verify_msix_accepts_sound_vectors),
		cmocka_unit_test(verify_msix_reports_messages_that_would_be_dropped),
		cmocka_unit_test(verify_msix_ignores_vectors_that_send_no_message),
		cmocka_unit_test(verify_msix_finds_capability_in_any_list),
		cmocka_unit_test(verify_msix_checks_vectors_of_passed_through_devices),
		cmocka_unit_test(verify_msix_reports_table_of_wrong_size),
		cmocka_unit_test(verify_msix_checks_msi_messages),
		cmocka_unit_test(verify_msix_ignores_missing_its_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
