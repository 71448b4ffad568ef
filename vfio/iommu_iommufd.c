/* SPDX-License-Identifier: MIT */
/* The IOMMU by iommufd. Each device has a file of its own, and is attached to an address space. */
#include "iommu_iommufd.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "device.h"
#include "iommu.h"
#include "sysfs.h"

static int iommufd_open(struct vfio_iommu *iommu, struct error *error)
{
	const struct ram *ram = &iommu->vm->ram;
	struct iommufd_allocate addresses = { .size = sizeof(addresses) };
	struct iommufd_map map = {
		.size = sizeof(map),
		.flags = IOMMUFD_MAP_FIXED | IOMMUFD_MAP_WRITABLE | IOMMUFD_MAP_READABLE,
		.host = (uintptr_t)ram->host,
		.length = ram->size,
		.address = ram->base,
	};
	int result;

	iommu->fd = vfio_iommu_open_file(iommu, "iommu", error);
	if (iommu->fd < 0)
		return -1;
	result = vfio_call(iommu->fd, IOMMUFD_ALLOCATE, (uintptr_t)&addresses);
	if (result < 0)
		return error_system(error, -result, "IOMMU_IOAS_ALLOC");
	map.id = iommu->addresses = addresses.id;
	result = vfio_call(iommu->fd, IOMMUFD_MAP, (uintptr_t)&map);
	return result < 0 ? vfio_iommu_report_unmapped(iommu, -result, error) : 0;
}

static int bind_device(struct vfio_iommu *iommu, int fd, const char *address, const char *group, struct error *error)
{
	struct vfio_bind_iommufd bind = { .size = sizeof(bind), .iommufd = iommu->fd };
	struct vfio_attach_iommufd attach = { .size = sizeof(attach), .id = iommu->addresses };
	int result;

	/* KVM first: the binding records the VM. */
	if (vfio_iommu_register(iommu, fd, error) < 0)
		return -1;
	result = vfio_call(fd, VFIO_BIND_IOMMUFD, (uintptr_t)&bind);
	if (result == -EPERM)
		return vfio_sysfs_report_group(iommu->paths, address, group, error);
	if (result == -EBUSY)
		return error_set(error, EBUSY, "it is in use by another program");
	if (result < 0)
		return error_system(error, -result, "VFIO_DEVICE_BIND_IOMMUFD");
	result = vfio_call(fd, VFIO_ATTACH_IOMMUFD, (uintptr_t)&attach);
	if (result < 0)
		return error_system(error, -result, "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
	return 0;
}

static int iommufd_attach(struct vfio_iommu *iommu, const char *address, const struct vfio_found *found, struct error *error)
{
	char name[64];
	int fd;

	if (!found->device[0])
		return error_set(error, ENODEV, "it has no file in %s/vfio/devices", iommu->paths->dev);
	snprintf(name, sizeof(name), "vfio/devices/%s", found->device);
	fd = vfio_iommu_open_file(iommu, name, error);
	if (fd >= 0 && bind_device(iommu, fd, address, found->group, error) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

const struct vfio_iommu_way vfio_by_iommufd = { .open = iommufd_open, .attach = iommufd_attach };
