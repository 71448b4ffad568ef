/* SPDX-License-Identifier: MIT */
/* The life of one passed-through device: open, reset, close. */
#include <errno.h>
#include <linux/vfio.h>
#include <unistd.h>

#include "device.h"

static int read_info(struct vfio_device *device, struct error *error)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info config;
	int result = vfio_call(device->fd, VFIO_DEVICE_GET_INFO, (uintptr_t)&info);

	if (result < 0)
		return error_system(error, -result, "VFIO_DEVICE_GET_INFO");
	if (!(info.flags & VFIO_DEVICE_FLAGS_PCI))
		return error_set(error, ENOTSUP, "the kernel does not treat it as a PCI device");
	device->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	if (vfio_device_region(device, VFIO_PCI_CONFIG_REGION_INDEX, &config, sizeof(config), error) < 0)
		return -1;
	device->config_offset = config.offset;
	device->config_size = config.size < PCI_CONFIG_SIZE ? (unsigned)config.size : PCI_CONFIG_SIZE;
	if (device->config_size < 64) /* a header; the kernel's own mtty has 255 */
		return error_set(error, EIO, "its config space has %u bytes", device->config_size);
	return 0;
}

int vfio_device_open(struct vfio_device *device, int fd, struct pci_bus *pci, bool restores, struct error *error)
{
	device->fd = fd;
	device->error_fd = device->request_fd = -1;
	device->interrupts = VFIO_INTERRUPTS_NONE;
	device->migration = VFIO_MIGRATION_NONE;
	if (read_info(device, error) < 0 || vfio_config_open(device, pci, error) < 0 ||
	    vfio_interrupts_open(device, error) < 0 ||
	    vfio_table_find(device, error) < 0 || vfio_bars_open(device, error) < 0 ||
	    pci_device_plug(pci, &device->pci, -1, error) < 0)
		return -1;
	vfio_migration_open(device);
	if (vfio_events_open(device, error) < 0)
		return -1;
	pthread_mutex_lock(&device->pci.lock);
	vfio_config_command(device);
	if (!restores)
		vfio_interrupts_update(device);
	pthread_mutex_unlock(&device->pci.lock);
	if (!device->can_reset)
		log_message(device->log, LOG_LEVEL_INFO, "%s: it cannot be reset by itself: a guest's reset only stops it",
			    device->address);
	return 0;
}

/*
 * First the device, so that it neither writes nor signals. Then its vectors and routes, before the ITS that
 * they lead to. Then config space, as it was plugged, with bus mastering off.
 */
void vfio_device_reset(struct vfio_device *device)
{
	vfio_device_reset_function(device);
	vfio_migration_reset(device);
	device->is_detached = device->reset_unreported = false; /* the guest is reset, too */
	pthread_mutex_lock(&device->pci.lock);
	vfio_interrupts_off(device);
	pthread_mutex_unlock(&device->pci.lock);
	pci_device_reset(&device->pci);
	pthread_mutex_lock(&device->pci.lock);
	vfio_config_command(device);
	vfio_interrupts_update(device);
	pthread_mutex_unlock(&device->pci.lock);
}

void vfio_device_close(struct vfio_device *device)
{
	vfio_events_close(device);
	vfio_migration_close(device);
	if (device->pci.bus)
		vfio_interrupts_off(device);
	vfio_interrupts_close(device);
	if (device->pci.identity.name)
		pci_device_close(&device->pci);
	vfio_bars_close(device);
	/* The kernel resets the device and releases it. */
	if (device->fd >= 0)
		close(device->fd);
	device->fd = -1;
}
