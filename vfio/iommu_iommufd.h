/* SPDX-License-Identifier: MIT */
/* Parts of include/uapi/linux/iommufd.h and vfio.h (Linux 6.2, 6.6), which older headers lack. */
#ifndef LKVM_VFIO_IOMMU_IOMMUFD_H
#define LKVM_VFIO_IOMMU_IOMMUFD_H

#include <linux/ioctl.h>
#include <stdint.h>

struct iommufd_allocate {
	uint32_t size, flags;
	uint32_t id; /* out */
};
#define IOMMUFD_ALLOCATE _IO(';', 0x81) /* IOMMU_IOAS_ALLOC */

struct iommufd_map {
	uint32_t size;
#define IOMMUFD_MAP_FIXED 1u
#define IOMMUFD_MAP_WRITABLE 2u
#define IOMMUFD_MAP_READABLE 4u
	uint32_t flags, id, reserved;
	uint64_t host, length, address;
};
#define IOMMUFD_MAP _IO(';', 0x85) /* IOMMU_IOAS_MAP */

struct vfio_bind_iommufd {
	uint32_t size, flags;
	int32_t iommufd;
	uint32_t id; /* out */
};
#define VFIO_BIND_IOMMUFD _IO(';', 118)

struct vfio_attach_iommufd {
	uint32_t size, flags;
	uint32_t id; /* in: the address space */
};
#define VFIO_ATTACH_IOMMUFD _IO(';', 119)

#endif
