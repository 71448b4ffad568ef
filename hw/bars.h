/* SPDX-License-Identifier: MIT */
/* BARs of a PCI device, private to the files of hw/. */
#ifndef LKVM_HW_BARS_H
#define LKVM_HW_BARS_H

#include "hw/pci.h"

/* Gives them their first addresses, in the windows that fit them. */
int bars_place(struct pci_bus *pci, struct pci_device *device, struct error *error);

/* Maps, moves or unmaps them as config space says. Whether an address range became free. With the device locked. */
bool bars_move(struct pci_device *device);

/* A place became free: whoever was put there too, and answered nowhere, may have it now. No device is locked. */
void bars_settle(struct pci_bus *pci);

#endif
