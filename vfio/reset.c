/* SPDX-License-Identifier: MIT */
/* Resets of the function alone, by lkvm or because the guest asked for one in its PCI Express capability. */
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <string.h>

#include "device.h"

/* The kernel chooses the method: the function's own reset if it has one, otherwise power or the bus. */
void vfio_device_reset_function(struct vfio_device *device)
{
	int result = device->can_reset ? vfio_call(device->fd, VFIO_DEVICE_RESET, 0) : 0;

	if (result < 0)
		log_message(device->log, LOG_LEVEL_WARNING, "%s: VFIO_DEVICE_RESET: %s", device->address, strerror(-result));
}

/*
 * The guest sees a function level reset, whatever method the host uses. Linux needs it to reset a device that
 * reported an error, and drivers to reset one that hangs. If the device has it itself, the host's kernel
 * handles the guest's request.
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
