/* SPDX-License-Identifier: MIT */
/*
 * Reports to a guest that a device has lost the state that its driver set up. The host handles the device's own
 * error reports, so lkvm adds or emulates the error capability. It has one error. When it is reported, the
 * guest's driver cancels what is under way and resets the device. So the device needs a reset of its own.
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
