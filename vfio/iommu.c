/* SPDX-License-Identifier: MIT */
#include "iommu.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kvm/kvm.h"
#include "memory/memory_loss.h"
#include "sysfs.h"

int vfio_iommu_file(const struct vfio_iommu *iommu, const char *name, struct error *error)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", iommu->place->dev, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno == EBUSY)
		return error_set(error, EBUSY, "it is in use by another program (%s)", path);
	if (errno == EACCES)
		return error_set(error, EACCES, "%s may not be opened: its owner is to be who runs lkvm", path);
	return error_system(error, errno, "%s", path);
}

int vfio_iommu_tell(const struct vfio_iommu *iommu, int fd, struct error *error)
{
	int32_t value = fd;
	int result = kvm_attribute_set(iommu->kvm_fd, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD, &value);

	if (result < 0)
		return error_system(error, -result, "KVM_DEV_VFIO_GROUP_ADD");
	return 0;
}

int vfio_iommu_unmapped(const struct vfio_iommu *iommu, int code, struct error *error)
{
	unsigned long long size = iommu->vm->ram.size >> 20;
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (code == ENOMEM && limit.rlim_cur < iommu->vm->ram.size)
		return error_set(error, code, "a device writes to all of the guest's %llu MiB of memory, which have to be "
				 "locked; this user may lock %llu MiB: raise it (ulimit -l, or LimitMEMLOCK= in systemd)", size,
				 (unsigned long long)limit.rlim_cur >> 20);
	error_system(error, code, "the IOMMU does not map the guest's %llu MiB of memory", size);
	memory_suspect(error);
	return -1;
}

int vfio_iommu_open(struct vfio_iommu *iommu, const struct vfio_place *place, struct vm *vm, const char *first,
		    struct error *error)
{
	struct vfio_found found;
	char path[PATH_MAX];

	*iommu = (struct vfio_iommu){ .place = place, .vm = vm, .fd = -1, .kvm_fd = -1 };
	if (vfio_host_find(place, first, &found, error) < 0)
		return error_context(error, "%s", first);
	snprintf(path, sizeof(path), "%s/iommu", place->dev);
	iommu->way = found.device[0] && access(path, F_OK) == 0 ? &vfio_by_iommufd : &vfio_by_group;
	iommu->kvm_fd = kvm_device_create(vm->fd, KVM_DEV_TYPE_VFIO, "KVM's VFIO device", error);
	return iommu->kvm_fd < 0 ? -1 : iommu->way->open(iommu, error);
}

int vfio_iommu_attach(struct vfio_iommu *iommu, const char *address, struct error *error)
{
	struct vfio_found found;

	if (vfio_host_find(iommu->place, address, &found, error) < 0)
		return -1;
	return iommu->way->attach(iommu, address, &found, error);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void vfio_iommu_close(struct vfio_iommu *iommu)
{
	close_fd(&iommu->kvm_fd); /* it holds the groups */
	while (iommu->group_count)
		close_fd(&iommu->groups[--iommu->group_count].fd);
	close_fd(&iommu->fd); /* which unmaps RAM */
}
