/* SPDX-License-Identifier: MIT */
/* BARs of a PCI device, as hw/pci.c needs them; and the bytes of config space, which is little-endian. */
#ifndef LKVM_HW_BARS_H
#define LKVM_HW_BARS_H

#include "hw/pci.h"

static inline uint32_t get32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static inline void put16(uint8_t *bytes, uint16_t value)
{
	bytes[0] = (uint8_t)value;
	bytes[1] = (uint8_t)(value >> 8);
}

static inline void put32(uint8_t *bytes, uint32_t value)
{
	put16(bytes, (uint16_t)value);
	put16(bytes + 2, (uint16_t)(value >> 16));
}

/* Gives them their first addresses, in the windows that fit them. */
int bars_place(struct pci_bus *pci, struct pci_device *device, struct error *error);

/* Maps, moves or unmaps them as config space says. Whether an address range became free. With the device locked. */
bool bars_move(struct pci_device *device);

/* A place became free: whoever was put there too, and answered nowhere, may have it now. No device is locked. */
void bars_settle(struct pci_bus *pci);

#endif
