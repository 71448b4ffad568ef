/* SPDX-License-Identifier: MIT */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Two VMs that write one image destroy it. A lock on the open file description holds as long as the
 * descriptor, in whichever process it is, and others that lock images (QEMU) honour it. File systems without
 * locks exist.
 */
static int lock(struct disk *disk, const char *path, struct error *error)
{
	struct flock whole = { .l_type = disk->read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(disk->fd, F_OFD_SETLK, &whole) < 0 && (errno == EAGAIN || errno == EACCES))
		return error_set(error, EBUSY, disk->read_only ? "disk %s is being written by another VM" :
				 "disk %s is in use by another VM", path);
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

int disk_open(struct disk *disk, const char *path, bool read_only, struct error *error)
{
	disk->read_only = read_only;
	disk->fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (disk->fd < 0)
		return error_system(error, errno, "cannot open disk %s", path);
	if (measure(disk, path, error) < 0 || lock(disk, path, error) < 0) {
		disk_close(disk);
		return -1;
	}
	return 0;
}

void disk_close(struct disk *disk)
{
	if (disk->fd >= 0)
		close(disk->fd);
	disk->fd = -1;
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

int disk_read(struct disk *disk, struct iovec *iov, unsigned count, uint64_t offset)
{
	return transfer(disk->fd, iov, count, offset, read_some);
}

int disk_write(struct disk *disk, struct iovec *iov, unsigned count, uint64_t offset)
{
	return transfer(disk->fd, iov, count, offset, write_some);
}

int disk_flush(struct disk *disk)
{
	return fdatasync(disk->fd) < 0 ? errno : 0;
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

int disk_discard(struct disk *disk, uint64_t offset, uint64_t length)
{
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
		result = disk_write(disk, iov, count, offset);
		if (result)
			return result;
		offset += bytes;
		length -= bytes;
	}
	return 0;
}

int disk_write_zeroes(struct disk *disk, uint64_t offset, uint64_t length, bool unmap)
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
