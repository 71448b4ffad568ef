/* SPDX-License-Identifier: MIT */
/* Opening a disk and its overlay: locks, sizes, formats, and whether they are as they were. */
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

/*
 * Two VMs that write one image destroy it. A lock on the open file description holds as long as the
 * descriptor, in whichever process it is, and others that lock images (QEMU) honour it. File systems without
 * locks exist.
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
	if (!disk->is_device && !S_ISREG(stat.st_mode))
		return error_set(error, EINVAL, "disk %s is neither a file nor a block device", path);

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

/* A guest would write beyond the end of a disk that shrank, and never see what one that grew has more. */
static int check_size(const struct disk *disk, const struct virtio_block_config *config, struct error *error)
{
	if (!config->size || config->size == disk->size)
		return 0;
	return error_set(error, EINVAL, "disk %s has %" PRIu64 " bytes, but had %" PRIu64 " when the snapshot was taken",
			 config->path, disk->size, config->size);
}

/* A sentence about a disk that does not match: an error, or a warning where the user allowed it. */
static int refuse_change(const struct virtio_block_config *config, const struct log *log, struct error *error)
{
	if (!config->changed_allowed)
		return error_set(error, error->code, "%s; use the disk as it was then, or accept this one with "
				 "--disks-changed=allow", error->text);
	log_message(log, LOG_LEVEL_WARNING, "%s", error->text);
	return 0;
}

/* Once it is locked, and before anything is made or written. */
static int check_identity(int fd, const struct disk_identity *saved, const char *what, const struct virtio_block_config *config,
			  const struct log *log, struct error *error)
{
	struct disk_identity found;
	int result;

	if (!saved->known)
		return 0;
	result = disk_identity_take(fd, &found);
	if (result)
		return error_system(error, result, "reading %s", what);
	if (disk_identity_check(saved, &found, what, "the snapshot was saved", error) == 0)
		return 0;
	return refuse_change(config, log, error);
}

/* The overlay's blocks belong to what its base had when it was made: an overlay without a block takes any base. */
static int check_base(struct disk *disk, const struct virtio_block_config *config, const struct log *log, struct error *error)
{
	struct disk_identity *saved = &disk->overlay.base, found;
	char what[PATH_MAX + 16], event[PATH_MAX + 32];
	int result = disk_identity_take(disk->base_fd, &found);

	if (result)
		return error_system(error, result, "reading disk %s", config->path);
	if (!disk->overlay.begun) {
		*saved = found;
		return 0;
	}
	found.size = disk->size; /* whole sectors, which the overlay's end has compared */
	snprintf(what, sizeof(what), "disk %s", config->path);
	snprintf(event, sizeof(event), "overlay %s was made", config->overlay);
	if (disk_identity_check(saved, &found, what, event, error) == 0)
		return 0;
	return refuse_change(config, log, error);
}

/* A disk that a snapshot has was given to its guest as a raw one, whatever the guest wrote to it since. */
static int check_format(const struct disk *disk, const struct virtio_block_config *config, struct error *error)
{
	if (config->raw || config->size)
		return 0;
	return disk_format_check(disk->fd, disk->bytes, config->path, error);
}

static int open_overlay_file(const char *path, bool is_new, struct error *error)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | (is_new ? O_CREAT : 0), 0666);
	struct stat stat;

	if (fd < 0)
		return error_system(error, errno, "cannot open overlay %s", path);
	if (fstat(fd, &stat) < 0) {
		error_system(error, errno, "overlay %s", path);
	} else if (!S_ISREG(stat.st_mode)) {
		error_set(error, EINVAL, "overlay %s is no file", path);
	} else if (lock(fd, false, "overlay", path, error) < 0) {
		; /* it said why */
	} else if (is_new && stat.st_size > 0) {
		error_set(error, EEXIST, "overlay %s is there already, of another run: delete it, or choose another folder or name",
			  path);
	} else {
		return fd;
	}
	close(fd);
	return -1;
}

/* Over a disk that was opened for reading. */
static int put_overlay(struct disk *disk, const struct virtio_block_config *config, const struct log *log,
		       struct error *error)
{
	int fd = open_overlay_file(config->overlay, config->overlay_new, error);
	char what[PATH_MAX + 16];

	if (fd < 0)
		return -1;
	snprintf(what, sizeof(what), "overlay %s", config->overlay);
	if (!config->overlay_new && check_identity(fd, &config->overlay_identity, what, config, log, error) < 0) {
		close(fd);
		return -1;
	}
	if (disk_overlay_open(&disk->overlay, fd, disk->fd, disk->size, error) < 0) {
		close(fd);
		return error_context(error, "overlay %s", config->overlay);
	}
	disk->base_fd = disk->fd;
	disk->fd = fd;
	if (check_base(disk, config, log, error) < 0)
		return -1; /* the caller closes both */
	disk->is_device = disk->read_only = false;
	disk->physical_block = DISK_OVERLAY_BLOCK;
	return 0;
}

int disk_open(struct disk *disk, const struct virtio_block_config *config, const struct log *log, struct error *error)
{
	bool overlaid = config->overlay && !config->read_only;
	const char *path = config->path;
	char what[PATH_MAX + 16];

	disk->base_fd = -1;
	disk->overlay_path = overlaid ? config->overlay : NULL;
	disk->read_only = config->read_only || overlaid;
	/* A FIFO is not waited for. */
	disk->fd = open(path, (disk->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
	if (disk->fd < 0)
		return error_system(error, errno, "cannot open disk %s", path);
	snprintf(what, sizeof(what), "disk %s", path);
	if (measure(disk, path, error) < 0 || check_size(disk, config, error) < 0 ||
	    check_format(disk, config, error) < 0 || lock(disk->fd, disk->read_only, "disk", path, error) < 0 ||
	    check_identity(disk->fd, &config->identity, what, config, log, error) < 0 ||
	    (overlaid && put_overlay(disk, config, log, error) < 0)) {
		disk_close(disk);
		return -1;
	}
	return 0;
}

void disk_close(struct disk *disk)
{
	if (disk->base_fd >= 0) {
		disk_overlay_close(&disk->overlay);
		close(disk->base_fd);
	}
	if (disk->fd >= 0)
		close(disk->fd);
	disk->fd = disk->base_fd = -1;
}
