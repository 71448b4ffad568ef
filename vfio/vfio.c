/* SPDX-License-Identifier: MIT */
/* All devices that a machine has passed through, and the IOMMU that they share. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "device.h"
#include "iommu.h"

struct vfio {
	struct vfio_iommu iommu;
	unsigned count;
	struct vfio_device devices[VFIO_MAX_DEVICES];
};

static int add_device(struct vfio *vfio, const char *address, struct vm *vm, struct pci_bus *pci, struct loop *loop,
		      struct error *error)
{
	struct vfio_device *device = &vfio->devices[vfio->count];
	int fd = vfio_iommu_attach(&vfio->iommu, address, error);

	if (fd < 0)
		return error_context(error, "%s", address);
	*device = (struct vfio_device){ .vm = vm, .log = vm->log, .loop = loop };
	snprintf(device->address, sizeof(device->address), "%s", address);
	vfio->count++;
	if (vfio_device_open(device, fd, pci, error) < 0)
		return error_context(error, "%s", address);
	return 0;
}

struct vfio *vfio_open(const struct vfio_config *config, const struct vfio_place *place, struct vm *vm, struct pci_bus *pci,
		       struct loop *loop, struct error *error)
{
	struct vfio *vfio = calloc(1, sizeof(*vfio));
	int result;

	if (!vfio) {
		error_system(error, ENOMEM, "memory for devices");
		return NULL;
	}
	result = vfio_iommu_open(&vfio->iommu, place, vm, config->devices[0], error);
	for (unsigned i = 0; result == 0 && i < config->count; i++)
		result = add_device(vfio, config->devices[i], vm, pci, loop, error);
	if (result == 0)
		return vfio;
	vfio_close(vfio);
	return NULL;
}

void vfio_close(struct vfio *vfio)
{
	if (!vfio)
		return;
	while (vfio->count)
		vfio_device_close(&vfio->devices[--vfio->count]);
	vfio_iommu_close(&vfio->iommu);
	free(vfio);
}

void vfio_reset(struct vfio *vfio)
{
	for (unsigned i = 0; vfio && i < vfio->count; i++)
		vfio_device_reset(&vfio->devices[i]);
}

void vfio_quiesce(struct vfio *vfio)
{
	for (unsigned i = 0; vfio && i < vfio->count; i++) {
		pthread_mutex_lock(&vfio->devices[i].pci.lock);
		vfio_interrupts_part(&vfio->devices[i]);
		pthread_mutex_unlock(&vfio->devices[i].pci.lock);
	}
}

void vfio_resume(struct vfio *vfio)
{
	for (unsigned i = 0; vfio && i < vfio->count; i++) {
		pthread_mutex_lock(&vfio->devices[i].pci.lock);
		vfio_interrupts_update(&vfio->devices[i]);
		pthread_mutex_unlock(&vfio->devices[i].pci.lock);
	}
}

void vfio_stat(struct vfio *vfio, struct report *report)
{
	for (unsigned i = 0; vfio && i < vfio->count; i++) {
		report_begin(report, NULL);
		vfio_device_stat(&vfio->devices[i], report);
		report_end(report);
	}
}
