/* SPDX-License-Identifier: MIT */
/* hw/pci.c and hw/msix.c: moves a function's state to another machine, and checks the calls of that machine's KVM. */
#include "unit/test.h"

#include <linux/kvm.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "fake/driver.h"
#include "fake/kvm.h"

#define VECTORS 3

struct host {
	struct fake_machine machine;
	struct pci_device device;
	struct fake_function function;
	uint64_t address; /* of BAR 4, from the last call of `moved`; 0: not mapped */
};

/* The machine that is saved, and the one that is restored. */
static struct host here, there;

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

static void moved(void *owner, uint64_t address, bool mapped)
{
	((struct host *)owner)->address = mapped ? address : 0;
}

static void open_host(struct host *host)
{
	static const struct bus_ops ops = { .read = bar_read, .write = bar_write };
	const struct pci_identity identity = {
		.name = "test", .vendor = 0x1af4, .device = 0x1041, .class_code = 0x020000, .vectors = VECTORS,
	};
	const struct pci_bar registers = {
		.size = 0x4000, .wide = true, .prefetchable = true, .ops = &ops, .owner = host, .moved = moved,
	};
	struct error error;

	*host = (struct host){ 0 };
	fake_machine_open(&host->machine, true);
	assert_int_equal(pci_device_open(&host->device, &identity, &error), 0);
	assert_int_equal(pci_device_add_msix(&host->device, &host->machine.pci, 0, &error), 0);
	assert_int_equal(pci_device_add_bar(&host->device, 4, &registers, &error), 0);
	assert_int_equal(pci_device_plug(&host->machine.pci, &host->device, -1, &error), 0);
	host->function = (struct fake_function){ .machine = &host->machine, .msix = host->device.msix_capability };
}

static void close_host(struct host *host)
{
	pci_device_close(&host->device);
	fake_machine_close(&host->machine);
}

static int setup(void **state)
{
	(void)state;
	fake_kvm_reset();
	open_host(&here);
	open_host(&there);
	fake_config_write(&here.function, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_host(&here);
	close_host(&there);
	return 0;
}

/* Quiesces, saves, loads and restores. `*from` is the number of KVM calls before pci_device_restored(). */
static int move(size_t *from, struct error *error)
{
	struct byte_buffer buffer = { 0 };

	pci_device_quiesce(&here.device);
	state_save(&pci_state_table, &here.device.state, &buffer);
	const struct fields fields = { buffer.bytes, buffer.size };

	assert_int_equal(state_load(&pci_state_table, &there.device.state, &fields, 1, error), 0);
	byte_buffer_free(&buffer);
	*from = fake_kvm.count;
	return pci_device_restored(&there.device, error);
}

static size_t move_well(void)
{
	struct error error;
	size_t from;

	if (move(&from, &error) < 0)
		fail_msg("%s", error.text);
	return from;
}

static uint64_t table(struct host *host, unsigned vector)
{
	return (fake_config_read(&host->function, PCI_BASE_ADDRESS_0, 4) & ~0xfull) + 16 * vector;
}

static void program(struct host *host, unsigned vector, uint64_t address, uint32_t data, uint32_t control)
{
	fake_write(&host->function, table(host, vector), 8, address);
	fake_write(&host->function, table(host, vector) + 8, 4, data);
	fake_write(&host->function, table(host, vector) + 12, 4, control);
}

static uint64_t pending(struct host *host)
{
	return fake_read(&host->function, table(host, 0) + 0x800, 8);
}

/* Returns whether a message waits in a vector's eventfd. */
static bool waits(const struct host *host, unsigned vector)
{
	struct pollfd polled = { .fd = host->device.vectors[vector].event_fd, .events = POLLIN };

	return poll(&polled, 1, 0) == 1;
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

static void bar_keeps_its_address_after_restore(void **state)
{
	uint64_t value, before;

	(void)state;
	before = here.address;
	fake_config_write(&here.function, PCI_BASE_ADDRESS_4, 4, (uint32_t)before + 0x10000);
	assert_int_equal(here.address, before + 0x10000);
	assert_int_equal(there.address, 0);
	move_well();
	assert_int_equal(there.address, before + 0x10000);
	assert_true(bus_read(&there.machine.vm.bus, before + 0x10008, 4, &value));
	assert_int_equal(value, 0xabc8);
	assert_false(bus_read(&there.machine.vm.bus, before + 8, 4, &value));
	assert_int_equal(fake_config_read(&there.function, PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void bar_stays_disabled_after_restore(void **state)
{
	(void)state;
	fake_config_write(&here.function, PCI_COMMAND, 2, 0);
	move_well();
	assert_int_equal(there.address, 0);
	fake_config_write(&there.function, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_not_equal(there.address, 0);
}

static void irqfds_are_attached_again_after_restore(void **state)
{
	size_t from;

	(void)state;
	fake_enable_msix(&here.function);
	program(&here, 0, 0x3ffe0040, 7, 0);
	program(&here, 2, 0x3ffe0040, 9, 0);
	program(&here, 1, 0x3ffe0040, 8, PCI_MSIX_ENTRY_CTRL_MASKBIT);
	from = move_well();
	assert_int_equal(count_requests(from, KVM_IRQFD), 2);
	assert_true(there.device.vectors[0].attached);
	assert_false(there.device.vectors[1].attached);
	assert_true(there.device.vectors[2].attached);
	assert_int_equal(there.device.vectors[0].message.data, 7);
	assert_int_equal(there.device.vectors[2].message.data, 9);
	assert_int_equal(there.device.vectors[2].message.address, 0x3ffe0040);
	assert_int_equal(fake_read(&there.function, table(&there, 1) + 8, 4), 8);
	for (unsigned i = 0; i < VECTORS; i++)
		assert_false(waits(&there, i));
}

static void restore_calls_no_kvm_when_msix_is_disabled(void **state)
{
	size_t from;

	(void)state;
	fake_enable_msix(&here.function);
	program(&here, 0, 0x3ffe0040, 7, 0);
	fake_config_write(&here.function, here.function.msix + PCI_MSIX_FLAGS, 2, 0);
	from = move_well();
	assert_int_equal(count_requests(from, KVM_IRQFD), 0);
	assert_int_equal(count_requests(from, KVM_SET_GSI_ROUTING), 0);
	/* The programmed vectors are kept until the guest enables MSI-X. */
	fake_enable_msix(&there.function);
	assert_true(there.device.vectors[0].attached);
	assert_int_equal(there.device.vectors[0].message.data, 7);
}

/*
 * A message of a masked vector becomes a pending bit. A message of an unmasked vector that KVM did not take before the irqfd
 * was detached waits in the eventfd of the new one.
 */
static void pending_messages_are_kept_by_restore(void **state)
{
	(void)state;
	fake_enable_msix(&here.function);
	program(&here, 0, 0x3ffe0040, 7, 0);
	program(&here, 1, 0x3ffe0040, 8, PCI_MSIX_ENTRY_CTRL_MASKBIT);
	pci_device_signal(&here.device, 0);
	pci_device_signal(&here.device, 1);
	move_well();
	assert_true(waits(&there, 0) && there.device.vectors[0].attached);
	assert_true(waits(&there, 1));
	assert_false(waits(&there, 2));
	assert_int_equal(pending(&there), 1u << 1);
	assert_int_equal(there.device.state.msix_pending, 0);
	fake_write(&there.function, table(&there, 1) + 12, 4, 0);
	assert_true(waits(&there, 1) && there.device.vectors[1].attached);
	assert_int_equal(pending(&there), 0);
}

/* After a save the guest continues on this machine without a change. */
static void resume_undoes_quiesce(void **state)
{
	size_t from;

	(void)state;
	fake_enable_msix(&here.function);
	program(&here, 0, 0x3ffe0040, 7, 0);
	program(&here, 1, 0x3ffe0040, 8, PCI_MSIX_ENTRY_CTRL_MASKBIT);
	pci_device_signal(&here.device, 1);
	from = fake_kvm.count;
	pci_device_quiesce(&here.device);
	assert_false(here.device.vectors[0].attached);
	assert_int_equal(count_requests(from, KVM_IRQFD), 1);
	assert_int_equal(here.device.state.msix_pending, 1u << 1);
	pci_device_resume(&here.device);
	assert_true(here.device.vectors[0].attached);
	assert_int_equal(count_requests(from, KVM_IRQFD), 2);
	assert_int_equal(pending(&here), 1u << 1);
}

static void restore_ignores_pending_bits_of_missing_vectors(void **state)
{
	struct error error;

	(void)state;
	there.device.state = here.device.state;
	there.device.state.msix_pending = UINT64_MAX << VECTORS;
	assert_int_equal(pci_device_restored(&there.device, &error), 0);
	for (unsigned i = 0; i < VECTORS; i++)
		assert_false(waits(&there, i));
	assert_int_equal(there.device.state.msix_pending, 0);
}

/* For every byte of config space: bits that a guest may write are accepted; all others must equal this device's. */
static void restore_refuses_another_kind_of_device(void **state)
{
	unsigned taken = 0, refused = 0;

	(void)state;
	for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++) {
		uint8_t fixed = (uint8_t)~there.device.writable[i];
		struct error error = { 0 };
		char words[32];

		memcpy(there.device.state.config, there.device.initial, PCI_CONFIG_SIZE);
		/* Memory decoding stays off, so that no BAR moves. */
		there.device.state.config[i] ^= i == PCI_COMMAND ? 0 : there.device.writable[i];
		assert_int_equal(pci_device_restored(&there.device, &error), 0);
		taken++;
		if (!fixed)
			continue;
		there.device.state.config[i] ^= fixed & (uint8_t)-fixed; /* the lowest fixed bit */
		assert_int_equal(pci_device_restored(&there.device, &error), -1);
		snprintf(words, sizeof(words), "byte 0x%x of", i);
		assert_non_null(strstr(error.text, words));
		refused++;
	}
	memcpy(there.device.state.config, there.device.initial, PCI_CONFIG_SIZE);
	assert_int_equal(taken, PCI_CONFIG_SIZE);
	assert_true(refused > PCI_CONFIG_SIZE - 100);
}

/* A driver disabled INTx while the device raised the line. */
static void line_follows_command_register_after_restore(void **state)
{
	struct error error;

	(void)state;
	pci_device_set_line(&there.device, true);
	assert_int_not_equal(there.machine.vm.interrupts.lines, 0);
	memcpy(there.device.state.config, there.device.initial, PCI_CONFIG_SIZE);
	there.device.state.config[PCI_COMMAND + 1] |= PCI_COMMAND_INTX_DISABLE >> 8;
	assert_int_equal(pci_device_restored(&there.device, &error), 0);
	assert_int_equal(there.machine.vm.interrupts.lines, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(bar_keeps_its_address_after_restore),
		CASE(bar_stays_disabled_after_restore),
		CASE(irqfds_are_attached_again_after_restore),
		CASE(restore_calls_no_kvm_when_msix_is_disabled),
		CASE(pending_messages_are_kept_by_restore),
		CASE(resume_undoes_quiesce),
		CASE(restore_ignores_pending_bits_of_missing_vectors),
		CASE(restore_refuses_another_kind_of_device),
		CASE(line_follows_command_register_after_restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
