/* SPDX-License-Identifier: MIT */
/*
 * pvpanic as a PCI device: a guest that panics writes to its only register. QEMU, docs/specs/pvpanic.rst; Linux,
 * drivers/misc/pvpanic.
 */
#ifndef LKVM_HW_PVPANIC_H
#define LKVM_HW_PVPANIC_H

#include <stdint.h>

#include "hw/pci.h"

/* Events, as bits of the register. A read returns those that the device supports. */
#define PVPANIC_PANICKED 1u
#define PVPANIC_CRASH_LOADED 2u /* the guest panicked, and handles that itself: its crash kernel starts */

struct pvpanic {
	struct pci_device pci; /* has all its state */
	/* Called for each write, with its supported bits. On the vCPU's thread, without locks. */
	void (*event)(void *owner, uint8_t events);
	void *owner;
};

/* Plugs it into the next free slot. After a failure there is nothing to close. Its state is that of any PCI device. */
int pvpanic_open(struct pvpanic *pvpanic, struct pci_bus *pci, void (*event)(void *owner, uint8_t events), void *owner,
		 struct error *error);
void pvpanic_close(struct pvpanic *pvpanic);

#endif
