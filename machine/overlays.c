/* SPDX-License-Identifier: MIT */
/* New overlays for the disks of a running machine: created before the pause, put over the disks in it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine/machine.h"

static void format_name(const struct machine *machine, unsigned index, char name[NAME_MAX + 1])
{
	snprintf(name, NAME_MAX + 1, MACHINE_OVERLAY_NAME, machine->config.name, index);
}

static int create(const struct machine *machine, struct machine_overlays *overlays, unsigned index, struct error *error)
{
	char name[NAME_MAX + 1];
	int fd;

	format_name(machine, index, name);
	fd = openat(overlays->folder_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST)
		return error_set(error, EEXIST, "overlay %s already exists: choose another folder", name);
	if (fd < 0)
		return error_system(error, errno, "cannot make overlay %s", name);
	overlays->prepared[index] = virtio_block_prepare(machine->virtio[index], fd, error);
	if (overlays->prepared[index])
		return 0;
	unlinkat(overlays->folder_fd, name, 0);
	close(fd);
	return error_context(error, "disk %s", machine->config.disks[index].path);
}

void machine_overlays_open(struct machine_overlays *overlays, int folder_fd)
{
	*overlays = (struct machine_overlays){ .folder_fd = folder_fd };
}

int machine_overlays_create(const struct machine *machine, struct machine_overlays *overlays, struct error *error)
{
	bool any = false;

	if (overlays->folder_fd < 0)
		return 0;
	for (unsigned i = 0; i < machine->config.disk_count; i++) {
		if (machine->config.disks[i].read_only)
			continue;
		any = true;
		if (create(machine, overlays, i, error) < 0)
			return -1;
	}
	if (!any)
		return error_set(error, EINVAL, "the guest has no writable disk, and needs no overlays");
	/* The files must exist after a power loss once the guest has flushed. Some file systems cannot sync a folder (EINVAL). */
	if (fsync(overlays->folder_fd) < 0 && errno != EINVAL)
		return error_system(error, errno, "the folder for the overlays");
	return 0;
}

void machine_overlays_switch(struct machine *machine, struct machine_overlays *overlays)
{
	for (unsigned i = 0; overlays->folder_fd >= 0 && i < machine->config.disk_count; i++) {
		if (!overlays->prepared[i])
			continue;
		/* The configuration lists them, too, so that no save replaces them. */
		machine_config_push_overlay(&machine->config.disks[i],
					    virtio_block_switch(machine->virtio[i], overlays->prepared[i]));
		overlays->prepared[i] = NULL;
		overlays->switched = true;
	}
}

void machine_overlays_close(const struct machine *machine, struct machine_overlays *overlays)
{
	char name[NAME_MAX + 1];

	if (overlays->folder_fd < 0)
		return;
	for (unsigned i = 0; i < MACHINE_MAX_DISKS; i++) {
		if (!overlays->prepared[i])
			continue;
		format_name(machine, i, name);
		unlinkat(overlays->folder_fd, name, 0);
		virtio_block_close_overlay(overlays->prepared[i]);
		overlays->prepared[i] = NULL;
	}
	close(overlays->folder_fd);
	overlays->folder_fd = -1;
}
