/* SPDX-License-Identifier: MIT */
/* A new overlay for a disk in use: prepared while the guest runs, and added while it is paused. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "disk.h"

struct disk_overlay *disk_prepare(const struct disk *disk, int fd, const char *path, struct error *error)
{
	struct flock writes = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct disk_overlay *overlay;

	if (disk_overlay_depth(disk->overlay) > VIRTIO_BLOCK_LOWER) {
		error_set(error, EMLINK, "it has %u overlays already, and cannot have more", VIRTIO_BLOCK_LOWER + 1);
		return NULL;
	}
	if (fcntl(fd, F_OFD_SETLK, &writes) < 0 && (errno == EAGAIN || errno == EACCES)) {
		error_set(error, EBUSY, "overlay %s is in use by another VM", path);
		return NULL;
	}
	overlay = disk_overlay_open(fd, path, disk->size, error);
	if (!overlay) {
		error_context(error, "overlay %s", path);
		return NULL;
	}
	if (disk_overlay_reserve(overlay, error) == 0)
		return overlay;
	error_context(error, "overlay %s", path);
	overlay->fd = -1; /* stays the caller's */
	disk_overlay_close(overlay);
	return NULL;
}

void disk_switch(struct disk *disk, struct disk_overlay *overlay)
{
	struct flock reads = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	const struct disk_overlay *lower;

	disk_overlay_stack(overlay, disk->fd, disk->overlay);
	lower = disk_overlay_find_base(overlay);
	/* After a failure the overlay has no identity of what is below it. The save has warned about that. */
	(void)disk_identity_compute(lower ? lower->fd : disk->fd, &overlay->base);
	overlay->over_unsynced = true;
	overlay->failed = disk->overlay ? disk->overlay->failed : 0;
	/* The file is not written any more, and others may read it. A file system may have no locks. */
	(void)fcntl(disk->overlay ? disk->overlay->fd : disk->fd, F_OFD_SETLK, &reads);
	disk->overlay = overlay;
	disk->is_device = false;
}
