/* SPDX-License-Identifier: MIT */
/* Opens a disk and its overlays: locks them, and checks sizes, formats and identities. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "disk_format.h"
#include "util/file.h"

/*
 * Two VMs that write one image destroy it. A lock of the open file description lasts as long as its descriptors, in any
 * process. QEMU also honours such locks. Some file systems have no locks.
 */
static int lock(int fd, bool read_only, const char *what, const char *path, struct error *error)
{
	struct flock whole = { .l_type = read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_SETLK, &whole) < 0 && (errno == EAGAIN || errno == EACCES))
		return error_set(error, EBUSY, read_only ? "%s %s is being written by another VM" :
				 "%s %s is in use by another VM", what, path);
	return 0;
}

static int measure(struct disk *disk, const char *path, struct error *error)
{
	unsigned int block = 0;
	struct stat stat;

	if (fstat(disk->fd, &stat) < 0)
		return error_system(error, errno, "disk %s", path);
	disk->is_device = S_ISBLK(stat.st_mode);
	disk->size = (uint64_t)stat.st_size;
	if (disk->is_device && ioctl(disk->fd, BLKGETSIZE64, &disk->size) < 0)
		return error_system(error, errno, "size of disk %s", path);
	disk->bytes = disk->size;
	disk->size -= disk->size % DISK_SECTOR;
	if (disk->size == 0)
		return error_set(error, EINVAL, "disk %s is smaller than one sector of %u bytes", path,
				 DISK_SECTOR);

	if (!disk->is_device)
		block = (unsigned int)stat.st_blksize;
	else if (ioctl(disk->fd, BLKPBSZGET, &block) < 0)
		block = DISK_SECTOR;
	disk->physical_block = DISK_SECTOR;
	while (disk->physical_block < block && disk->physical_block < 65536)
		disk->physical_block *= 2;
	return 0;
}

/* A guest would write after the end of a disk that shrank, and not use the rest of a disk that grew. */
static int check_size(const struct disk *disk, const struct virtio_block_config *config, struct error *error)
{
	if (!config->size || config->size == disk->size)
		return 0;
	return error_set(error, EINVAL, "disk %s has %" PRIu64 " bytes, but had %" PRIu64 " when the snapshot was taken",
			 config->path, disk->size, config->size);
}

/* A disk does not match: keeps the error, or logs it as a warning if the user allowed that. */
static int refuse_change(bool allowed, const struct log *log, struct error *error)
{
	if (!allowed)
		return error_set(error, error->code, "%s; use the disk as it was then, or accept this one with "
				 "--disks-changed=allow", error->text);
	log_message(log, LOG_LEVEL_WARNING, "%s", error->text);
	return 0;
}

/* Call it after the file is locked, and before anything is made or written. */
static int check_identity(int fd, const struct disk_identity *saved, const char *what, bool allowed, const struct log *log,
			  struct error *error)
{
	struct disk_identity found;
	int result;

	if (!saved->known)
		return 0;
	result = disk_identity_compute(fd, &found);
	if (result)
		return error_system(error, result, "reading %s", what);
	if (disk_identity_check(saved, &found, what, "the snapshot was saved", error) < 0)
		return refuse_change(allowed, log, error);
	if (!found.modified)
		log_message(log, LOG_LEVEL_WARNING, "%s is a block device, without a time: only %u of its blocks were compared with "
			    "those at the save", what, DISK_IDENTITY_BLOCKS);
	return 0;
}

/*
 * The overlay's blocks belong to what was below it when it was made: the nearest overlay that has a block, or
 * the disk. An overlay without blocks fits any disk.
 */
static int check_base(const struct disk *disk, struct disk_overlay *overlay, const struct virtio_block_config *config,
		      const struct log *log, struct error *error)
{
	const struct disk_overlay *lower = disk_overlay_find_base(overlay);
	char what[PATH_MAX + 16], event[PATH_MAX + 32];
	struct disk_identity found;
	int result = disk_identity_compute(lower ? lower->fd : disk->fd, &found);

	snprintf(what, sizeof(what), "%s %s", lower ? "overlay" : "disk", lower ? lower->path : config->path);
	if (result)
		return error_system(error, result, "reading %s", what);
	found.size = disk->size; /* in whole sectors; the overlay's footer was compared already */
	if (!overlay->begun) {
		overlay->base = found;
		return 0;
	}
	snprintf(event, sizeof(event), "overlay %s was made", overlay->path);
	if (disk_identity_check(&overlay->base, &found, what, event, error) == 0)
		return 0;
	return refuse_change(config->changed_allowed || (!lower && config->chosen), log, error);
}

/* Not for a disk of a snapshot: it was raw when the guest got it, whatever the guest wrote to it since. */
static int check_format(const struct disk *disk, const struct virtio_block_config *config, struct error *error)
{
	if (config->raw || config->size)
		return 0;
	return disk_format_check(disk->fd, disk->bytes, config->path, error);
}

/*
 * Opens the overlay, or makes it. A link is refused, because another user may have put it there. A new overlay may exist if it
 * is empty, as a start that failed leaves it.
 */
static int open_overlay(const char *path, int flags, bool is_new)
{
	int fd = -1;

	flags |= O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW;
	if (is_new)
		fd = open(path, flags | O_CREAT | O_EXCL, 0600);
	return is_new && (fd >= 0 || errno != EEXIST) ? fd : open(path, flags);
}

static int open_overlay_file(const char *path, int flags, bool is_new, struct error *error)
{
	int fd = open_overlay(path, flags, is_new);
	struct stat stat;

	if (fd < 0 && errno == ELOOP)
		return error_set(error, ELOOP, "overlay %s is a symbolic link, which lkvm does not follow", path);
	if (fd < 0)
		return error_system(error, errno, "cannot open overlay %s", path);
	if (fstat(fd, &stat) < 0) {
		error_system(error, errno, "overlay %s", path);
	} else if (!S_ISREG(stat.st_mode)) {
		error_set(error, EINVAL, "overlay %s is not a file", path);
	} else if (lock(fd, flags == O_RDONLY, "overlay", path, error) < 0) {
		; /* the error is set */
	} else if (is_new && (stat.st_size > 0 || stat.st_uid != geteuid() || stat.st_nlink != 1)) {
		error_set(error, EEXIST, "overlay %s already exists, from another run: delete it, or choose another folder or name",
			  path);
	} else {
		return fd;
	}
	close(fd);
	return -1;
}

/* Adds an overlay above what the disk has. `identity`: that in the snapshot, or NULL. */
static int add_overlay(struct disk *disk, const char *path, int fd, const struct disk_identity *identity,
		       const struct virtio_block_config *config, const struct log *log, struct error *error)
{
	struct disk_overlay *overlay = NULL;
	char what[PATH_MAX + 16];

	if (fd < 0)
		return -1;
	snprintf(what, sizeof(what), "overlay %s", path);
	if (!identity || check_identity(fd, identity, what, config->changed_allowed, log, error) == 0) {
		overlay = disk_overlay_open(fd, path, disk->size, error);
		if (!overlay)
			error_context(error, "overlay %s", path);
	}
	if (!overlay) {
		close(fd);
		return -1;
	}
	disk_overlay_stack(overlay, disk->fd, disk->overlay);
	disk->overlay = overlay; /* disk_close() closes it if the check fails */
	return check_base(disk, overlay, config, log, error);
}

/* Adds the overlays from the lowest up. Only the highest is written. */
static int add_overlays(struct disk *disk, const struct virtio_block_config *config, const struct log *log,
			struct error *error)
{
	for (unsigned i = 0; i < VIRTIO_BLOCK_LOWER && config->lower[i]; i++)
		if (add_overlay(disk, config->lower[i], open_overlay_file(config->lower[i], O_RDONLY, false, error),
				&config->lower_identities[i], config, log, error) < 0)
			return -1;
	if (add_overlay(disk, config->overlay, open_overlay_file(config->overlay, O_RDWR, config->overlay_new, error),
			config->overlay_new ? NULL : &config->overlay_identity, config, log, error) < 0)
		return -1;
	disk->is_device = disk->read_only = false;
	disk->physical_block = DISK_OVERLAY_BLOCK;
	return 0;
}

int disk_open(struct disk *disk, const struct virtio_block_config *config, const struct log *log, struct error *error)
{
	bool overlaid = config->overlay && !config->read_only;
	const char *path = config->path;
	char what[PATH_MAX + 16];

	disk->overlay = NULL;
	atomic_init(&disk->sync_error, 0);
	disk->read_only = config->read_only || overlaid;
	disk->fd = file_open_image(path, disk->read_only ? O_RDONLY : O_RDWR);
	if (disk->fd == -EINVAL)
		return error_set(error, EINVAL, "disk %s is neither a file nor a block device", path);
	if (disk->fd < 0)
		return error_system(error, -disk->fd, "cannot open disk %s", path);
	snprintf(what, sizeof(what), "disk %s", path);
	if (measure(disk, path, error) < 0 || check_size(disk, config, error) < 0 ||
	    check_format(disk, config, error) < 0 || lock(disk->fd, disk->read_only, "disk", path, error) < 0 ||
	    check_identity(disk->fd, &config->identity, what, config->changed_allowed || config->chosen, log, error) < 0 ||
	    (overlaid && add_overlays(disk, config, log, error) < 0)) {
		disk_close(disk);
		return -1;
	}
	return 0;
}

void disk_close(struct disk *disk)
{
	disk_overlay_close(disk->overlay);
	disk->overlay = NULL;
	if (disk->fd >= 0)
		close(disk->fd);
	disk->fd = -1;
}
