/* SPDX-License-Identifier: MIT */
/* PCI configuration by ECAM. Functions are discovered. */
#ifndef GUEST_PCI_H
#define GUEST_PCI_H

#include "lib/board.h"
#include "lib/runtime.h"

#define PCI_COMMAND 0x04u
#define PCI_COMMAND_IO 1u
#define PCI_COMMAND_MEMORY 2u
#define PCI_COMMAND_MASTER 4u
#define PCI_COMMAND_INTX_DISABLE 0x400u
#define PCI_STATUS 0x06u
#define PCI_BAR0 0x10u
#define PCI_BARS 6u
#define PCI_CAPABILITIES 0x34u
#define PCI_CAPABILITY_VENDOR 0x09u
#define PCI_CAPABILITY_MSIX 0x11u

struct pci_bar {
	uint64_t address, size; /* size 0: no BAR */
	bool wide, io;
};

struct pci_function {
	unsigned slot;
	uint64_t config; /* address in the ECAM */
	uint16_t vendor, device;
	struct pci_bar bars[PCI_BARS];

	/* MSI-X; 0 vectors: the function does not have it. */
	unsigned msix, vectors; /* capability's offset; entries */
	uint64_t table, pending;
};

/* Returns the address of the configuration of a slot's function. */
static inline uint64_t pci_config(unsigned slot, unsigned function)
{
	return BOARD_ECAM + (uint64_t)slot * 0x8000 + (uint64_t)function * 0x1000;
}

/*
 * Finds and sizes the BARs at their current addresses, makes
 * them accessible, and finds MSI-X. False: no function.
 */
bool pci_find(struct pci_function *function, unsigned slot);

/* Returns the offset of the next capability of this kind after `after` (0: the first), or 0. */
unsigned pci_capability(const struct pci_function *function, unsigned id, unsigned after);

void pci_command(const struct pci_function *function, uint16_t bits);

/* Moves a BAR, and updates its address in bars[]. Ports are given as addresses in BOARD_IO, too. */
void pci_move_bar(struct pci_function *function, unsigned bar, uint64_t address);

/* msix_set() writes one MSI-X entry. msix_enable() enables or disables MSI-X. */
void msix_set(const struct pci_function *function, unsigned vector, uint64_t address, uint32_t data,
	      bool masked);
void msix_enable(const struct pci_function *function, bool enable);
bool msix_pending(const struct pci_function *function, unsigned vector);

#endif
