/* SPDX-License-Identifier: MIT */
/*
 * Saving a guest without the state of a device. What the device writes while RAM is saved would be in one part of it and not
 * in another, so it may not be a bus master meanwhile. What it wanted to write is lost, so it is reset before it may again, and
 * the guest's driver, which would wait for ever, is told.
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

/* A guest that cannot be told has to find out: a driver may, when what it waits for does not come. */
void vfio_device_report_reset(struct vfio_device *device)
{
	if (device->reset_unreported && device->can_reset && !vfio_errors_report(device))
		log_message(device->log, LOG_LEVEL_WARNING, "%s: it was reset, and the guest cannot be told", device->address);
	device->reset_unreported = false;
}
