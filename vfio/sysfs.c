/* SPDX-License-Identifier: MIT */
/* Finds a device to pass through in the host's sysfs, and describes what to do if it cannot be passed through. */
#include "sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct vfio_paths vfio_host_paths = { .sys = "/sys", .dev = "/dev" };

bool vfio_is_mediated(const char *address)
{
	return !strchr(address, ':');
}

/* The path of a device in sysfs, with `name` appended. */
static void device_path(const struct vfio_paths *paths, const char *address, const char *name, char path[PATH_MAX])
{
	const char *bus = vfio_is_mediated(address) ? "mdev" : "pci";

	snprintf(path, PATH_MAX, "%s/bus/%s/devices/%s%s", paths->sys, bus, address, name);
}

/* The last part of the target of a device's link. False: there is no link. */
static bool link_name(const struct vfio_paths *paths, const char *address, const char *link, char *name, size_t size)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t length;
	char *last;

	device_path(paths, address, link, path);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	last = strrchr(target, '/');
	snprintf(name, size, "%.*s", (int)size - 1, last ? last + 1 : target);
	return true;
}

/* The first entry of a folder whose name does not begin with a dot. False: there is none, or no folder. */
static bool first_entry(const char *path, char *name, size_t size)
{
	DIR *folder = opendir(path);
	bool found = false;

	if (!folder)
		return false;
	for (const struct dirent *entry; !found && (entry = readdir(folder));) {
		found = entry->d_name[0] != '.';
		if (found)
			snprintf(name, size, "%.*s", (int)size - 1, entry->d_name);
	}
	closedir(folder);
	return found;
}

static bool has_iommu(const struct vfio_paths *paths)
{
	char path[PATH_MAX], name[NAME_MAX + 1];

	snprintf(path, sizeof(path), "%s/class/iommu", paths->sys);
	return first_entry(path, name, sizeof(name));
}

/* Some vendors have drivers that do what vfio-pci does: mlx5_vfio_pci, hisi-acc-vfio-pci. */
static bool is_vfio(const char *driver)
{
	return strstr(driver, "vfio") != NULL;
}

static int check_driver(const struct vfio_paths *paths, const char *address, struct error *error)
{
	char driver[64] = "", path[128], unbind[256] = "";

	if (link_name(paths, address, "/driver", driver, sizeof(driver)) && is_vfio(driver))
		return 0;
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", paths->sys, address);
	if (driver[0])
		snprintf(unbind, sizeof(unbind), "echo %s >%s/driver/unbind; ", address, path);
	return error_set(error, EBUSY, "%s%s is bound to it, not vfio-pci; bind vfio-pci with: modprobe vfio-pci; echo vfio-pci "
			 ">%s/driver_override; %secho %s >%s/bus/pci/drivers_probe", driver[0] ? "the host's driver " :
			 "no driver of the host", driver, path, unbind, address, paths->sys);
}

static int find_mediated(const struct vfio_paths *paths, const char *address, struct vfio_found *found, struct error *error)
{
	char path[PATH_MAX];

	device_path(paths, address, "", path);
	if (access(path, F_OK) < 0)
		return error_set(error, ENODEV, "the host has no such mediated device; if a driver offers some, create one with: "
				 "echo %s >%s/class/mdev_bus/PARENT/mdev_supported_types/TYPE/create", address, paths->sys);
	/*
	 * The driver that made it is its only driver. It has a group as long as it is bound, and cannot be
	 * bound again.
	 */
	if (link_name(paths, address, "/iommu_group", found->group, sizeof(found->group)))
		return 0;
	return error_set(error, ENODEV, "its driver released it permanently; create it again after this command: echo 1 "
			 ">%s/bus/mdev/devices/%s/remove", paths->sys, address);
}

static int find_real(const struct vfio_paths *paths, const char *address, struct vfio_found *found, struct error *error)
{
	char path[PATH_MAX];

	device_path(paths, address, "", path);
	if (access(path, F_OK) < 0)
		return error_set(error, ENODEV, "the host has no such PCI device (ls %s/bus/pci/devices)", paths->sys);
	if (!has_iommu(paths))
		return error_set(error, ENODEV, "this host has no IOMMU, or its firmware switches it off: the device could access "
				 "all of the host's memory");
	if (check_driver(paths, address, error) < 0)
		return -1;
	if (!link_name(paths, address, "/iommu_group", found->group, sizeof(found->group)))
		return error_set(error, ENODEV, "it is not behind an IOMMU: it could access all of the host's memory");
	return 0;
}

int vfio_sysfs_find(const struct vfio_paths *paths, const char *address, struct vfio_found *found, struct error *error)
{
	char path[PATH_MAX];
	int result;

	*found = (struct vfio_found){ 0 };
	if (vfio_is_mediated(address))
		result = find_mediated(paths, address, found, error);
	else
		result = find_real(paths, address, found, error);
	if (result < 0)
		return -1;
	device_path(paths, address, "/vfio-dev", path);
	first_entry(path, found->device, sizeof(found->device));
	return 0;
}

int vfio_sysfs_report_group(const struct vfio_paths *paths, const char *address, const char *group, struct error *error)
{
	char path[PATH_MAX], driver[64];
	DIR *folder;

	error_set(error, EPERM, "its IOMMU group %s is shared with a device that the host uses", group);
	snprintf(path, sizeof(path), "%s/kernel/iommu_groups/%s/devices", paths->sys, group);
	folder = opendir(path);
	if (!folder)
		return -1;
	for (const struct dirent *entry; (entry = readdir(folder));) {
		const char *other = entry->d_name;

		if (other[0] == '.' || !strcmp(other, address) ||
		    !link_name(paths, other, "/driver", driver, sizeof(driver)) || is_vfio(driver))
			continue;
		error_set(error, EPERM, "its IOMMU group %s is shared with %s, which the host's driver %s uses: the IOMMU cannot "
			  "separate them, so bind that device to vfio-pci, too", group, other, driver);
		break;
	}
	closedir(folder);
	return -1;
}
