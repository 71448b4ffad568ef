/* SPDX-License-Identifier: MIT */
/*
 * The IOMMU of a machine. It maps guest RAM at its guest physical addresses for all passed-through devices. The
 * kernel has two interfaces: iommufd (a file a device), which is preferred, and containers with groups.
 */
#ifndef LKVM_VFIO_IOMMU_H
#define LKVM_VFIO_IOMMU_H

#include "vfio/vfio.h"

struct vfio_found;

struct vfio_iommu {
	const struct vfio_paths *paths;
	const struct vm *vm;
	int fd;     /* a container, or an iommufd */
	int kvm_fd; /* KVM's VFIO device, with which groups and devices are registered */
	uint32_t addresses; /* ID of the iommufd's address space */
	unsigned group_count;
	struct vfio_group {
		char number[16];
		int fd;
	} groups[VFIO_MAX_DEVICES];
	const struct vfio_iommu_way *way;
};

struct vfio_iommu_way {
	int (*open)(struct vfio_iommu *iommu, struct error *error);
	/* Maps RAM, if it is not. Returns the device's descriptor, or -1. */
	int (*attach)(struct vfio_iommu *iommu, const char *address, const struct vfio_found *found, struct error *error);
};

extern const struct vfio_iommu_way vfio_by_group, vfio_by_iommufd;

/* Chooses the interface that the first device has. */
int vfio_iommu_open(struct vfio_iommu *iommu, const struct vfio_paths *paths, struct vm *vm, const char *first,
		    struct error *error);
int vfio_iommu_attach(struct vfio_iommu *iommu, const char *address, struct error *error);
void vfio_iommu_close(struct vfio_iommu *iommu);

/*
 * iommu_common.c, for both interfaces. Opens a file below paths->dev. Registers a group or a device with KVM.
 * Sets an error for RAM that cannot be mapped, and returns -1.
 */
int vfio_iommu_open_file(const struct vfio_iommu *iommu, const char *name, struct error *error);
int vfio_iommu_register(const struct vfio_iommu *iommu, int fd, struct error *error);
int vfio_iommu_report_unmapped(const struct vfio_iommu *iommu, int code, struct error *error);

#endif
