/* SPDX-License-Identifier: MIT */
/* BARs of a PCI device, private to the files of hw/. */
#ifndef LKVM_HW_BARS_H
#define LKVM_HW_BARS_H

#include "hw/pci.h"

/* Assigns the BARs of a device their first addresses, in the windows that fit them. */
int bars_place(struct pci_bus *pci, struct pci_device *device, struct error *error);

/*
 * Maps, moves or unmaps BARs according to config space. Returns whether an address range became free. The
 * device is locked.
 */
bool bars_move(struct pci_device *device);

/* An address range became free: maps BARs that were unmapped because of an overlap. No device is locked. */
void bars_remap(struct pci_bus *pci);

#endif
