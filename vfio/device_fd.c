/* SPDX-License-Identifier: MIT */
/*
 * What a passed-through device's descriptor offers: the bytes of its regions, what they are, and its optional
 * features.
 */
#include <linux/vfio.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "migration_abi.h"

bool vfio_device_read(const struct vfio_device *device, uint64_t offset, void *bytes, unsigned size)
{
	if (pread(device->fd, bytes, size, (off_t)offset) == (ssize_t)size)
		return true;
	memset(bytes, 0xff, size);
	return false;
}

bool vfio_device_write(const struct vfio_device *device, uint64_t offset, const void *bytes, unsigned size)
{
	return pwrite(device->fd, bytes, size, (off_t)offset) == (ssize_t)size;
}

int vfio_device_region(const struct vfio_device *device, unsigned index, void *info, size_t size, struct error *error)
{
	struct vfio_region_info *region = info;
	int result;

	*region = (struct vfio_region_info){ .argsz = (uint32_t)size, .index = index };
	result = vfio_call(device->fd, VFIO_DEVICE_GET_REGION_INFO, (uintptr_t)region);
	if (result < 0)
		return error_system(error, -result, "VFIO_DEVICE_GET_REGION_INFO");
	/* A list of capabilities that does not fit was not written. */
	if (region->argsz > size)
		region->flags &= ~(uint32_t)VFIO_REGION_INFO_FLAG_CAPS;
	return 0;
}

int vfio_device_feature(const struct vfio_device *device, uint32_t what, struct vfio_feature *feature)
{
	feature->header.argsz = sizeof(*feature);
	feature->header.flags = what;
	return vfio_call(device->fd, VFIO_DEVICE_FEATURE, (uintptr_t)feature);
}
