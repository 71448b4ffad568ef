/* SPDX-License-Identifier: MIT */
/*
 * Saving a VM without the state of a device. Writes of the device during the save would be in one part of RAM
 * and not in another, so bus mastering is off until the save ends. What it wanted to write is lost. So the
 * device is reset before it is a bus master again, and its driver is notified; it would wait for ever
 * otherwise.
 */
#include "device.h"

void vfio_device_detach(struct vfio_device *device)
{
	pthread_mutex_lock(&device->pci.lock);
	device->is_detached = true;
	vfio_config_command(device);
	pthread_mutex_unlock(&device->pci.lock);
}

void vfio_device_attach(struct vfio_device *device)
{
	if (!device->is_detached)
		return;
	vfio_device_reset_function(device);
	device->reset_unreported = true;
	pthread_mutex_lock(&device->pci.lock);
	device->is_detached = false;
	vfio_config_command(device);
	pthread_mutex_unlock(&device->pci.lock);
}

/* Without a report, a driver may still notice: what it waits for does not come. */
void vfio_device_report_reset(struct vfio_device *device)
{
	if (device->reset_unreported && device->can_reset && !vfio_errors_report(device))
		log_message(device->log, LOG_LEVEL_WARNING, "%s: it was reset, and the guest cannot be notified", device->address);
	device->reset_unreported = false;
}
