/* SPDX-License-Identifier: MIT */
/* What the host's sysfs says of a device that is to be passed through. */
#ifndef LKVM_VFIO_SYSFS_H
#define LKVM_VFIO_SYSFS_H

#include "vfio/vfio.h"

struct vfio_found {
	char group[16];    /* the number of its IOMMU group */
	char device[32];   /* "vfio0": its file of its own (/dev/vfio/devices); "" where the host has none */
};

extern const struct vfio_paths vfio_host_paths;

/* One that a driver makes: its address is a UUID. */
bool vfio_is_mediated(const char *address);

/* Fails with what to do where it cannot be passed through. */
int vfio_sysfs_find(const struct vfio_paths *paths, const char *address, struct vfio_found *found, struct error *error);

/* Which device of the group keeps the group from being used; always -1. */
int vfio_sysfs_report_group(const struct vfio_paths *paths, const char *address, const char *group, struct error *error);

#endif
