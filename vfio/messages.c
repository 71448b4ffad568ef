/* SPDX-License-Identifier: MIT */
/* Which interrupts of a device the guest has enabled, and their messages: from its config space and MSI-X table. */
#include <linux/pci_regs.h>

#include "device.h"
#include "util/bits.h"

static uint16_t config16(const struct vfio_device *device, unsigned offset)
{
	return get16(device->pci.state.config + offset);
}

static uint32_t config32(const struct vfio_device *device, unsigned offset)
{
	return get32(device->pci.state.config + offset);
}

enum vfio_mode vfio_wanted_mode(const struct vfio_device *device)
{
	const struct vfio_interrupts *interrupts = &device->interrupts;

	if (interrupts->msix_count && config16(device, device->msix_capability + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_ENABLE)
		return VFIO_MODE_MSIX;
	if (interrupts->msi_count && config16(device, device->msi_capability + PCI_MSI_FLAGS) & PCI_MSI_FLAGS_ENABLE)
		return VFIO_MODE_MSI;
	return interrupts->has_line ? VFIO_MODE_LINE : VFIO_MODE_OFF;
}

unsigned vfio_wanted_vectors(const struct vfio_device *device, enum vfio_mode mode)
{
	unsigned count;

	if (mode != VFIO_MODE_MSI)
		return mode == VFIO_MODE_MSIX ? device->interrupts.msix_count : 0;
	count = 1u << ((config16(device, device->msi_capability + PCI_MSI_FLAGS) & PCI_MSI_FLAGS_QSIZE) >> 4);
	return MIN(count, device->interrupts.msi_count);
}

bool vfio_message_is_unmasked(const struct vfio_device *device, unsigned number)
{
	unsigned msi = device->msi_capability;
	uint16_t flags;

	if (device->interrupts.mode == VFIO_MODE_MSIX)
		return !(config16(device, device->msix_capability + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_MASKALL) &&
		       !(device->interrupts.entries[number].control & PCI_MSIX_ENTRY_CTRL_MASKBIT);
	flags = config16(device, msi + PCI_MSI_FLAGS);
	return !(flags & PCI_MSI_FLAGS_MASKBIT) ||
	       !(config32(device, msi + (flags & PCI_MSI_FLAGS_64BIT ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32)) >> number & 1);
}

struct msi_message vfio_message(const struct vfio_device *device, unsigned number)
{
	const struct vfio_interrupts *interrupts = &device->interrupts;
	struct msi_message message = { .device_id = pci_device_id(&device->pci) };
	unsigned msi = device->msi_capability;

	if (interrupts->mode == VFIO_MODE_MSIX) {
		message.address = interrupts->entries[number].address;
		message.data = interrupts->entries[number].data;
		return message;
	}
	message.address = config32(device, msi + PCI_MSI_ADDRESS_LO);
	if (config16(device, msi + PCI_MSI_FLAGS) & PCI_MSI_FLAGS_64BIT) {
		message.address |= (uint64_t)config32(device, msi + PCI_MSI_ADDRESS_HI) << 32;
		message.data = config16(device, msi + PCI_MSI_DATA_64);
	} else {
		message.data = config16(device, msi + PCI_MSI_DATA_32);
	}
	/* The device puts the number of the vector into the lowest bits. */
	message.data = (message.data & ~(interrupts->active - 1)) | number;
	return message;
}
