/* SPDX-License-Identifier: MIT */
/* hw/rcec.c: how the event collector reports errors in registers and by interrupts, and which registers a guest may write. */
#include "unit/test.h"

#include <linux/pci_regs.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "fake/driver.h"
#include "fake/kvm.h"
#include "hw/rcec.h"

#define ERRORS 0x100u
#define COMMAND (ERRORS + PCI_ERR_ROOT_COMMAND)
#define STATUS (ERRORS + PCI_ERR_ROOT_STATUS)
#define SOURCE (ERRORS + PCI_ERR_ROOT_ERR_SRC)
#define ONE_FATAL (PCI_ERR_ROOT_UNCOR_RCV | PCI_ERR_ROOT_FIRST_FATAL | PCI_ERR_ROOT_FATAL_RCV)

static struct host {
	struct fake_machine machine;
	struct rcec collector;
	struct fake_function function;
} here;

static void open_host(struct host *host, bool has_msi)
{
	struct error error;

	*host = (struct host){ 0 };
	fake_machine_open(&host->machine, has_msi);
	assert_int_equal(rcec_open(&host->collector, &host->machine.pci, &error), 0);
	host->function = (struct fake_function){ .machine = &host->machine, .msix = host->collector.pci.msix_capability };
	fake_config_write(&host->function, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void close_host(struct host *host)
{
	rcec_close(&host->collector);
	fake_machine_close(&host->machine);
}

static int setup(void **state)
{
	(void)state;
	fake_kvm_reset();
	open_host(&here, true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_host(&here);
	return 0;
}

static uint32_t get(unsigned reg)
{
	return fake_config_read(&here.function, reg, 4);
}

static void put(unsigned reg, uint32_t value)
{
	fake_config_write(&here.function, reg, 4, value);
}

/* Enables one message and leaves it unmasked, as Linux does. */
static void listen_by_message(void)
{
	const struct pci_device *device = &here.collector.pci;

	fake_enable_msix(&here.function);
	fake_write(&here.function, device->bars[0].address, 8, 0x3ffe0040);
	fake_write(&here.function, device->bars[0].address + 8, 4, 7);
	fake_write(&here.function, device->bars[0].address + 12, 4, 0);
	put(COMMAND, PCI_ERR_ROOT_CMD_COR_EN | PCI_ERR_ROOT_CMD_NONFATAL_EN | PCI_ERR_ROOT_CMD_FATAL_EN);
}

/* Returns the number of messages since the last call. The fake KVM does not take them from the eventfd. */
static unsigned messages(struct host *host)
{
	eventfd_t count = 0;

	return eventfd_read(host->collector.pci.vectors[0].event_fd, &count) == 0 ? (unsigned)count : 0;
}

static bool line_is_up(const struct host *host)
{
	return host->machine.vm.interrupts.lines != 0;
}

static void rcec_has_registers_that_linux_requires(void **state)
{
	unsigned express;

	(void)state;
	assert_int_equal(get(PCI_CLASS_REVISION) >> 8, 0x080700);
	express = fake_config_read(&here.function, PCI_CAPABILITY_LIST, 1);
	assert_int_equal(fake_config_read(&here.function, express, 1), PCI_CAP_ID_EXP);
	assert_int_equal(fake_config_read(&here.function, express + PCI_EXP_FLAGS, 2), PCI_EXP_TYPE_RC_EC << 4 | 2);
	assert_int_equal(get(ERRORS), PCI_EXT_CAP_ID_ERR | 1 << 16 | 0x14000000);
	assert_int_equal(get(0x140), PCI_EXT_CAP_ID_RCEC | 1 << 16);
	assert_int_equal(get(0x140 + PCI_RCEC_RCIEP_BITMAP), UINT32_MAX);
	/* Message 0. */
	assert_int_equal(get(STATUS), 0);
	/* Its own error reporting can be enabled, but it has no errors. */
	fake_config_write(&here.function, express + PCI_EXP_DEVCTL, 2, 0xffff);
	assert_int_equal(fake_config_read(&here.function, express + PCI_EXP_DEVCTL, 2), 0xf);
}

static void report_has_no_effect_when_the_guest_does_not_listen(void **state)
{
	(void)state;
	listen_by_message();
	put(COMMAND, PCI_ERR_ROOT_CMD_NONFATAL_EN);
	assert_false(rcec_report(&here.collector, 0x18, RCEC_FATAL));
	assert_int_equal(get(STATUS), 0);
	put(COMMAND, PCI_ERR_ROOT_CMD_FATAL_EN);
	assert_false(rcec_report(&here.collector, 0x18, RCEC_NONFATAL));
	assert_int_equal(get(STATUS), 0);
	assert_int_equal(messages(&here), 0);
}

static void message_is_sent_once_until_status_is_cleared(void **state)
{
	(void)state;
	listen_by_message();
	assert_true(rcec_report(&here.collector, 0x18, RCEC_FATAL));
	assert_int_equal(messages(&here), 1);
	assert_int_equal(get(STATUS), ONE_FATAL);
	assert_int_equal(get(SOURCE), 0x00180000);
	/* A second error before the first one is cleared sets the bit for several errors. The source stays the first one's. */
	assert_true(rcec_report(&here.collector, 0x20, RCEC_NONFATAL));
	assert_int_equal(messages(&here), 0);
	assert_int_equal(get(STATUS), ONE_FATAL | PCI_ERR_ROOT_MULTI_UNCOR_RCV | PCI_ERR_ROOT_NONFATAL_RCV);
	assert_int_equal(get(SOURCE), 0x00180000);
	put(STATUS, get(STATUS));
	assert_int_equal(get(STATUS), 0);
	assert_int_equal(messages(&here), 0);
	assert_true(rcec_report(&here.collector, 0x20, RCEC_NONFATAL));
	assert_int_equal(messages(&here), 1);
	assert_int_equal(get(STATUS), PCI_ERR_ROOT_UNCOR_RCV | PCI_ERR_ROOT_NONFATAL_RCV);
	assert_int_equal(get(SOURCE), 0x00200000);
	assert_false(line_is_up(&here));
}

static void status_is_cleared_by_ones_only(void **state)
{
	(void)state;
	listen_by_message();
	rcec_report(&here.collector, 0x18, RCEC_FATAL);
	put(STATUS, 0);
	assert_int_equal(get(STATUS), ONE_FATAL);
	put(STATUS, PCI_ERR_ROOT_FIRST_FATAL | 0xffffff80);
	assert_int_equal(get(STATUS), ONE_FATAL & ~PCI_ERR_ROOT_FIRST_FATAL);
	fake_config_write(&here.function, STATUS + 1, 1, 0xff);
	assert_int_equal(get(STATUS), ONE_FATAL & ~PCI_ERR_ROOT_FIRST_FATAL);
	fake_config_write(&here.function, STATUS, 1, 0xff);
	assert_int_equal(get(STATUS), 0);
	/* A guest cannot set bits there. */
	put(STATUS, UINT32_MAX);
	put(SOURCE, UINT32_MAX);
	assert_int_equal(get(STATUS), 0);
	assert_int_equal(get(SOURCE), 0x00180000);
}

/* Linux disables reporting around a reset. Enabling it while an error is recorded sends the message again. */
static void message_is_sent_again_when_reporting_is_enabled_again(void **state)
{
	(void)state;
	listen_by_message();
	rcec_report(&here.collector, 0x18, RCEC_FATAL);
	assert_int_equal(messages(&here), 1);
	put(COMMAND, 0);
	put(COMMAND, PCI_ERR_ROOT_CMD_FATAL_EN);
	assert_int_equal(messages(&here), 1);
	put(COMMAND, 0);
	put(STATUS, UINT32_MAX);
	put(COMMAND, PCI_ERR_ROOT_CMD_FATAL_EN);
	assert_int_equal(messages(&here), 0);
}

static void line_is_raised_when_there_are_no_messages(void **state)
{
	(void)state;
	close_host(&here);
	open_host(&here, false);
	put(COMMAND, PCI_ERR_ROOT_CMD_FATAL_EN);
	assert_false(line_is_up(&here));
	assert_true(rcec_report(&here.collector, 0x18, RCEC_FATAL));
	assert_true(line_is_up(&here));
	put(COMMAND, 0);
	assert_false(line_is_up(&here));
	put(COMMAND, PCI_ERR_ROOT_CMD_FATAL_EN);
	assert_true(line_is_up(&here));
	put(STATUS, UINT32_MAX);
	assert_false(line_is_up(&here));
	rcec_report(&here.collector, 0x18, RCEC_FATAL);
	rcec_reset(&here.collector);
	assert_false(line_is_up(&here));
	assert_int_equal(get(STATUS), 0);
	assert_false(rcec_report(&here.collector, 0x18, RCEC_FATAL));
}

static uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Writes garbage to all of its config space, in all sizes. Read-only bits stay, and it works after a reset. */
static void rcec_survives_garbage(void **state)
{
	struct pci_device *device = &here.collector.pci;
	uint64_t seed = 5;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		unsigned size = 1u << next(&seed) % 3, place = (unsigned)next(&seed);
		unsigned reg = (place & 1 ? ERRORS + place % 0x50 : place % 0x200) & ~(size - 1);

		fake_config_write(&here.function, reg, size, round % 3 ? (uint32_t)next(&seed) : UINT32_MAX);
		if (round % 7 == 0)
			rcec_report(&here.collector, (uint32_t)next(&seed) & 0xf8,
					       place & 2 ? RCEC_FATAL : RCEC_NONFATAL);
		/* The fake's list of calls is limited. */
		fake_kvm.count = 0;
	}
	for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++)
		if (i != SOURCE + 2 && i != SOURCE + 3)
			assert_int_equal((device->state.config[i] ^ device->initial[i]) & (uint8_t)~device->writable[i] &
					 (uint8_t)~device->cleared_by_ones[i], 0);
	rcec_reset(&here.collector);
	fake_config_write(&here.function, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	messages(&here);
	message_is_sent_once_until_status_is_cleared(NULL);
}

/* After a move to another host, an error is neither lost nor reported twice. */
static void rcec_keeps_error_and_message_after_restore(void **state)
{
	struct byte_buffer buffer = { 0 };
	struct error error;
	struct host there;

	(void)state;
	open_host(&there, true);
	listen_by_message();
	rcec_report(&here.collector, 0x18, RCEC_FATAL);
	rcec_quiesce(&here.collector); /* the message waits */
	state_save(&pci_state_table, &here.collector.pci.state, &buffer);
	const struct fields fields = { buffer.bytes, buffer.size };

	assert_int_equal(state_load(&pci_state_table, &there.collector.pci.state, &fields, 1, &error), 0);
	byte_buffer_free(&buffer);
	assert_int_equal(rcec_restored(&there.collector, &error), 0);
	assert_int_equal(messages(&there), 1);
	assert_false(line_is_up(&there));
	assert_int_equal(fake_config_read(&there.function, STATUS, 4), ONE_FATAL);
	assert_true(rcec_report(&there.collector, 0x20, RCEC_FATAL));
	assert_int_equal(messages(&there), 0);
	fake_config_write(&there.function, STATUS, 4, UINT32_MAX);
	assert_true(rcec_report(&there.collector, 0x20, RCEC_FATAL));
	assert_int_equal(messages(&there), 1);
	assert_int_equal(fake_config_read(&there.function, SOURCE, 4), 0x00200000);
	rcec_resume(&here.collector);
	close_host(&there);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(rcec_has_registers_that_linux_requires),
		CASE(report_has_no_effect_when_the_guest_does_not_listen),
		CASE(message_is_sent_once_until_status_is_cleared),
		CASE(status_is_cleared_by_ones_only),
		CASE(message_is_sent_again_when_reporting_is_enabled_again),
		CASE(line_is_raised_when_there_are_no_messages),
		CASE(rcec_survives_garbage),
		CASE(rcec_keeps_error_and_message_after_restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
