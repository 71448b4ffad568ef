/* SPDX-License-Identifier: MIT */
/* Parts of include/uapi/linux/vfio.h, "VFIO_DEVICE_FEATURE_MIGRATION" (Linux 6.2), which older headers lack. */
#ifndef LKVM_VFIO_MIGRATION_ABI_H
#define LKVM_VFIO_MIGRATION_ABI_H

#include <linux/vfio.h>

#ifndef VFIO_MIGRATION_PRE_COPY
#define VFIO_MIGRATION_PRE_COPY (1 << 2)
#define VFIO_DEVICE_STATE_PRE_COPY 6
#define VFIO_DEVICE_STATE_PRE_COPY_P2P 7
#endif

/* A feature's request with its data. */
struct vfio_feature {
	struct vfio_device_feature header;
	union {
		struct vfio_device_feature_migration migration;
		struct vfio_device_feature_mig_state state;
		struct vfio_device_feature_dma_logging_control logging;
		struct vfio_device_feature_dma_logging_report report;
	};
};

#endif
