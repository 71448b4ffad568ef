/* SPDX-License-Identifier: MIT */
/*
 * The IOMMU by containers and groups. A group is the smallest unit that the IOMMU isolates, and belongs to one
 * program.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "iommu.h"
#include "sysfs.h"

static int container_open(struct vfio_iommu *iommu, struct error *error)
{
	iommu->fd = vfio_iommu_open_file(iommu, "vfio/vfio", error);
	if (iommu->fd < 0)
		return -1;
	if (vfio_call(iommu->fd, VFIO_GET_API_VERSION, 0) != VFIO_API_VERSION)
		return error_set(error, ENOTSUP, "the kernel's VFIO is of a version unknown to this lkvm");
	if (vfio_call(iommu->fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) <= 0)
		return error_set(error, ENOTSUP, "the kernel's VFIO has no driver for the IOMMU: modprobe vfio_iommu_type1");
	return 0;
}

/* A container has an IOMMU, and accepts mappings, after it has a group. */
static int map(struct vfio_iommu *iommu, struct error *error)
{
	const struct ram *ram = &iommu->vm->ram;
	struct vfio_iommu_type1_dma_map request = {
		.argsz = sizeof(request),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)ram->host,
		.iova = ram->base,
		.size = ram->size,
	};
	int result = vfio_call(iommu->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);

	if (result < 0)
		return error_system(error, -result, "VFIO_SET_IOMMU");
	result = vfio_call(iommu->fd, VFIO_IOMMU_MAP_DMA, (uintptr_t)&request);
	return result < 0 ? vfio_iommu_report_unmapped(iommu, -result, error) : 0;
}

static int add_group(struct vfio_iommu *iommu, const char *address, const char *number, int fd, struct error *error)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int result = vfio_call(fd, VFIO_GROUP_GET_STATUS, (uintptr_t)&status);

	if (result < 0)
		return error_system(error, -result, "VFIO_GROUP_GET_STATUS");
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return vfio_sysfs_report_group(iommu->paths, address, number, error);
	result = vfio_call(fd, VFIO_GROUP_SET_CONTAINER, (uintptr_t)&iommu->fd);
	if (result < 0)
		return error_system(error, -result, "VFIO_GROUP_SET_CONTAINER with IOMMU group %s", number);
	if (iommu->group_count == 1 && map(iommu, error) < 0)
		return -1;
	return vfio_iommu_register(iommu, fd, error);
}

/* Two devices may be in one group, and its file opens only once. */
static struct vfio_group *need_group(struct vfio_iommu *iommu, const char *address, const char *number, struct error *error)
{
	struct vfio_group *group = iommu->groups;
	char name[32];

	for (; group < iommu->groups + iommu->group_count; group++)
		if (!strcmp(group->number, number))
			return group;
	snprintf(name, sizeof(name), "vfio/%s", number);
	group->fd = vfio_iommu_open_file(iommu, name, error);
	if (group->fd < 0)
		return NULL;
	snprintf(group->number, sizeof(group->number), "%s", number);
	iommu->group_count++;
	return add_group(iommu, address, number, group->fd, error) < 0 ? NULL : group;
}

static int container_attach(struct vfio_iommu *iommu, const char *address, const struct vfio_found *found, struct error *error)
{
	struct vfio_group *group = need_group(iommu, address, found->group, error);
	int fd;

	if (!group)
		return -1;
	fd = vfio_call(group->fd, VFIO_GROUP_GET_DEVICE_FD, (uintptr_t)address);
	if (fd < 0)
		return error_system(error, -fd, "VFIO_GROUP_GET_DEVICE_FD");
	return fd;
}

const struct vfio_iommu_way vfio_by_group = { .open = container_open, .attach = container_attach };
