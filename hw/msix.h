/* SPDX-License-Identifier: MIT */
/* MSI-X of a PCI device, private to hw/. Call all but msix_close() with the device locked. */
#ifndef LKVM_HW_MSIX_H
#define LKVM_HW_MSIX_H

#include "hw/pci.h"

/* After message control or the command register changed: attaches and detaches the vectors accordingly. */
void msix_update(struct pci_device *device);

/* Masks and clears the table, clears pending bits, gives the routes back. */
void msix_reset(struct pci_device *device);

/* After the state was loaded: moves the pending bits to the eventfds, and attaches vectors. */
void msix_restored(struct pci_device *device);
void msix_close(struct pci_device *device);

#endif
