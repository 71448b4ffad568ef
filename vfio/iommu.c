/* SPDX-License-Identifier: MIT */
/* The IOMMU of a machine: chooses between iommufd and containers, and attaches devices. */
#include "iommu.h"

#include <limits.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <unistd.h>

#include "kvm/kvm.h"
#include "sysfs.h"
#include "util/io.h"

int vfio_iommu_open(struct vfio_iommu *iommu, const struct vfio_paths *paths, struct vm *vm, const char *first,
		    struct error *error)
{
	struct vfio_found found;
	char path[PATH_MAX];

	*iommu = (struct vfio_iommu){ .paths = paths, .vm = vm, .fd = -1, .kvm_fd = -1 };
	if (vfio_sysfs_find(paths, first, &found, error) < 0)
		return error_context(error, "%s", first);
	snprintf(path, sizeof(path), "%s/iommu", paths->dev);
	iommu->way = found.device[0] && access(path, F_OK) == 0 ? &vfio_by_iommufd : &vfio_by_group;
	iommu->kvm_fd = kvm_device_create(vm->fd, KVM_DEV_TYPE_VFIO, "KVM's VFIO device", error);
	return iommu->kvm_fd < 0 ? -1 : iommu->way->open(iommu, error);
}

int vfio_iommu_attach(struct vfio_iommu *iommu, const char *address, struct error *error)
{
	struct vfio_found found;

	if (vfio_sysfs_find(iommu->paths, address, &found, error) < 0)
		return -1;
	return iommu->way->attach(iommu, address, &found, error);
}

void vfio_iommu_close(struct vfio_iommu *iommu)
{
	fd_close(&iommu->kvm_fd); /* it holds references to the groups */
	while (iommu->group_count)
		fd_close(&iommu->groups[--iommu->group_count].fd);
	fd_close(&iommu->fd); /* unmaps RAM */
}
