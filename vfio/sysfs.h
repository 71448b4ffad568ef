/* SPDX-License-Identifier: MIT */
/* A device to pass through, as the host's sysfs has it. */
#ifndef LKVM_VFIO_SYSFS_H
#define LKVM_VFIO_SYSFS_H

#include "vfio/vfio.h"

struct vfio_found {
	char group[16];  /* number of its IOMMU group */
	char device[32]; /* "vfio0": its own file in /dev/vfio/devices; "" if the host has none */
};

extern const struct vfio_paths vfio_host_paths;

/* Whether it is a mediated device: its address is a UUID. */
bool vfio_is_mediated(const char *address);

/* If the device cannot be passed through, the error describes what to do. */
int vfio_sysfs_find(const struct vfio_paths *paths, const char *address, struct vfio_found *found, struct error *error);

/* Sets an error that names the device because of which the group cannot be used. Always -1. */
int vfio_sysfs_report_group(const struct vfio_paths *paths, const char *address, const char *group, struct error *error);

#endif
