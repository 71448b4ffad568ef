/* SPDX-License-Identifier: MIT */
/*
 * Telling a guest that a device is not as its driver left it. The device's own reporting is the host's, so the function has
 * a capability that is ours: one error, upon which a driver lets go of what is under way, and resets the device, which is
 * why it needs a reset of its own.
 */
#include <linux/pci_regs.h>

#include "device.h"

#define FIRST PCI_CFG_SPACE_SIZE
#define STRIDE 4u

bool vfio_errors_possible(const struct vfio_device *device)
{
	const uint8_t *express = device->pci.state.config + device->express_capability;

	return device->express_capability && express[PCI_EXP_DEVCAP + 3] & PCI_EXP_DEVCAP_FLR >> 24;
}

unsigned vfio_errors_find_offset(const struct vfio_device *device, const bool *taken)
{
	for (unsigned start = FIRST, end = FIRST; end < device->config_size; end++) {
		if (taken[end])
			start = (end + STRIDE) & ~(STRIDE - 1);
		else if (end + 1 == start + PCI_ERRORS_SIZE)
			return start;
	}
	return 0;
}

bool vfio_errors_report(struct vfio_device *device)
{
	return device->errors_capability &&
	       pci_errors_report(&device->pci, device->errors_capability, device->express_capability);
}
