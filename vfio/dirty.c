/* SPDX-License-Identifier: MIT */
/* Tracks what devices write to RAM, if they can track it themselves. Kernel: VFIO_DEVICE_FEATURE_DMA_LOGGING_START. */
#include <stdlib.h>

#include "device.h"
#include "migration_abi.h"

bool vfio_device_dirty_start(struct vfio_device *device)
{
	const struct ram *ram = &device->vm->ram;
	struct vfio_device_feature_dma_logging_range range = { .iova = ram->base, .length = ram->size };
	struct vfio_feature feature = {
		.logging = { .page_size = RAM_MARK, .num_ranges = 1, .ranges = (uintptr_t)&range },
	};

	if (!device->is_logged)
		device->is_logged = vfio_device_feature(device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
							&feature) >= 0;
	return device->is_logged;
}

void vfio_device_dirty_stop(struct vfio_device *device)
{
	struct vfio_feature feature = { 0 };

	if (device->is_logged)
		vfio_device_feature(device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, &feature);
	device->is_logged = false;
}

void vfio_device_dirty_mark(struct vfio_device *device)
{
	const struct ram *ram = &device->vm->ram;
	uint64_t chunks = (ram->size + RAM_MARK - 1) / RAM_MARK;
	uint64_t *bitmap = calloc((chunks + 63) / 64, sizeof(*bitmap));
	struct vfio_feature feature = {
		.report = { .iova = ram->base, .length = ram->size, .page_size = RAM_MARK, .bitmap = (uintptr_t)bitmap },
	};
	bool known = bitmap && vfio_device_feature(device, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
						   &feature) >= 0;

	/* If the log cannot be read, everything may have been written. */
	for (uint64_t i = 0; i < chunks; i++)
		if (!known || bitmap[i / 64] >> i % 64 & 1)
			ram_mark(ram, ram->host + i * RAM_MARK, 1);
	free(bitmap);
}
