/* SPDX-License-Identifier: MIT */
/*
 * Finds pvpanic and writes events to it: first that its crash kernel starts, then, after a line of input, that it panicked.
 * Then it waits for its end.
 */
#include "lib/pci.h"

#define VENDOR 0x1b36u
#define DEVICE 0x0011u
#define PANICKED 1u
#define CRASH_LOADED 2u
#define STATUS 5u
#define DATA_READY 1u

static bool find(struct pci_function *function)
{
	for (unsigned slot = 0; slot < BOARD_SLOTS; slot++)
		if (pci_find(function, slot) && function->vendor == VENDOR && function->device == DEVICE)
			return true;
	return false;
}

void guest_main(void)
{
	struct pci_function function;

	if (!find(&function)) {
		print("panic: no pvpanic\n");
		power_off();
	}
	pci_command(&function, PCI_COMMAND_MEMORY);
	uint64_t at = function.bars[0].address;

	print("panic: slot %u, %lu bytes, supports %u\n", function.slot, function.bars[0].size, read8(at));
	write8(at, CRASH_LOADED);
	write8(at, CRASH_LOADED); /* lkvm prints the line once */
	print("panic: ready\n");
	do {
		while (!(read8(BOARD_UART + STATUS) & DATA_READY))
			;
	} while (read8(BOARD_UART) != '\n');
	write8(at, PANICKED);
	for (;;)
		;
}
