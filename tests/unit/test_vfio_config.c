/* SPDX-License-Identifier: MIT */
/* A passed-through device's config space and BARs as a guest sees them, and malformed lists of capabilities. */
#include "unit/vfio_rig.h"
#include "util/bits.h"

static uint64_t config(struct rig *rig, unsigned offset, unsigned size)
{
	return get(rig, ECAM + offset, size);
}

static void header_is_emulated_except_status(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(pass_through(rig), 0);
	assert_int_equal(config(rig, PCI_VENDOR_ID, 4), 0x56781234);
	assert_int_equal(config(rig, PCI_CLASS_REVISION, 4), 0x02000003);
	assert_int_equal(config(rig, PCI_INTERRUPT_PIN, 1), 1);
	assert_int_equal(config(rig, PCI_COMMAND, 2), 0);
	/* The device's memory is always enabled. The guest controls bus mastering. */
	assert_int_equal(*real_config(PCI_COMMAND), PCI_COMMAND_MEMORY);
	put(rig, ECAM + PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_IO);
	assert_int_equal(*real_config(PCI_COMMAND), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(config(rig, PCI_COMMAND, 2), PCI_COMMAND_MASTER);
	/* The status register is the device's. */
	*real_config(PCI_STATUS + 1) = 0x20;
	assert_int_equal(config(rig, PCI_STATUS, 2), 0x2000 | PCI_STATUS_CAP_LIST);
	put(rig, ECAM + PCI_STATUS + 1, 1, 0x42);
	assert_int_equal(*real_config(PCI_STATUS + 1), 0x42);
}

static void capabilities_are_passed_hidden_or_emulated(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(pass_through(rig), 0);
	assert_int_equal(config(rig, 0x40, 4), 0x00035001); /* D0, no PME */
	assert_int_equal(config(rig, 0x44, 2), PCI_PM_CTRL_NO_SOFT_RESET);
	put(rig, ECAM + 0x44, 2, 3);
	assert_int_equal(config(rig, 0x44, 2), 3 | PCI_PM_CTRL_NO_SOFT_RESET);
	assert_int_equal(*real_config(0x44), 3); /* unchanged */
	assert_int_equal(config(rig, 0x52, 2), PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT | 2 << 1);
	assert_int_equal(config(rig, 0x71, 1), 0x90); /* skips HT */
	assert_int_equal(config(rig, 0x80, 4), 0);
	assert_int_equal(config(rig, 0x94, 4), 0xabcdef01);
	put(rig, ECAM + 0x94, 4, 0x01020304);
	assert_int_equal(*real_config(0x94), 4);
	assert_int_equal(config(rig, 0xa2, 2), 2 | PCI_EXP_TYPE_RC_END << 4);
	assert_int_equal(config(rig, 0xac, 4), 0); /* no link */
	/* The host can reset the device by some method. The guest requests it as a function-level reset of PCI Express. */
	assert_int_equal(config(rig, 0xa4, 4), PCI_EXP_DEVCAP_FLR);
	put(rig, ECAM + 0xa8, 2, 0x7fff);
	assert_int_equal(fake_vfio_find(0, VFIO_DEVICE_RESET), SIZE_MAX);
	put(rig, ECAM + 0xa8, 2, 0x8000);
	assert_int_not_equal(fake_vfio_find(0, VFIO_DEVICE_RESET), SIZE_MAX);
	assert_int_equal(config(rig, 0x100, 4), 0x14000000 | 1 << 16 | PCI_EXT_CAP_ID_ERR);
	assert_int_equal(config(rig, 0x140, 4), PCI_EXT_CAP_ID_DSN | 1 << 16);
	assert_int_equal(config(rig, 0x144, 4), 0x11223344);
}

static void messages_are_hidden_without_an_its(void **state)
{
	struct rig *rig = *state;

	rig->vm.interrupts.has_msi = false;
	assert_int_equal(pass_through(rig), 0);
	assert_int_equal(config(rig, 0x41, 1), 0x90);
	assert_int_equal(config(rig, 0x50, 4), 0);
}

static void bar_is_mapped_around_the_msix_table(void **state)
{
	struct rig *rig = *state;
	size_t from;

	assert_int_equal(pass_through(rig), 0);
	put(rig, ECAM + PCI_BASE_ADDRESS_0, 4, ~0u);
	put(rig, ECAM + PCI_BASE_ADDRESS_2, 4, ~0u);
	assert_int_equal(config(rig, PCI_BASE_ADDRESS_0, 4), 0xffff8004);
	assert_int_equal(config(rig, PCI_BASE_ADDRESS_2, 4), 0xfffff008);
	put(rig, ECAM + PCI_BASE_ADDRESS_0, 8, WINDOW64 + 0x100000);
	put(rig, ECAM + PCI_BASE_ADDRESS_2, 4, WINDOW32 + 0x100000);
	from = fake_kvm.count;
	put(rig, ECAM + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	from = fake_find(from, KVM_SET_USER_MEMORY_REGION);
	assert_int_equal(fake_kvm.calls[from].attribute, WINDOW64 + 0x100000);
	assert_int_equal(fake_kvm.calls[from].value, 0x2000);
	from = fake_find(from + 1, KVM_SET_USER_MEMORY_REGION);
	assert_int_equal(fake_kvm.calls[from].attribute, WINDOW64 + 0x103000);
	assert_int_equal(fake_kvm.calls[from].value, 0x1000);
	from = fake_find(from + 1, KVM_SET_USER_MEMORY_REGION);
	assert_int_equal(fake_kvm.calls[from].attribute, WINDOW64 + 0x105000);
	assert_int_equal(fake_kvm.calls[from].value, 0x3000);
	from = fake_find(from + 1, KVM_SET_USER_MEMORY_REGION);
	assert_int_equal(fake_kvm.calls[from].attribute, WINDOW32 + 0x100000);

	/* Registers in the page of the table are the device's. */
	put(rig, WINDOW64 + 0x102900, 4, 0xcafe);
	assert_memory_equal(fake_vfio_region(0) + 0x2900, "\xfe\xca\0\0", 4);
	assert_int_equal(get(rig, WINDOW64 + 0x102900, 4), 0xcafe);
	put(rig, WINDOW64 + 0x102008, 4, 0x77);
	assert_int_equal(fake_vfio_region(0)[0x2008], 0);
	assert_int_equal(get(rig, WINDOW64 + 0x102008, 4), 0x77);
	assert_int_equal(get(rig, WINDOW64 + 0x10200c, 4), 1);
	fake_vfio_region(0)[0x4000] = 5;
	assert_int_equal(get(rig, WINDOW64 + 0x104000, 8), 5);
	put(rig, WINDOW64 + 0x104000, 8, 0);
	assert_int_equal(fake_vfio_region(0)[0x4000], 5);

	/* With memory decoding off, KVM has no slot or doorbell left. */
	from = fake_kvm.count;
	put(rig, ECAM + PCI_COMMAND, 2, 0);
	for (unsigned i = 0; i < 4; i++) {
		from = fake_find(from, KVM_SET_USER_MEMORY_REGION);
		assert_int_not_equal(from, SIZE_MAX);
		assert_int_equal(fake_kvm.calls[from++].value, 0);
	}
}

static void rom_is_readable_when_it_is_enabled(void **state)
{
	struct rig *rig = *state;
	uint64_t value;

	memcpy(fake_vfio_region(VFIO_PCI_ROM_REGION_INDEX), "\x55\xaa", 2);
	assert_int_equal(pass_through(rig), 0);
	put(rig, ECAM + PCI_ROM_ADDRESS, 4, ~1u);
	assert_int_equal(config(rig, PCI_ROM_ADDRESS, 4), 0xfffff800);
	put(rig, ECAM + PCI_ROM_ADDRESS, 4, WINDOW32 + 0x200000);
	put(rig, ECAM + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_false(bus_read(&rig->vm.bus, WINDOW32 + 0x200000, 2, &value));
	put(rig, ECAM + PCI_ROM_ADDRESS, 4, (WINDOW32 + 0x200000) | PCI_ROM_ADDRESS_ENABLE);
	assert_int_equal(get(rig, WINDOW32 + 0x200000, 2), 0xaa55);
	put(rig, ECAM + PCI_COMMAND, 2, 0);
	assert_false(bus_read(&rig->vm.bus, WINDOW32 + 0x200000, 2, &value));
}

/* Like the kernel's mtty: eight ports, and the last byte of config space is missing. */
static void port_accesses_are_trapped(void **state)
{
	struct rig *rig = *state;
	uint8_t *ports = fake_vfio_region(1);

	fake_vfio.sizes[0] = 0;
	fake_vfio.sizes[1] = 8;
	fake_vfio.sizes[VFIO_PCI_CONFIG_REGION_INDEX] = 255;
	put32(real_config(PCI_BASE_ADDRESS_1), PCI_BASE_ADDRESS_SPACE_IO | 0x3f8);
	*real_config(0x51) = 0x80; /* no MSI-X, as the BAR of its table is missing */
	assert_int_equal(pass_through(rig), 0);
	/* The addresses are the guest's. The device's ports are always enabled, as memory is. */
	assert_int_equal(get(rig, ECAM + PCI_BASE_ADDRESS_1, 4), 0x1001);
	assert_int_equal(*real_config(PCI_COMMAND), PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	assert_int_equal(get(rig, ECAM + PCI_COMMAND, 2), 0);
	put(rig, ECAM + PCI_COMMAND, 2, PCI_COMMAND_IO);
	ports[5] = 0x60;
	assert_int_equal(get(rig, PORTS + 0x1005, 1), 0x60);
	put(rig, PORTS + 0x1007, 1, 0xa5);
	assert_int_equal(ports[7], 0xa5);
	put(rig, ECAM + PCI_BASE_ADDRESS_1, 4, 0x2f8);
	assert_int_equal(get(rig, PORTS + 0x2ff, 1), 0xa5);
}

static void capability_list_is_refused_when_it_is_malformed(void **state)
{
	static const struct {
		unsigned offset;
		uint8_t value;
		const char *words;
	} lies[] = {
		{ 0x91, 0x50, "leads back to 0x50" },
		{ 0x40 + 1, 0x40, "leads back to 0x40" },
		{ PCI_CAPABILITY_LIST, 0x10, "leads into the header" },
		{ 0x81, 0x3c, "leads into the header" },
		{ 0x92, 0x80, "says that it has 128 bytes" },
		{ 0x92, 1, "says that it has 1 bytes" },
		{ 0x51, 0x54, "lies in another" }, /* the next pointer leads into MSI itself */
		{ 0xa1, 0xfc, "says that it has" },
		{ 0x143, 0x10, "leads back to 0x100" },
		{ 0x143, 0x08, "leads to 0x80" },
		{ 0x74, 6, "BAR 6" },
		{ 0x72, 8, "9 entries" },
		{ PCI_HEADER_TYPE, 1, "bridge" },
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < COUNT(lies); i++) {
		make_device();
		*real_config(0x54) = PCI_CAP_ID_VPD;
		*real_config(0xfc) = PCI_CAP_ID_PM;
		*real_config(lies[i].offset) = lies[i].value;
		refused(rig, lies[i].words);
	}
	memset(real_config(0), 0xff, 4096);
	refused(rig, "does not answer");
	fake_vfio.sizes[VFIO_PCI_CONFIG_REGION_INDEX] = 63;
	refused(rig, "63 bytes");
}

static uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* With any config space and any access by the guest, the result is an error or a working device. */
static void device_survives_nonsense_in_config_space(void **state)
{
	struct rig *rig = *state;
	uint64_t seed = 7, value;
	unsigned taken = 0;

	for (unsigned round = 0; round < 400; round++) {
		make_device();
		for (unsigned i = 0; i < 1 + round % 12; i++)
			*real_config((unsigned)(0x34 + next(&seed) % (i % 3 ? 0xcc : 0x1cc))) = (uint8_t)next(&seed);
		fake_vfio.vectors[VFIO_PCI_MSIX_IRQ_INDEX] = (*real_config(0x72) | (*real_config(0x73) & 7u) << 8) + 1u;
		fake_vfio.count = fake_kvm.count = 0;
		if (pass_through(rig) < 0)
			continue;
		taken++;
		for (unsigned i = 0; i < 300; i++) {
			unsigned size = 1u << next(&seed) % 4, offset = (unsigned)next(&seed) % 0x200 & ~(size - 1);

			if (i % 2)
				bus_write(&rig->vm.bus, ECAM + offset, size, i % 3 ? next(&seed) : ~0ull);
			else
				bus_read(&rig->vm.bus, ECAM + offset, size, &value);
			offset = (unsigned)(0x1ff8 + next(&seed) % 0x2100);
			bus_write(&rig->vm.bus, WINDOW64 + offset, size, next(&seed));
			bus_read(&rig->vm.bus, WINDOW64 + offset, size, &value);
			if (i % 50 == 49)
				vfio_reset(rig->vfio);
			fake_vfio.count = fake_kvm.count = 0;
		}
		vfio_close(rig->vfio);
		rig->vfio = NULL;
		rig->pci.next32 = WINDOW32;
		rig->pci.next64 = WINDOW64;
	}
	assert_true(taken > 20);
}

static void address_is_parsed_or_refused(void **state)
{
	static const char *const bad[] = {
		"", "1:2", "01:00", "01:00.8", "01:20.0", "00000:01:00.0", "01:00.0x", " 01:00.0", "0000:01:00.0 ",
		"-1:00.0", "x:y.z", ":", "::", "01:00.", "1:2:3:4.5",
	};
	static const char *const no_uuids[] = {
		"83b8f4f2-509f-382f-3c1e-e6bfe0fa100", "83b8f4f2509f382f3c1ee6bfe0fa1001",
		"83b8f4f2-509f-382f-3c1e+e6bfe0fa1001", "83b8f4f2-509f-382f-3c1e-e6bfe0fa100g",
		"../../../../../../../../../../tmp/aa", MEDIATED "1", " " MEDIATED,
	};
	char address[VFIO_ADDRESS_SIZE];
	struct error error;

	(void)state;
	assert_int_equal(vfio_address("83B8F4F2-509f-382f-3c1e-e6bfe0fa1001", address, &error), 0);
	assert_string_equal(address, "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
	for (size_t i = 0; i < COUNT(no_uuids); i++)
		assert_int_equal(vfio_address(no_uuids[i], address, &error), -1);
	assert_int_equal(vfio_address("1:2.3", address, &error), 0);
	assert_string_equal(address, "0000:01:02.3");
	assert_int_equal(vfio_address("ABCD:EF:1f.7", address, &error), 0);
	assert_string_equal(address, "abcd:ef:1f.7");
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(vfio_address(bad[i], address, &error), -1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)
	const struct CMUnitTest tests[] = {
		CASE(header_is_emulated_except_status),
		CASE(capabilities_are_passed_hidden_or_emulated),
		CASE(messages_are_hidden_without_an_its),
		CASE(bar_is_mapped_around_the_msix_table),
		CASE(rom_is_readable_when_it_is_enabled),
		CASE(port_accesses_are_trapped),
		CASE(capability_list_is_refused_when_it_is_malformed),
		CASE(device_survives_nonsense_in_config_space),
		cmocka_unit_test(address_is_parsed_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
