/* SPDX-License-Identifier: MIT */
/*
 * What both ways to the IOMMU share: opening files, registering with KVM, and the text for RAM that cannot be
 * mapped.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <sys/resource.h>

#include "iommu.h"
#include "kvm/kvm.h"
#include "memory/memory_loss.h"

int vfio_iommu_open_file(const struct vfio_iommu *iommu, const char *name, struct error *error)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", iommu->paths->dev, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno == EBUSY)
		return error_set(error, EBUSY, "it is in use by another program (%s)", path);
	if (errno == EACCES)
		return error_set(error, EACCES, "%s cannot be opened: the user that runs lkvm must own it", path);
	return error_system(error, errno, "%s", path);
}

int vfio_iommu_register(const struct vfio_iommu *iommu, int fd, struct error *error)
{
	int32_t value = fd;
	int result = kvm_attribute_set(iommu->kvm_fd, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD, &value);

	if (result < 0)
		return error_system(error, -result, "KVM_DEV_VFIO_GROUP_ADD");
	return 0;
}

int vfio_iommu_report_unmapped(const struct vfio_iommu *iommu, int code, struct error *error)
{
	unsigned long long size = iommu->vm->ram.size >> 20;
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (code == ENOMEM && limit.rlim_cur < iommu->vm->ram.size)
		return error_set(error, code, "a device writes to all of the guest's %llu MiB of memory, which must be locked; "
				 "this user may lock %llu MiB: raise it (ulimit -l, or LimitMEMLOCK= in systemd)", size,
				 (unsigned long long)limit.rlim_cur >> 20);
	error_system(error, code, "the IOMMU does not map the guest's %llu MiB of memory", size);
	memory_suspect(error);
	return -1;
}
