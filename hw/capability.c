/* SPDX-License-Identifier: MIT */
/* The list of capabilities in a PCI device's config space. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "hw/pci.h"

int pci_device_add_capability(struct pci_device *device, uint8_t id, const void *body, unsigned size,
			      struct error *error)
{
	unsigned offset = device->next_capability;

	/* Capabilities are in the first 256 bytes, each at a multiple of four. */
	if (size < 2 || offset + size > 256)
		return error_set(error, ENOSPC, "no room for capability 0x%x of %s", id, device->identity.name);
	device->state.config[offset] = id;
	memcpy(device->state.config + offset + 2, body, size - 2);
	device->state.config[device->last_capability ? device->last_capability + 1 : PCI_CAPABILITY_LIST] = (uint8_t)offset;
	device->state.config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	device->last_capability = offset;
	device->next_capability = (offset + size + 3) & ~3u;
	return (int)offset;
}
