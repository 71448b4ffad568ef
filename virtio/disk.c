/* SPDX-License-Identifier: MIT */
#include "disk.h"
#include "disk_format.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

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
	int fd = open(path, O_RDWR | O_CLOEXEC | (is_new ? O_CREAT : 0), 0666);
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
	disk->fd = open(path, (disk->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
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

/* One buffer, the common case, saves the kernel from importing a vector. */
static ssize_t read_some(int fd, const struct iovec *iov, unsigned count, uint64_t offset)
{
	if (count == 1)
		return pread(fd, iov->iov_base, iov->iov_len, (off_t)offset);
	return preadv(fd, iov, (int)count, (off_t)offset);
}

static ssize_t write_some(int fd, const struct iovec *iov, unsigned count, uint64_t offset)
{
	if (count == 1)
		return pwrite(fd, iov->iov_base, iov->iov_len, (off_t)offset);
	return pwritev(fd, iov, (int)count, (off_t)offset);
}

/*
 * Goes on until everything is moved. A read that gives nothing has met the end of a file that shrank; a write
 * that takes nothing would never end.
 */
static int transfer(int fd, struct iovec *iov, unsigned count, uint64_t offset,
		    ssize_t (*some)(int fd, const struct iovec *iov, unsigned count, uint64_t offset))
{
	while (count > 0) {
		ssize_t done = some(fd, iov, count, offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? errno : EIO;
		offset += (uint64_t)done;
		while (count > 0 && (size_t)done >= iov->iov_len) {
			done -= (ssize_t)iov->iov_len;
			iov++;
			count--;
		}
		if (count > 0) {
			iov->iov_base = (uint8_t *)iov->iov_base + done;
			iov->iov_len -= (size_t)done;
		}
	}
	return 0;
}

/* So many bytes; *iov is behind them then. There are as many, and at least one. */
static int read_part(int fd, struct iovec **iov, uint64_t length, uint64_t offset)
{
	struct iovec *last = *iov, rest;
	int result;

	for (; length > last->iov_len; last++)
		length -= last->iov_len;
	rest = (struct iovec){ (uint8_t *)last->iov_base + length, last->iov_len - length };
	last->iov_len = length;
	result = transfer(fd, *iov, (unsigned)(last - *iov) + 1, offset, read_some);
	*last = rest;
	*iov = last;
	return result;
}

static uint64_t bytes_of(const struct iovec *iov, unsigned count)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < count; i++)
		bytes += iov[i].iov_len;
	return bytes;
}

int disk_read(struct disk *disk, struct iovec *iov, unsigned count, uint64_t offset)
{
	uint64_t length, end = offset + bytes_of(iov, count);
	int result = 0;

	if (disk->base_fd < 0)
		return transfer(disk->fd, iov, count, offset, read_some);
	for (; offset < end && result == 0; offset += length) {
		bool here;

		length = end - offset;
		here = disk_overlay_has(&disk->overlay, offset, &length);
		result = read_part(here ? disk->fd : disk->base_fd, &iov, length, offset);
	}
	return result;
}

int disk_write(struct disk *disk, struct iovec *iov, unsigned count, uint64_t offset)
{
	uint64_t length;
	int result;

	if (disk->base_fd < 0)
		return transfer(disk->fd, iov, count, offset, write_some);
	length = bytes_of(iov, count);
	if (length == 0)
		return 0;
	result = disk_overlay_prepare(&disk->overlay, offset, length);
	if (result == 0)
		result = transfer(disk->fd, iov, count, offset, write_some);
	if (result == 0)
		disk_overlay_mark(&disk->overlay, offset, length);
	return result;
}

int disk_flush(struct disk *disk)
{
	if (disk->base_fd >= 0)
		return disk_overlay_flush(&disk->overlay);
	return fdatasync(disk->fd) < 0 ? errno : 0;
}

int disk_settle(struct disk *disk)
{
	return disk->base_fd < 0 ? 0 : disk_overlay_record(&disk->overlay);
}

int disk_identify(const struct disk *disk, struct disk_identity *identity, struct disk_identity *overlay)
{
	int result = 0;

	*overlay = (struct disk_identity){ .known = false };
	if (disk->base_fd >= 0)
		result = disk_identity_take(disk->fd, overlay);
	if (result == 0)
		result = disk_identity_take(disk->base_fd >= 0 ? disk->base_fd : disk->fd, identity);
	return result;
}

static int try_ioctl(struct disk *disk, unsigned long request, uint64_t offset, uint64_t length)
{
	uint64_t range[2] = { offset, length };

	return ioctl(disk->fd, request, range) < 0 ? errno : 0;
}

static int try_fallocate(struct disk *disk, int mode, uint64_t offset, uint64_t length)
{
	int result;

	do {
		result = fallocate(disk->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length);
	} while (result < 0 && errno == EINTR);
	return result < 0 ? errno : 0;
}

/* What is the base's still takes no space that could be freed. */
static int discard_overlaid(struct disk *disk, uint64_t offset, uint64_t end)
{
	uint64_t length;
	int result = 0;

	for (; offset < end && result == 0; offset += length) {
		length = end - offset;
		if (disk_overlay_has(&disk->overlay, offset, &length))
			result = try_fallocate(disk, FALLOC_FL_PUNCH_HOLE, offset, length);
	}
	return result;
}

int disk_discard(struct disk *disk, uint64_t offset, uint64_t length)
{
	if (disk->base_fd >= 0)
		return discard_overlaid(disk, offset, offset + length);
	if (disk->is_device)
		return try_ioctl(disk, BLKDISCARD, offset, length);
	return try_fallocate(disk, FALLOC_FL_PUNCH_HOLE, offset, length);
}

static int write_zeroes_by_hand(struct disk *disk, uint64_t offset, uint64_t length)
{
	uint8_t zeroes[4096] = { 0 };

	while (length > 0) {
		struct iovec iov[64];
		unsigned count = 0;
		uint64_t bytes = 0;
		int result;

		while (count < sizeof(iov) / sizeof(iov[0]) && bytes < length) {
			uint64_t part = length - bytes < sizeof(zeroes) ? length - bytes : sizeof(zeroes);

			iov[count++] = (struct iovec){ .iov_base = zeroes, .iov_len = part };
			bytes += part;
		}
		result = transfer(disk->fd, iov, count, offset, write_some);
		if (result)
			return result;
		offset += bytes;
		length -= bytes;
	}
	return 0;
}

static int write_zeroes(struct disk *disk, uint64_t offset, uint64_t length, bool unmap)
{
	int result = EOPNOTSUPP;

	if (disk->is_device) {
		result = try_ioctl(disk, BLKZEROOUT, offset, length);
	} else {
		if (unmap)
			result = try_fallocate(disk, FALLOC_FL_PUNCH_HOLE, offset, length);
		if (result == EOPNOTSUPP)
			result = try_fallocate(disk, FALLOC_FL_ZERO_RANGE, offset, length);
	}
	/* Neither every file system nor every driver has a short way; and none for every alignment. */
	if (result == EOPNOTSUPP || result == EINVAL || result == ENOTTY)
		result = write_zeroes_by_hand(disk, offset, length);
	return result;
}

int disk_write_zeroes(struct disk *disk, uint64_t offset, uint64_t length, bool unmap)
{
	int result = disk->base_fd < 0 ? 0 : disk_overlay_prepare(&disk->overlay, offset, length);

	if (result == 0)
		result = write_zeroes(disk, offset, length, unmap);
	if (result == 0 && disk->base_fd >= 0)
		disk_overlay_mark(&disk->overlay, offset, length);
	return result;
}
