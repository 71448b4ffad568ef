/* SPDX-License-Identifier: MIT */
/* hw/pvpanic.c: the guest finds the PCI function, reads what it supports and writes events. */
#include "unit/test.h"

#include <linux/pci_regs.h>

#include "unit/board.h"
#include "hw/pvpanic.h"

#define ECAM 0x40000000ull
#define WINDOW 0x50000000ull
#define WINDOW_SIZE 0x30000000ull

static struct board board;
static struct pci_bus pci;
static struct pvpanic pvpanic;
static uint8_t events[8];
static unsigned event_count;

static void pvpanic_event(void *owner, uint8_t event)
{
	assert_ptr_equal(owner, &board);
	assert_true(event_count < sizeof(events));
	events[event_count++] = event;
}

static int open_all(void **state)
{
	const struct pci_layout layout = {
		.ecam = ECAM, .window32 = WINDOW, .window32_size = WINDOW_SIZE, .first_line = 32,
	};
	struct error error;

	(void)state;
	event_count = 0;
	board_open(&board);
	assert_int_equal(pci_bus_open(&pci, &board.bus, &board.interrupts, &layout, &error), 0);
	assert_int_equal(pvpanic_open(&pvpanic, &pci, pvpanic_event, &board, &error), 0);
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	pvpanic_close(&pvpanic);
	pvpanic_close(&pvpanic);
	pci_bus_close(&pci);
	board_close(&board);
	return 0;
}

/* Turns on its memory, as a driver does, and returns the address of its register. */
static uint64_t enable(void)
{
	board_write(&board, ECAM + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	return board_read(&board, ECAM + PCI_BASE_ADDRESS_0, 4);
}

static void pvpanic_has_identity_and_register(void **state)
{
	uint64_t at = enable();

	(void)state;
	assert_int_equal(board_read(&board, ECAM, 4), 0x00111b36);
	assert_int_equal(board_read(&board, ECAM + PCI_INTERRUPT_PIN, 1), 0);
	assert_in_range(at, WINDOW, WINDOW + WINDOW_SIZE - 16);
	assert_int_equal(board_read(&board, at, 1), PVPANIC_PANICKED | PVPANIC_CRASH_LOADED);
	assert_int_equal(board_read(&board, at + 1, 1), 0);
}

static void write_reports_supported_events(void **state)
{
	uint64_t at = enable();

	(void)state;
	board_write(&board, at, 1, PVPANIC_PANICKED);
	board_write(&board, at, 1, PVPANIC_CRASH_LOADED);
	board_write(&board, at, 1, 0xfc); /* unknown events */
	board_write(&board, at, 1, 0);
	board_write(&board, at + 1, 1, 0xff); /* no register */
	board_write(&board, at, 1, 0xff);
	assert_int_equal(event_count, 3);
	assert_int_equal(events[0], PVPANIC_PANICKED);
	assert_int_equal(events[1], PVPANIC_CRASH_LOADED);
	assert_int_equal(events[2], PVPANIC_PANICKED | PVPANIC_CRASH_LOADED);
}

static void register_is_mapped_again_after_reset_and_restore(void **state)
{
	uint64_t at = enable(), value;
	struct error error;

	(void)state;
	pci_device_reset(&pvpanic.pci);
	assert_false(bus_read(&board.bus, at, 1, &value));
	pvpanic.pci.state.config[PCI_COMMAND] = PCI_COMMAND_MEMORY; /* as it was saved */
	assert_int_equal(pci_device_restored(&pvpanic.pci, &error), 0);
	assert_int_equal(board_read(&board, at, 1), 3);
	assert_int_equal(event_count, 0);
}

static void open_fails_when_no_slot_is_free(void **state)
{
	struct pci_device *devices[PCI_SLOTS];
	struct pvpanic other;
	struct error error;

	(void)state;
	for (unsigned i = 0; i < PCI_SLOTS; i++) {
		devices[i] = pci.devices[i];
		pci.devices[i] = &pvpanic.pci;
	}
	assert_int_equal(pvpanic_open(&other, &pci, pvpanic_event, &board, &error), -1);
	assert_string_equal(error.text, "no free PCI slot for pvpanic");
	for (unsigned i = 0; i < PCI_SLOTS; i++)
		pci.devices[i] = devices[i];
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)
		TEST(pvpanic_has_identity_and_register),
		TEST(write_reports_supported_events),
		TEST(register_is_mapped_again_after_reset_and_restore),
		TEST(open_fails_when_no_slot_is_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
