/* SPDX-License-Identifier: MIT */
#include "disk_overlay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lkvm/format.h"
#include "lkvm/io.h"

#define BLOCK DISK_OVERLAY_BLOCK
#define VERSION 2u
#define VERSION_WITHOUT_IDENTITY 1u

static const char magic[8] = { 'l', 'k', 'v', 'm', 'O', 'V', 'E', 'R' };

/* The file's end. It never changes: a part of it is never there. */
struct footer {
	char magic[8];
	uint32_t version;
	uint32_t block;
	uint64_t size; /* of the disk */
	int64_t modified;   /* these two are the base's identity, since version 2 */
	uint64_t digest[2];
	uint8_t zero[12];
	uint32_t crc;  /* of the bytes before */
};

static struct footer make_footer(const struct disk_overlay *overlay)
{
	struct footer footer = { .version = VERSION_WITHOUT_IDENTITY, .block = BLOCK, .size = overlay->size };

	if (overlay->base.known) {
		footer.version = VERSION;
		footer.modified = overlay->base.modified;
		memcpy(footer.digest, overlay->base.digest, sizeof(footer.digest));
	}
	memcpy(footer.magic, magic, sizeof(magic));
	footer.crc = checksum(0, &footer, offsetof(struct footer, crc));
	return footer;
}

static uint64_t round_up(uint64_t value)
{
	return (value + BLOCK - 1) / BLOCK * BLOCK;
}

static uint64_t map_at(const struct disk_overlay *overlay)
{
	return round_up(overlay->size);
}

static uint64_t footer_at(const struct disk_overlay *overlay)
{
	return map_at(overlay) + overlay->map_size;
}

static int check_footer(struct disk_overlay *overlay, uint64_t file_size, struct error *error)
{
	struct footer footer, ours;
	ssize_t done;

	if (file_size < sizeof(footer))
		return error_set(error, EBADMSG, "it is no overlay");
	done = pread_full(overlay->fd, &footer, sizeof(footer), (off_t)(file_size - sizeof(footer)));
	if (done < 0)
		return error_system(error, (int)-done, "reading it");
	if (done != sizeof(footer) || memcmp(footer.magic, magic, sizeof(magic)))
		return error_set(error, EBADMSG, "it is no overlay");
	if (footer.crc != checksum(0, &footer, offsetof(struct footer, crc)))
		return error_set(error, EBADMSG, "its checksum is wrong");
	if (footer.version != VERSION && footer.version != VERSION_WITHOUT_IDENTITY)
		return error_set(error, ENOTSUP, "its version is %u, which this lkvm does not know", footer.version);
	if (footer.size != overlay->size)
		return error_set(error, EINVAL, "it belongs to a disk of %" PRIu64 " bytes, not of %" PRIu64, footer.size,
				 overlay->size);
	overlay->base = (struct disk_identity){ .known = footer.version == VERSION, .size = overlay->size };
	overlay->base.modified = footer.modified;
	memcpy(overlay->base.digest, footer.digest, sizeof(footer.digest));
	ours = make_footer(overlay);
	if (memcmp(&footer, &ours, sizeof(footer)) || file_size != footer_at(overlay) + sizeof(footer))
		return error_set(error, EBADMSG, "it is damaged");
	return 0;
}

static int load(struct disk_overlay *overlay, struct error *error)
{
	struct stat stat;
	ssize_t done;

	if (fstat(overlay->fd, &stat) < 0)
		return error_system(error, errno, "its size");
	if (stat.st_size == 0)
		return 0;
	if (check_footer(overlay, (uint64_t)stat.st_size, error) < 0)
		return -1;
	done = pread_full(overlay->fd, overlay->written, overlay->map_size, (off_t)map_at(overlay));
	if (done < 0 || (uint64_t)done != overlay->map_size)
		return error_system(error, done < 0 ? (int)-done : EIO, "reading its map");
	overlay->begun = true;
	return 0;
}

int disk_overlay_open(struct disk_overlay *overlay, int fd, int base_fd, uint64_t size, struct error *error)
{
	uint64_t blocks = round_up(size) / BLOCK;

	*overlay = (struct disk_overlay){
		.fd = fd, .base_fd = base_fd, .size = size, .map_size = round_up((blocks + 7) / 8),
	};
	overlay->written = calloc(overlay->map_size, 1);
	overlay->changed = calloc(overlay->map_size / BLOCK, 1);
	if (!overlay->written || !overlay->changed) {
		error_system(error, ENOMEM, "the map of its blocks");
	} else if (load(overlay, error) == 0) {
		return 0;
	}
	disk_overlay_close(overlay);
	return -1;
}

void disk_overlay_close(struct disk_overlay *overlay)
{
	if (overlay->has_changed)
		disk_overlay_record(overlay);
	free(overlay->written);
	free(overlay->changed);
	*overlay = (struct disk_overlay){ .fd = -1, .base_fd = -1 };
}

static bool is_written(const struct disk_overlay *overlay, uint64_t block)
{
	return overlay->written[block / 8] & 1u << block % 8;
}

bool disk_overlay_has(const struct disk_overlay *overlay, uint64_t offset, uint64_t *length)
{
	bool written = is_written(overlay, offset / BLOCK);
	uint64_t end = offset + *length, at = (offset / BLOCK + 1) * BLOCK;

	while (at < end && is_written(overlay, at / BLOCK) == written)
		at += BLOCK;
	if (at < end)
		*length = at - offset;
	return written;
}

/* In one write, and before any data: whatever becomes of this process, the file is empty or an overlay. */
static int begin(struct disk_overlay *overlay)
{
	struct footer footer = make_footer(overlay);
	int result;

	if (overlay->begun)
		return 0;
	result = -pwrite_full(overlay->fd, &footer, sizeof(footer), (off_t)footer_at(overlay));
	overlay->begun = result == 0;
	return result;
}

/* The disk may end inside of its last block. */
static int copy_block(struct disk_overlay *overlay, uint64_t block)
{
	uint64_t at = block * BLOCK, length = overlay->size - at < BLOCK ? overlay->size - at : BLOCK;
	uint8_t bytes[BLOCK];
	ssize_t done;

	if (is_written(overlay, block))
		return 0;
	done = pread_full(overlay->base_fd, bytes, length, (off_t)at);
	if (done < 0)
		return (int)-done;
	if ((uint64_t)done != length)
		return EIO; /* it shrank */
	return -pwrite_full(overlay->fd, bytes, length, (off_t)at);
}

int disk_overlay_prepare(struct disk_overlay *overlay, uint64_t offset, uint64_t length)
{
	uint64_t end = offset + length, first = offset / BLOCK, last = (end - 1) / BLOCK;
	int result = begin(overlay);

	if (result == 0 && offset % BLOCK)
		result = copy_block(overlay, first);
	if (result == 0 && end % BLOCK && (last != first || offset % BLOCK == 0))
		result = copy_block(overlay, last);
	return result;
}

void disk_overlay_mark(struct disk_overlay *overlay, uint64_t offset, uint64_t length)
{
	for (uint64_t block = offset / BLOCK; block * BLOCK < offset + length; block++) {
		if (is_written(overlay, block))
			continue;
		overlay->written[block / 8] |= (uint8_t)(1u << block % 8);
		overlay->changed[block / 8 / BLOCK] = 1;
		overlay->has_changed = true;
	}
}

/* After a failure the kernel takes what it could not write for written: another sync would succeed, and mean nothing. */
static int sync_file(struct disk_overlay *overlay)
{
	if (!overlay->failed && fdatasync(overlay->fd) < 0)
		overlay->failed = errno;
	return overlay->failed;
}

int disk_overlay_record(struct disk_overlay *overlay)
{
	int result;

	if (!overlay->has_changed)
		return overlay->failed;
	result = sync_file(overlay);
	for (uint64_t i = 0; i < overlay->map_size / BLOCK && result == 0; i++) {
		if (!overlay->changed[i])
			continue;
		result = -pwrite_full(overlay->fd, overlay->written + i * BLOCK, BLOCK, (off_t)(map_at(overlay) + i * BLOCK));
		overlay->changed[i] = result != 0;
	}
	overlay->has_changed = result != 0;
	return result;
}

int disk_overlay_flush(struct disk_overlay *overlay)
{
	int result = disk_overlay_record(overlay);

	return result ? result : sync_file(overlay);
}
