/* SPDX-License-Identifier: MIT */
/* hw/pci.c and hw/msix.c: ECAM, moving BARs, MSI-X. The tests access the bus as a guest does, and check the calls of KVM. */
#include "unit/test.h"

#include <errno.h>
#include <linux/kvm.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/eventfd.h>

#include "fake/kvm.h"
#include "hw/pci.h"

#define ECAM 0x40000000ull
#define PORTS 0x3eff0000ull
#define WINDOW32 0x50000000ull
#define WINDOW64 0x8000000000ull
#define VECTORS 3

struct fixture {
	struct bus bus;
	struct interrupts interrupts;
	struct pci_bus pci;
	struct pci_device devices[2];
	unsigned moves;
};

static struct fixture fixture;

static uint64_t bar_read(void *owner, uint64_t offset, unsigned size)
{
	(void)owner;
	(void)size;
	return 0xabc0 + offset;
}

static void bar_write(void *owner, uint64_t offset, unsigned size, uint64_t value)
{
	(void)owner;
	(void)offset;
	(void)size;
	(void)value;
}

static const struct bus_ops bar_ops = { .read = bar_read, .write = bar_write };

static void moved(void *owner, uint64_t address, bool mapped)
{
	(void)owner;
	(void)address;
	(void)mapped;
	fixture.moves++;
}

static int setup(void **state)
{
	const struct pci_layout layout = {
		.ecam = ECAM, .io = PORTS, .io_size = 0x10000, .window32 = WINDOW32, .window32_size = 0x30000000,
		.window64 = WINDOW64, .window64_size = 0x8000000000ull, .first_line = 32,
	};
	const struct pci_identity identity = {
		.name = "test", .vendor = 0x1af4, .device = 0x1041, .class_code = 0x020000, .vectors = VECTORS,
	};
	const struct pci_bar registers = {
		.size = 0x4000, .wide = true, .prefetchable = true,
		.ops = &bar_ops, .owner = &fixture.moves, .moved = moved,
	};
	struct error error;

	(void)state;
	fake_kvm_reset();
	memset(&fixture, 0, sizeof(fixture));
	assert_int_equal(bus_open(&fixture.bus, &error), 0);
	assert_int_equal(interrupts_open(&fixture.interrupts, -1, &error), 0);
	fixture.interrupts.has_msi = true;
	assert_int_equal(pci_bus_open(&fixture.pci, &fixture.bus, &fixture.interrupts, &layout, &error), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pci_device_open(&fixture.devices[i], &identity, &error), 0);
		assert_int_equal(pci_device_add_msix(&fixture.devices[i], &fixture.pci, 0, &error), 0);
		assert_int_equal(pci_device_add_bar(&fixture.devices[i], 4, &registers, &error), 0);
		assert_int_equal(pci_device_plug(&fixture.pci, &fixture.devices[i], -1, &error), 0);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++)
		pci_device_close(&fixture.devices[i]);
	pci_bus_close(&fixture.pci);
	interrupts_close(&fixture.interrupts);
	bus_close(&fixture.bus);
	return 0;
}

static uint64_t config_address(unsigned slot, unsigned reg)
{
	return ECAM + (slot << 15) + reg;
}

static uint64_t get(uint64_t address, unsigned size)
{
	uint64_t value = 0;

	assert_true(bus_read(&fixture.bus, address, size, &value));
	return value;
}

static void put(uint64_t address, unsigned size, uint64_t value)
{
	assert_true(bus_write(&fixture.bus, address, size, value));
}

static void enable(unsigned slot)
{
	put(config_address(slot, PCI_COMMAND), 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static unsigned msix_capability(unsigned slot)
{
	unsigned offset = (unsigned)get(config_address(slot, PCI_CAPABILITY_LIST), 1);

	while (offset && get(config_address(slot, offset), 1) != PCI_CAP_ID_MSIX)
		offset = (unsigned)get(config_address(slot, offset + 1), 1);
	assert_int_not_equal(offset, 0);
	return offset;
}

static void msix_control(unsigned slot, uint16_t flags)
{
	put(config_address(slot, msix_capability(slot) + PCI_MSIX_FLAGS), 2, flags);
}

static uint64_t table(unsigned slot, unsigned vector)
{
	return (get(config_address(slot, PCI_BASE_ADDRESS_0), 4) & ~0xfull) + 16 * vector;
}

static void program(unsigned slot, unsigned vector, uint64_t address, uint32_t data, uint32_t control)
{
	put(table(slot, vector), 8, address);
	put(table(slot, vector) + 8, 4, data);
	put(table(slot, vector) + 12, 4, control);
}

static uint64_t pending(unsigned slot)
{
	return get(table(slot, 0) + 0x800, 8);
}

static size_t count_requests(size_t from, unsigned long request)
{
	size_t count = 0;

	while ((from = fake_find(from, request)) != SIZE_MAX) {
		from++;
		count++;
	}
	return count;
}

static void empty_slot_reads_as_ones(void **state)
{
	(void)state;
	assert_int_equal(get(config_address(0, 0), 4), 0x10411af4);
	assert_int_equal(get(config_address(2, 0), 4), 0xffffffff);
	assert_int_equal(get(config_address(0, 0) + 0x1000, 4), 0xffffffff); /* function 1 */
	put(config_address(2, 4), 2, 0xffff);
	put(config_address(0, 0), 4, 0xffffffff);
	assert_int_equal(get(config_address(0, 0), 4), 0x10411af4);
}

static void bar_reports_its_size(void **state)
{
	(void)state;
	put(config_address(0, PCI_BASE_ADDRESS_0), 4, 0xffffffff);
	assert_int_equal(get(config_address(0, PCI_BASE_ADDRESS_0), 4), 0xfffff000);
	put(config_address(0, PCI_BASE_ADDRESS_4), 4, 0xffffffff);
	put(config_address(0, PCI_BASE_ADDRESS_5), 4, 0xffffffff);
	assert_int_equal(get(config_address(0, PCI_BASE_ADDRESS_4), 4), 0xffffc00c);
	assert_int_equal(get(config_address(0, PCI_BASE_ADDRESS_5), 4), 0xffffffff);
	put(config_address(0, PCI_BASE_ADDRESS_1), 4, 0xffffffff);
	assert_int_equal(get(config_address(0, PCI_BASE_ADDRESS_1), 4), 0);
}

static void bar_is_unmapped_when_it_overlaps_or_leaves_the_windows(void **state)
{
	uint64_t value, first = WINDOW64, second = WINDOW64 + 0x4000;

	(void)state;
	assert_false(bus_read(&fixture.bus, first, 4, &value)); /* memory decoding is off at power-on */
	enable(0);
	enable(1);
	assert_int_equal(get(first + 4, 4), 0xabc4);
	assert_int_equal(fixture.moves, 2);

	/* Onto another device's BAR: that one keeps its place, and this one is not mapped. */
	put(config_address(0, PCI_BASE_ADDRESS_4), 4, (uint32_t)second);
	assert_false(bus_read(&fixture.bus, first, 4, &value));
	assert_false(fixture.devices[0].bars[4].mapped);
	assert_true(fixture.devices[1].bars[4].mapped);

	/* Outside of the windows (RAM, the UART) a BAR is not mapped. */
	put(config_address(0, PCI_BASE_ADDRESS_5), 4, 0);
	put(config_address(0, PCI_BASE_ADDRESS_4), 4, 0x80000000);
	assert_false(fixture.devices[0].bars[4].mapped);
	put(config_address(0, PCI_BASE_ADDRESS_4), 4, 0x7fffc000); /* the 32-bit window's last 16 KiB */
	assert_true(fixture.devices[0].bars[4].mapped);
	assert_int_equal(get(0x7fffc000, 4), 0xabc0);

	put(config_address(0, PCI_COMMAND), 2, 0);
	assert_false(bus_read(&fixture.bus, 0x7fffc000, 4, &value));
}

/* Another device has eight ports, which PCI_COMMAND_IO enables. */
static void port_bars_have_their_own_window(void **state)
{
	const struct pci_identity identity = { .name = "ports", .vendor = 0x4348, .device = 0x3253 };
	const struct pci_bar ports = { .size = 8, .io = true, .ops = &bar_ops, .owner = &fixture.pci };
	const struct pci_bar few = { .size = 2, .io = true, .ops = &bar_ops };
	struct pci_device device;
	struct error error;
	uint64_t value;

	(void)state;
	assert_int_equal(pci_device_open(&device, &identity, &error), 0);
	assert_int_equal(pci_device_add_bar(&device, 0, &few, &error), -1);
	assert_int_equal(pci_device_add_bar(&device, 0, &ports, &error), 0);
	assert_int_equal(pci_device_add_bar(&device, 1, &ports, &error), 0);
	assert_int_equal(pci_device_plug(&fixture.pci, &device, 5, &error), 0);
	assert_int_equal(get(config_address(5, PCI_BASE_ADDRESS_0), 4), 0x1001);
	assert_int_equal(get(config_address(5, PCI_BASE_ADDRESS_1), 4), 0x1009);
	put(config_address(5, PCI_BASE_ADDRESS_1), 4, 0xffffffff);
	assert_int_equal(get(config_address(5, PCI_BASE_ADDRESS_1), 4), 0xfffffff9);

	put(config_address(5, PCI_COMMAND), 2, PCI_COMMAND_MEMORY);
	assert_false(bus_read(&fixture.bus, PORTS + 0x1000, 1, &value));
	put(config_address(5, PCI_COMMAND), 2, PCI_COMMAND_IO);
	assert_int_equal(get(PORTS + 0x1003, 1), 0xabc3);
	assert_false(bus_read(&fixture.bus, PORTS + 0x1008, 1, &value));
	put(config_address(5, PCI_BASE_ADDRESS_1), 4, 0);
	assert_int_equal(get(PORTS + 7, 1), 0xabc7);
	put(config_address(5, PCI_BASE_ADDRESS_1), 4, 0xfff8);
	assert_int_equal(get(PORTS + 0xffff, 1), 0xabc7);
	put(config_address(5, PCI_BASE_ADDRESS_1), 4, 0x10000); /* after the window, where the ITS may be */
	assert_false(device.bars[1].mapped);
	put(config_address(5, PCI_BASE_ADDRESS_1), 4, 0x1000); /* where the first one is */
	assert_false(device.bars[1].mapped);

	/* A device without ports cannot enable them, so the state of virtio devices in snapshots does not change. */
	put(config_address(0, PCI_COMMAND), 2, 0xffff);
	assert_int_equal(get(config_address(0, PCI_COMMAND), 2) & PCI_COMMAND_IO, 0);
	pci_device_close(&device);
	assert_false(bus_read(&fixture.bus, PORTS + 0x1000, 1, &value));
}

static void bars_exchange_addresses(void **state)
{
	const uint64_t first = WINDOW64, second = WINDOW64 + 0x4000;

	(void)state;
	enable(0);
	enable(1);
	put(config_address(0, PCI_BASE_ADDRESS_4), 4, (uint32_t)second);
	assert_false(fixture.devices[0].bars[4].mapped);
	put(config_address(1, PCI_BASE_ADDRESS_4), 4, (uint32_t)first);
	assert_true(fixture.devices[0].bars[4].mapped);
	assert_true(fixture.devices[1].bars[4].mapped);
	assert_int_equal(fixture.devices[0].bars[4].address, second);
	assert_int_equal(fixture.devices[1].bars[4].address, first);
}

static void irqfd_is_attached_when_its_vector_is_unmasked(void **state)
{
	size_t route, join;

	(void)state;
	enable(1);
	msix_control(1, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(count_requests(0, KVM_IRQFD), 0);
	program(1, 2, 0x3ffe0040, 7, 0);
	route = fake_find(0, KVM_SET_GSI_ROUTING);
	join = fake_find(0, KVM_IRQFD);
	assert_true(route < join);
	assert_int_not_equal(join, SIZE_MAX);
	assert_int_equal(interrupts_route_count(&fixture.interrupts), 1);
	assert_int_equal(fixture.interrupts.routes[0].message.device_id, 1 << 3);
	assert_int_equal(fixture.interrupts.routes[0].message.address, 0x3ffe0040);
	assert_int_equal(fixture.interrupts.routes[0].message.data, 7);

	/* Masking detaches the irqfd. Unmasking with the same message attaches it without a new route. */
	size_t from = fake_kvm.count;

	put(table(1, 2) + 12, 4, 1);
	assert_false(fixture.devices[1].vectors[2].attached);
	put(table(1, 2) + 12, 4, 0);
	assert_true(fixture.devices[1].vectors[2].attached);
	assert_int_equal(count_requests(from, KVM_IRQFD), 2);
	assert_int_equal(count_requests(from, KVM_SET_GSI_ROUTING), 0);
}

static void vector_becomes_pending_while_it_is_masked(void **state)
{
	(void)state;
	enable(0);
	msix_control(0, PCI_MSIX_FLAGS_ENABLE);
	program(0, 0, 0x3ffe0040, 1, 1);
	program(0, 1, 0x3ffe0040, 2, 0);
	pci_device_signal(&fixture.devices[0], 0);
	pci_device_signal(&fixture.devices[0], VECTORS); /* no such vector */
	assert_int_equal(pending(0), 1);
	msix_control(0, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	pci_device_signal(&fixture.devices[0], 1);
	assert_int_equal(pending(0), 3);

	/* Unmasking attaches the irqfd while the eventfd has a count, which KVM delivers. */
	msix_control(0, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(pending(0), 1);
	assert_true(fixture.devices[0].vectors[1].attached);

	eventfd_t count = 0;

	assert_int_equal(eventfd_read(fixture.devices[0].vectors[1].event_fd, &count), 0);
	assert_int_equal(count, 1);
}

static void message_stays_pending_without_bus_mastering(void **state)
{
	(void)state;
	put(config_address(0, PCI_COMMAND), 2, PCI_COMMAND_MEMORY);
	msix_control(0, PCI_MSIX_FLAGS_ENABLE);
	program(0, 0, 0x3ffe0040, 1, 0);
	pci_device_signal(&fixture.devices[0], 0);
	assert_int_equal(pending(0), 1);
	enable(0);
	assert_true(fixture.devices[0].vectors[0].attached);
}

static void routes_are_released_when_msix_is_disabled(void **state)
{
	(void)state;
	enable(0);
	for (unsigned round = 0; round < 3 * INTERRUPTS_MAX_ROUTES; round++) {
		msix_control(0, PCI_MSIX_FLAGS_ENABLE);
		for (unsigned i = 0; i < VECTORS; i++)
			program(0, i, 0x3ffe0040, round * VECTORS + i, 0);
		assert_int_equal(interrupts_route_count(&fixture.interrupts), VECTORS);
		msix_control(0, 0);
		assert_int_equal(interrupts_route_count(&fixture.interrupts), 0);
		fake_kvm.count = 0;
	}
}

static void message_is_sent_by_signal_msi_without_irqfd(void **state)
{
	size_t from;

	(void)state;
	fake_kvm.fail_request = KVM_IRQFD;
	fake_kvm.fail_with = EINVAL;
	enable(0);
	msix_control(0, PCI_MSIX_FLAGS_ENABLE);
	pci_device_signal(&fixture.devices[0], 0);
	from = fake_kvm.count;
	program(0, 0, 0x3ffe0040, 1, 0);
	assert_int_equal(count_requests(from, KVM_SIGNAL_MSI), 1); /* the pending message */
	pci_device_signal(&fixture.devices[0], 0);
	assert_int_equal(count_requests(from, KVM_SIGNAL_MSI), 2);
	assert_int_equal(pending(0), 0);
}

static void reset_restores_power_on_state(void **state)
{
	uint8_t fresh[PCI_CONFIG_SIZE];
	uint64_t value;

	(void)state;
	memcpy(fresh, fixture.devices[0].state.config, sizeof(fresh));
	enable(0);
	msix_control(0, PCI_MSIX_FLAGS_ENABLE);
	program(0, 0, 0x3ffe0040, 1, 0);
	put(config_address(0, PCI_BASE_ADDRESS_0), 4, WINDOW32 + 0x100000);
	pci_device_set_line(&fixture.devices[0], true);
	assert_int_equal(fixture.interrupts.lines, 1ull << 32);
	assert_true(get(config_address(0, PCI_STATUS), 2) & PCI_STATUS_INTERRUPT);

	pci_device_reset(&fixture.devices[0]);
	assert_memory_equal(fresh, fixture.devices[0].state.config, sizeof(fresh));
	assert_int_equal(fixture.interrupts.lines, 0);
	assert_int_equal(interrupts_route_count(&fixture.interrupts), 0);
	assert_false(bus_read(&fixture.bus, WINDOW32 + 0x100000, 4, &value));
	enable(0);
	assert_int_equal(get(table(0, 0), 8), 0);
	assert_int_equal(get(table(0, 0) + 12, 4), 1);
}

static void line_stays_low_when_intx_is_disabled(void **state)
{
	(void)state;
	put(config_address(1, PCI_COMMAND), 2, PCI_COMMAND_INTX_DISABLE);
	pci_device_set_line(&fixture.devices[1], true);
	assert_int_equal(fixture.interrupts.lines, 0);
	put(config_address(1, PCI_COMMAND), 2, 0);
	assert_int_equal(fixture.interrupts.lines, 1ull << 33);
	pci_device_set_line(&fixture.devices[1], false);
	assert_int_equal(fixture.interrupts.lines, 0);
}

static void odd_accesses_have_no_effect(void **state)
{
	(void)state;
	enable(0);
	put(table(0, 0), 2, 0x1234);
	put(table(0, 0) + 2, 4, 0x1234);
	put(table(0, 0) + 4, 8, ~0ull);
	put(table(0, 0) + 0x800, 8, ~0ull);
	put(table(0, 0) + 0xff8, 8, ~0ull);
	assert_int_equal(get(table(0, 0), 4), 0);
	assert_int_equal(get(table(0, 0), 1), 0);
	assert_int_equal(pending(0), 0);
	assert_int_equal(get(config_address(0, 0xffe), 4), 0xffffffff); /* crosses the end of the function's config space */
	put(config_address(0, 0xffe), 4, 0);
}

/* A status register: the device sets bits, and the guest clears bits by writing ones. */
static void status_bits_are_cleared_by_ones(void **state)
{
	struct pci_device *device = &fixture.devices[0];

	(void)state;
	device->cleared_by_ones[0x204] = 0x0f;
	device->writable[0x204] = 0x80;
	device->state.config[0x204] = 0x25;
	put(config_address(0, 0x204), 4, 0);
	assert_int_equal(get(config_address(0, 0x204), 4), 0x25);
	put(config_address(0, 0x204), 1, 0xf4);
	assert_int_equal(get(config_address(0, 0x204), 4), 0xa1);
	put(config_address(0, 0x200), 8, 0x7f00000000);
	assert_int_equal(get(config_address(0, 0x204), 4), 0x20);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(empty_slot_reads_as_ones),
		CASE(bar_reports_its_size),
		CASE(bar_is_unmapped_when_it_overlaps_or_leaves_the_windows),
		CASE(port_bars_have_their_own_window),
		CASE(bars_exchange_addresses),
		CASE(irqfd_is_attached_when_its_vector_is_unmasked),
		CASE(vector_becomes_pending_while_it_is_masked),
		CASE(message_stays_pending_without_bus_mastering),
		CASE(routes_are_released_when_msix_is_disabled),
		CASE(message_is_sent_by_signal_msi_without_irqfd),
		CASE(reset_restores_power_on_state),
		CASE(line_stays_low_when_intx_is_disabled),
		CASE(odd_accesses_have_no_effect),
		CASE(status_bits_are_cleared_by_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
