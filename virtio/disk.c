/* SPDX-License-Identifier: MIT */
/* Reads, writes, flushes and discards of a disk. virtio/disk_open.c opens and closes it. */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/bits.h"

/* One buffer, the common case, saves the kernel from importing a vector. */
static ssize_t disk_read_some(int fd, const struct iovec *iov, unsigned count, uint64_t offset)
{
	if (count == 1)
		return pread(fd, iov->iov_base, iov->iov_len, (off_t)offset);
	return preadv(fd, iov, (int)count, (off_t)offset);
}

static ssize_t disk_write_some(int fd, const struct iovec *iov, unsigned count, uint64_t offset)
{
	if (count == 1)
		return pwrite(fd, iov->iov_base, iov->iov_len, (off_t)offset);
	return pwritev(fd, iov, (int)count, (off_t)offset);
}

/*
 * Repeats until all bytes are transferred. A read of nothing is at the end of a file that shrank, and a write
 * of nothing would repeat for ever: both are EIO.
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

/* The file that is written. */
static int written_fd(const struct disk *disk)
{
	return disk->overlay ? disk->overlay->fd : disk->fd;
}

/* Reads `length` bytes, at least one, and moves *iov after them. The iovecs have as many. */
static int read_part(int fd, struct iovec **iov, uint64_t length, uint64_t offset)
{
	struct iovec *last = *iov, rest;
	int result;

	for (; length > last->iov_len; last++)
		length -= last->iov_len;
	rest = (struct iovec){ (uint8_t *)last->iov_base + length, last->iov_len - length };
	last->iov_len = length;
	result = transfer(fd, *iov, (unsigned)(last - *iov) + 1, offset, disk_read_some);
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

	if (!disk->overlay)
		return transfer(disk->fd, iov, count, offset, disk_read_some);
	for (; offset < end && result == 0; offset += length) {
		int fd;

		length = end - offset;
		fd = disk_overlay_find_fd(disk->overlay, offset, &length);
		result = read_part(fd, &iov, length, offset);
	}
	return result;
}

int disk_write(struct disk *disk, struct iovec *iov, unsigned count, uint64_t offset)
{
	uint64_t length;
	int result;

	if (!disk->overlay)
		return transfer(disk->fd, iov, count, offset, disk_write_some);
	length = bytes_of(iov, count);
	if (length == 0)
		return 0;
	result = disk_overlay_prepare(disk->overlay, offset, length);
	if (result == 0)
		result = transfer(disk->overlay->fd, iov, count, offset, disk_write_some);
	if (result == 0)
		disk_overlay_mark(disk->overlay, offset, length);
	return result;
}

/* The kernel reports an error only once for an open file. If disk_sync() got it, the guest gets it here. */
int disk_flush(struct disk *disk)
{
	int result = disk->overlay ? disk_overlay_flush(disk->overlay) : fdatasync(disk->fd) < 0 ? errno : 0;
	int lost = atomic_exchange(&disk->sync_error, 0);

	return result ? result : lost;
}

int disk_record_map(struct disk *disk)
{
	return !disk->overlay ? 0 : disk_overlay_record(disk->overlay);
}

int disk_sync(struct disk *disk)
{
	int result = !disk->read_only && fsync(disk->fd) < 0 ? errno : 0;

	for (const struct disk_overlay *overlay = disk->overlay; overlay; overlay = overlay->lower)
		if (fsync(overlay->fd) < 0 && result == 0)
			result = errno;
	if (result)
		atomic_store(&disk->sync_error, result);
	return result;
}

int disk_identify(const struct disk *disk, struct virtio_block_config *config)
{
	const struct disk_overlay *lower = disk->overlay ? disk->overlay->lower : NULL;
	int result = disk_identity_compute(disk->fd, &config->identity);

	config->overlay_identity = (struct disk_identity){ .known = false };
	if (disk->overlay && result == 0)
		result = disk_identity_compute(disk->overlay->fd, &config->overlay_identity);
	for (unsigned index = disk_overlay_depth(lower); lower && result == 0; lower = lower->lower)
		result = disk_identity_compute(lower->fd, &config->lower_identities[--index]);
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
		result = fallocate(written_fd(disk), mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length);
	} while (result < 0 && errno == EINTR);
	return result < 0 ? errno : 0;
}

/* Only blocks in the overlay have space that can be freed. */
static int discard_overlaid(struct disk *disk, uint64_t offset, uint64_t end)
{
	uint64_t length;
	int result = 0;

	for (; offset < end && result == 0; offset += length) {
		length = end - offset;
		if (disk_overlay_has(disk->overlay, offset, &length))
			result = try_fallocate(disk, FALLOC_FL_PUNCH_HOLE, offset, length);
	}
	return result;
}

int disk_discard(struct disk *disk, uint64_t offset, uint64_t length)
{
	if (disk->overlay)
		return discard_overlaid(disk, offset, offset + length);
	if (disk->is_device)
		return try_ioctl(disk, BLKDISCARD, offset, length);
	return try_fallocate(disk, FALLOC_FL_PUNCH_HOLE, offset, length);
}

static int write_zero_bytes(struct disk *disk, uint64_t offset, uint64_t length)
{
	uint8_t zeroes[4096] = { 0 };

	while (length > 0) {
		struct iovec iov[64];
		unsigned count = 0;
		uint64_t bytes = 0;
		int result;

		while (count < COUNT(iov) && bytes < length) {
			uint64_t part = MIN(length - bytes, sizeof(zeroes));

			iov[count++] = (struct iovec){ .iov_base = zeroes, .iov_len = part };
			bytes += part;
		}
		result = transfer(written_fd(disk), iov, count, offset, disk_write_some);
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
	/* Not all file systems and drivers have a fast method, nor for all alignments. */
	if (result == EOPNOTSUPP || result == EINVAL || result == ENOTTY)
		result = write_zero_bytes(disk, offset, length);
	return result;
}

int disk_write_zeroes(struct disk *disk, uint64_t offset, uint64_t length, bool unmap)
{
	int result = !disk->overlay ? 0 : disk_overlay_prepare(disk->overlay, offset, length);

	if (result == 0)
		result = write_zeroes(disk, offset, length, unmap);
	if (result == 0 && disk->overlay)
		disk_overlay_mark(disk->overlay, offset, length);
	return result;
}
