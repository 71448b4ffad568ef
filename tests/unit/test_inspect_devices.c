/* SPDX-License-Identifier: MIT */
/* The views of devices, PCI functions and the configuration, with contents that no golden snapshot has. */
#include <errno.h>

#include "unit/views_rig.h"

/* Devices. */

static void devices_view_shows_queues(void **state)
{
	static const char *const on[] = {
		"acknowledge driver features-ok driver-ok\n", "virtio-blk0/queue0  128   yes      1       0x80080000   0x80081000  0x80082000\n",
		"virtio-blk0/queue0  65534           2          65532      65532\n", NULL,
	};
	static const char *const off[] = {
		"virtio-blk0  00:00.0  0x110000000  0x100000000  reset\n",
		"virtio-blk0/queue0  128   no       -       0x80080000   0x80081000  0x80082000\n",
		"virtio-blk0/queue0  65534           -          65532      -\n", NULL,
	};
	static const char *const odd[] = { "virtio-blk0/queue0  65534           -          65532      65532\n", NULL };
	struct inspection_rig *rig = rig_new();

	(void)state;
	expect(rig_new(), inspect_devices, on);
	rig->virtio[0].status = 0;
	rig->queues[0].enabled = 0;
	rig->queues[0].vector = 0xffff;
	expect(rig, inspect_devices, off);
	rig = rig_new();
	rig->queues[0].driver++;
	expect(rig, inspect_devices, odd);
	rig = rig_new();
	rig->queues[0].driver = RIG_END - 2;
	expect(rig, inspect_devices, odd);
}

static void field_is_printed_by_its_type(void **state)
{
	static const uint16_t many[20] = { [0] = 0x1234, [15] = 0xf, [16] = 0x10 };
	struct byte_buffer buffer = { 0 };
	struct fields fields;
	struct report report;
	struct error error;

	(void)state;
	field_add_number(&buffer, "number", 0x1234567890abcdef);
	field_add_text(&buffer, "text", "some ~ text");
	field_add(&buffer, "bytes", 1, 2, "a\x7f");
	field_add(&buffer, "many", 2, 20, many);
	fields = (struct fields){ buffer.bytes, buffer.size };
	report_open(&report, false);
	assert_int_equal(inspect_fields(&fields, &report, &error), 0);
	assert_string_equal(report_text(&report),
			    "number  0x1234567890abcdef\ntext    some ~ text\nbytes   0x61, 0x7f\nmany    0x1234, 0x0, 0x0, 0x0, "
			    "0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0xf, ...\n");
	report_close(&report);
	report_open(&report, true);
	assert_int_equal(inspect_fields(&fields, &report, &error), 0);
	assert_non_null(strstr(report_text(&report), "\"0xf\", \"0x10\", \"0x0\", \"0x0\", \"0x0\"]}\n"));
	report_close(&report);
	byte_buffer_free(&buffer);
}

/* Only the size of a device's own data is shown. */
static void devices_view_shows_state_of_passed_through_devices(void **state)
{
	static const char *const detached[] = { "passed through\n  device  pci      host          state     data\n"
						"  vfio0   00:02.0  0000:01:00.0  detached  -\n", NULL };
	static const char *const saved[] = { "  vfio0   00:02.0  0000:01:00.0  saved  2 MiB\n", NULL };
	static const char *const odd[] = { "  vfio0   00:02.0  0000:01:00.0  -      -\n", NULL };
	static const char *const gone[] = { "  vfio0   -    0000:01:00.0  detached  -\n", NULL };
	static const char *const none[] = { "passed through  none\n", NULL };
	struct inspection_rig *rig = rig_new();

	(void)state;
	expect(rig_new(), inspect_devices, none);
	rig_pass(rig);
	expect(rig, inspect_devices, detached);
	rig = rig_new();
	rig_pass(rig);
	rig->passed.data = 2 << 20;
	expect(rig, inspect_devices, saved);
	rig = rig_new();
	rig_pass(rig);
	rig->passed.data = 1;
	rig->passed.data_name = "other";
	expect(rig, inspect_devices, odd);
	rig = rig_new();
	rig_pass(rig);
	rig->leave = "vfio0/pci";
	expect(rig, inspect_devices, gone);
	rig = rig_new();
	rig_pass(rig);
	rig->partial = true;
	expect(rig, inspect_devices, odd);
}

/* PCI. */

static void pci_view_shows_vectors(void **state)
{
	static const char *const lines[] = {
		"00:00.0  virtio-blk0  0000:0000  000000  yes     yes         no             held  -\n",
		"virtio-blk0  1       0x3ffe0040  0x1   no      yes      8193  0     MSI-X  masked\n",
		"virtio-blk0  2       0x0         0x2   yes     yes      8194  0     MSI-X  masked\n",
		"virtio-blk1  0       0x3ffe0040  0x0   no      no       8200  1     MSI-X  irqfd\n",
		"virtio-blk1  1       0x3ffe0040  0x9   no      no       -     -     MSI-X  irqfd\n", NULL,
	};
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig->pci[0].config[RIG_MSIX + PCI_MSIX_FLAGS + 1] |= PCI_MSIX_FLAGS_MASKALL >> 8;
	rig->pci[0].msix_pending = 6;
	rig->pci[0].msix_address[2] = 0;
	rig->pci[0].msix_control[2] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	rig->pci[1].msix_data[1] = 9;
	expect(rig, inspect_pci, lines);
}

/* More vectors than entries in the table; no vectors; a ring of capabilities. */
static void pci_view_shows_msix_by_the_capability(void **state)
{
	static const char *const many[] = { "virtio-blk0  2 ", "virtio-blk0  63 ", "virtio-blk1  0 ", NULL };
	static const char *const none[] = { "00:00.0  virtio-blk0  0000:0000  000000  yes     yes         no             -     -\n",
					    "vectors\n", "\n  virtio-blk1  0 ", NULL };
	static const char *const off[] = { "no             off   -\n", NULL };
	static const char *const held[] = { "00:00.0  virtio-blk0  0000:0000  000000  yes     no          no             held  -\n", NULL };
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig->pci[0].config[RIG_MSIX + PCI_MSIX_FLAGS] = 0xff;
	for (unsigned i = 0; i < PCI_MAX_VECTORS; i++)
		rig->pci[0].msix_control[i] = 0;
	expect(rig, inspect_pci, many);
	rig = rig_new();
	rig->pci[0].config[RIG_MSIX] = PCI_CAP_ID_VNDR;
	rig->pci[0].config[RIG_MSIX + PCI_CAP_LIST_NEXT] = RIG_MSIX;
	expect(rig, inspect_pci, none);
	rig = rig_new();
	rig->pci[0].config[RIG_MSIX + PCI_MSIX_FLAGS + 1] = 0;
	expect(rig, inspect_pci, off);
	rig = rig_new();
	rig->pci[0].config[PCI_COMMAND] = PCI_COMMAND_MEMORY;
	expect(rig, inspect_pci, held);
}

/* A passed-through device has its table in another section, and no pending bits. */
static void pci_view_shows_vectors_of_passed_through_devices(void **state)
{
	static const char *const msix[] = {
		"00:02.0  vfio0        0000:0000  000000  yes     yes         no             on    -\n",
		"  vfio0        0       0x3ffe0040   0x0      no      -        8208  0     MSI-X  irqfd\n",
		"  vfio0        1       0x13ffe0040  0x1      yes     -        8209  0     MSI-X  masked\n",
		"  vfio0        2       0x3ffe0040   0x12345  no      -        -     -     MSI-X  irqfd\n", NULL,
	};
	static const char *const off[] = { "no             off   -\n", "  vfio0        2 ", "     -     MSI-X  -\n", NULL };
	static const char *const unused[] = { "virtio-blk1  2 ", "\n", NULL };
	struct inspection_rig *rig = rig_new();
	struct opened opened;

	(void)state;
	rig_pass(rig);
	rig->passed.entries[1][1] = 1;
	rig->passed.entries[1][3] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	rig->passed.entries[2][2] = 0x12345;
	expect(rig, inspect_pci, msix);

	rig = rig_new();
	rig_pass(rig);
	rig->passed.entries[2][2] = 0x12345;
	rig->passed.pci.config[RIG_MSIX + PCI_MSIX_FLAGS + 1] = 0;
	expect(rig, inspect_pci, off);

	rig = rig_new();
	rig_pass(rig);
	for (unsigned i = 0; i < RIG_VECTORS; i++)
		memcpy(rig->passed.entries[i], (const uint32_t[]){ 0, 0, 0, PCI_MSIX_ENTRY_CTRL_MASKBIT }, 16);
	open_rig(&opened, rig);
	assert_lines(show(&opened, inspect_pci, false), unused);
	assert_null(strstr(strstr(report_text(&opened.report), "vectors"), "vfio0"));
	close_rig(&opened);
	free(rig);

	rig = rig_new();
	rig_pass(rig);
	rig->passed.words--;
	expect_failure(rig, inspect_pci, "section vfio0/msix: the MSI-X table is missing or of another size");
	rig = rig_new();
	rig_pass(rig);
	rig->leave = "vfio0/msix";
	expect_failure(rig, inspect_pci, "section vfio0/msix: the MSI-X table is missing or of another size");
}

/* Two of four messages are enabled; a capability with a 32-bit address and no masks; none. */
static void pci_view_shows_msi_without_msix(void **state)
{
	static const char *const wide[] = {
		"00:02.0  vfio0        0000:0000  000000  yes     yes         no             -     on\n",
		"  vfio0        0       0x3ffe0040  0x0   no      -        8208  0     MSI    irqfd\n"
		"  vfio0        1       0x3ffe0040  0x1   yes     -        8209  0     MSI    masked\n", NULL,
	};
	static const char *const narrow[] = {
		"no             -     on\n", "  vfio0        0       0x3ffe0040  0x2   no      -        8210  0     MSI    irqfd\n", NULL,
	};
	static const char *const upper[] = { "  vfio0        0       0x13ffe0040  0x0   no ", NULL };
	static const char *const off[] = { "no             -     off\n", NULL };
	static const char *const held[] = { "no          no             -     held\n", NULL };
	struct inspection_rig *rig = rig_new();
	uint8_t *capability;

	(void)state;
	rig_pass_msi(rig);
	rig->passed.pci.config[RIG_MSIX + PCI_MSI_MASK_64] = 2;
	expect(rig, inspect_pci, wide);

	rig = rig_new();
	rig_pass_msi(rig);
	capability = rig->passed.pci.config + RIG_MSIX;
	capability[PCI_MSI_FLAGS] = PCI_MSI_FLAGS_ENABLE | 5 << 4; /* more than the device can send */
	capability[PCI_MSI_FLAGS + 1] = 0;
	capability[PCI_MSI_DATA_32] = 2;
	memset(capability + PCI_MSI_MASK_32, 0xff, 4);
	expect(rig, inspect_pci, narrow);

	rig = rig_new();
	rig_pass_msi(rig);
	rig->passed.pci.config[RIG_MSIX + PCI_MSI_ADDRESS_HI] = 1;
	expect(rig, inspect_pci, upper);
	rig = rig_new();
	rig_pass_msi(rig);
	rig->passed.pci.config[RIG_MSIX + PCI_MSI_FLAGS] &= (uint8_t)~PCI_MSI_FLAGS_ENABLE;
	expect(rig, inspect_pci, off);
	rig = rig_new();
	rig_pass_msi(rig);
	rig->passed.pci.config[PCI_COMMAND] = PCI_COMMAND_MEMORY;
	expect(rig, inspect_pci, held);
}

static void pci_view_shows_bars(void **state)
{
	static const char *const lines[] = {
		"virtio-blk0  0    0x50000000    32    no\n", "virtio-blk0  2    0x1260000000  64    yes\n"
		"  virtio-blk0  5    0x70000000    32    no\n", NULL,
	};
	static const uint32_t values[] = { 0x50000000, 0, 0x6000000c, 0x12, 0, 0x70000004 };
	struct inspection_rig *rig = rig_new();

	(void)state;
	memcpy(rig->pci[0].config + PCI_BASE_ADDRESS_0, values, sizeof(values));
	expect(rig, inspect_pci, lines);
}

static void pci_view_refuses_config_space_of_wrong_size(void **state)
{
	struct inspection_rig *rig = rig_new();
	struct opened opened;
	struct section *section;
	struct error error;

	(void)state;
	open_rig(&opened, rig);
	section = (struct section *)(uintptr_t)opened.inspection.devices[0].pci;
	for (unsigned i = 0; i < 2; i++) {
		struct byte_buffer buffer = { 0 };

		field_add(&buffer, "config", i ? 1 : 2, i ? PCI_CONFIG_SIZE - 1 : PCI_CONFIG_SIZE, NULL);
		section->fields = (struct fields){ buffer.bytes, buffer.size };
		report_open(&opened.report, false);
		assert_int_equal(inspect_pci(&opened.inspection, &opened.report, &error), -1);
		assert_string_equal(error.text, i ? "section virtio-blk0/pci: config has less than 4096 values" :
						    "section virtio-blk0/pci: config is not of bytes");
		report_close(&opened.report);
		byte_buffer_free(&buffer);
	}
	close_rig(&opened);
	free(rig);
}

/* The bus has 32 slots, also if the file has more devices. */
static void inspection_ignores_devices_beyond_32_slots(void **state)
{
	struct inspection_rig *rig = rig_new();
	struct section_writer writer = { .start = 0 };
	struct snapshot snapshot = { .fd = -1, .ram_base = RIG_RAM, .ram_size = RIG_RAM_SIZE };
	struct inspection inspection;
	struct error error;

	(void)state;
	rig_write(rig, &writer);
	for (unsigned i = RIG_PCI_DEVICES; i < PCI_SLOTS + 2; i++) {
		char name[SECTION_NAME_LENGTH + 1];

		snprintf(name, sizeof(name), "virtio-blk%u/pci", i);
		section_begin(&writer, name, 1, SECTION_MANDATORY);
		section_end(&writer);
	}
	assert_int_equal(sections_parse(&snapshot.sections, writer.buffer.bytes, writer.buffer.size, &error), 0);
	assert_int_equal(inspection_open(&inspection, &snapshot, &error), 0);
	assert_int_equal(inspection.device_count, PCI_SLOTS);
	assert_string_equal(inspection_device(&inspection, 31 << 3)->name, "virtio-blk31");
	inspection_close(&inspection);
	sections_free(&snapshot.sections);
	byte_buffer_free(&writer.buffer);
	free(rig);
}

static void inspection_finds_device_by_requester_id(void **state)
{
	struct inspection_rig *rig = rig_new();
	char text[INSPECT_ADDRESS_LENGTH];
	struct opened opened;

	(void)state;
	open_rig(&opened, rig);
	assert_string_equal(inspection_device(&opened.inspection, 8)->name, "virtio-blk1");
	assert_null(inspection_device(&opened.inspection, 9));
	assert_null(inspection_device(&opened.inspection, 16));
	assert_null(inspection_device(&opened.inspection, 0x100));
	inspect_pci_address(0x1fd, text);
	assert_string_equal(text, "01:1f.5");
	close_rig(&opened);
	free(rig);
}

/* The summary. */

static void machine_view_shows_configuration(void **state)
{
	char name[] = "vm", initrd[] = "/initrd", parameters[] = "quiet", path[] = "/disk";
	const struct machine_config config = {
		.name = name, .cpus = 3, .memory = 1 << 20, .irqchip = IRQCHIP_GICV3, .initrd = initrd,
		.parameters = parameters, .disk_count = 1, .disks = { { .path = path, .size = 512, .read_only = true } },
		.watchdog = MACHINE_WATCHDOG_POWER_OFF, .network_count = 3,
		.networks = {
			{ .mode = NET_USER, .mac = { 1, 2, 3, 4, 5, 0xff } },
			{ .mode = NET_USER, .passt = "/passt", .passt_options = "-t 22" },
			{ .mode = NET_TAP, .tap = "tap1", .script = "/script" },
		},
		.vfio = { .count = 1, .devices = { "0000:01:00.0" } },
	};
	struct report report;

	(void)state;
	report_open(&report, true);
	inspect_machine(&config, &report);
	assert_string_equal(report_text(&report),
			    "{\"name\": \"vm\", \"vcpus\": 3, \"memory\": 1048576, \"irqchip\": \"gicv3\", \"initrd\": \"/initrd\", "
			    "\"parameters\": \"quiet\", \"watchdog\": \"poweroff\", "
			    "\"disk0\": {\"path\": \"/disk\", \"size\": 512, \"read_only\": true}, "
			    "\"network0\": {\"mode\": \"user\", \"mac\": \"01:02:03:04:05:ff\"}, "
			    "\"network1\": {\"mode\": \"user\", \"passt\": \"/passt\", \"passt_options\": \"-t 22\", "
			    "\"mac\": \"00:00:00:00:00:00\"}, "
			    "\"network2\": {\"mode\": \"tap\", \"interface\": \"tap1\", \"script\": \"/script\", "
			    "\"mac\": \"00:00:00:00:00:00\"}, "
			    "\"vfio0\": {\"address\": \"0000:01:00.0\"}}\n");
	report_close(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(devices_view_shows_queues),
		cmocka_unit_test(field_is_printed_by_its_type),
		cmocka_unit_test(devices_view_shows_state_of_passed_through_devices),
		cmocka_unit_test(pci_view_shows_vectors),
		cmocka_unit_test(pci_view_shows_msix_by_the_capability),
		cmocka_unit_test(pci_view_shows_vectors_of_passed_through_devices),
		cmocka_unit_test(pci_view_shows_msi_without_msix),
		cmocka_unit_test(pci_view_shows_bars),
		cmocka_unit_test(pci_view_refuses_config_space_of_wrong_size),
		cmocka_unit_test(inspection_ignores_devices_beyond_32_slots),
		cmocka_unit_test(inspection_finds_device_by_requester_id),
		cmocka_unit_test(machine_view_shows_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
