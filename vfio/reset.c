/* SPDX-License-Identifier: MIT */
/* Resets of the function alone, by lkvm or because the guest asked for one in its PCI Express capability. */
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <string.h>

#include "device.h"

/* The kernel chooses how: by the function's own reset where it has one, else by power or by the bus. */
void vfio_device_reset_function(struct vfio_device *device)
{
	int result = device->can_reset ? vfio_call(device->fd, VFIO_DEVICE_RESET, 0) : 0;

	if (result < 0)
		log_message(device->log, LOG_LEVEL_WARNING, "%s: VFIO_DEVICE_RESET: %s", device->address, strerror(-result));
}

/*
 * However the host resets a device, to a guest it is the one that PCI Express has for functions: so Linux resets what it was
 * told has an error, and drivers what hangs. Where it is the device's own, the host's kernel sees the guest ask for it.
 */
void vfio_reset_offer(struct vfio_device *device)
{
	uint8_t *can = device->pci.state.config + device->express_capability + PCI_EXP_DEVCAP + 3;

	device->resets_itself = *can & PCI_EXP_DEVCAP_FLR >> 24;
	if (device->can_reset)
		*can |= PCI_EXP_DEVCAP_FLR >> 24;
}

void vfio_reset_by_guest(struct vfio_device *device, unsigned offset, unsigned size, uint64_t value)
{
	unsigned control = device->express_capability + PCI_EXP_DEVCTL + 1;

	if (device->express_capability && device->can_reset && !device->resets_itself && offset <= control &&
	    control < offset + size && value >> 8 * (control - offset) & PCI_EXP_DEVCTL_BCR_FLR >> 8)
		vfio_device_reset_function(device);
}
