/* SPDX-License-Identifier: MIT */
/* Saves and restores what the guest programmed and lkvm keeps: config space and the MSI-X table. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "device.h"
#include "state/names.h"

int vfio_device_visit(struct vfio_device *device, unsigned number, struct state_visitor *visitor, struct error *error)
{
	const uint32_t size = device->interrupts.msix_count * (uint32_t)sizeof(struct msix_entry);
	const struct state_field field = { .name = "entries", .size = 4, .count = size / 4, .kind = STATE_RUNTIME };
	const struct state_table entries = { .name = "msix", .version = 1, .size = size, .count = 1, .fields = &field };
	char name[32];

	snprintf(name, sizeof(name), SECTION_VFIO "%u" SECTION_SUFFIX_PCI, number);
	if (visitor->visit(visitor, name, &pci_state_table, &device->pci.state, error) < 0)
		return -1;
	if (!size)
		return 0;
	snprintf(name, sizeof(name), SECTION_VFIO "%u" SECTION_SUFFIX_MSIX, number);
	return visitor->visit(visitor, name, &entries, device->interrupts.entries, error);
}

int vfio_device_restored(struct vfio_device *device, struct error *error)
{
	struct pci_device *pci = &device->pci;

	/*
	 * Bytes of the device, such as its serial number, are those of the new device. Emulated bits are those
	 * of the snapshot.
	 */
	for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++)
		if (device->passed[i] || device->copied[i])
			pci->state.config[i] = (uint8_t)((pci->state.config[i] & pci->writable[i]) |
							 (pci->initial[i] & ~pci->writable[i]));
	if (pci_device_restored(pci, error) < 0)
		return error_context(error, "%s", device->address);
	pthread_mutex_lock(&pci->lock);
	vfio_config_command(device);
	/* An interrupt may have been pending in the device or in hardware. */
	vfio_interrupts_replay(device);
	vfio_interrupts_update(device);
	pthread_mutex_unlock(&pci->lock);
	/* A driver that starts would notice a failure; a driver that waits for an interrupt would wait for ever. */
	if (device->interrupts.warned)
		return error_set(error, EIO, "%s: its interrupts cannot be set up as they were", device->address);
	return 0;
}
