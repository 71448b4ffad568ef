/* SPDX-License-Identifier: MIT */
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
 * The device first, so that it writes nothing and signals nothing; then its vectors and routes go, before the ITS does that
 * they lead to; then it is as it was plugged, bus mastering off.
 */
void vfio_device_reset(struct vfio_device *device)
{
	vfio_device_reset_function(device);
	vfio_migration_reset(device);
	device->is_detached = device->is_fresh = false; /* so does the guest */
	pthread_mutex_lock(&device->pci.lock);
	vfio_interrupts_off(device);
	pthread_mutex_unlock(&device->pci.lock);
	pci_device_reset(&device->pci);
	pthread_mutex_lock(&device->pci.lock);
	vfio_config_command(device);
	vfio_interrupts_update(device);
	pthread_mutex_unlock(&device->pci.lock);
}
