/* SPDX-License-Identifier: MIT */
/* MSI-X of a PCI device, as hw/pci.c needs it. All with the device locked, but for msix_close(). */
#ifndef LKVM_HW_MSIX_H
#define LKVM_HW_MSIX_H

#include "hw/pci.h"

/* After message control or the command register changed: attaches and detaches the vectors accordingly. */
void msix_update(struct pci_device *device);

/* Masks and clears the table, forgets pending bits, gives the routes back. */
void msix_reset(struct pci_device *device);

/* After the state was loaded: the pending bits go to the eventfds, vectors are joined. */
void msix_restored(struct pci_device *device);
void msix_close(struct pci_device *device);

#endif
