/* SPDX-License-Identifier: MIT */
/* Overlays: the footer and the map in the file, and what is in which file. */
#include "disk_overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/checksum.h"
#include "util/io.h"

#define BLOCK DISK_OVERLAY_BLOCK
#define VERSION 2u
#define VERSION_WITHOUT_IDENTITY 1u

static const char magic[8] = { 'l', 'k', 'v', 'm', 'O', 'V', 'E', 'R' };

/* The end of the file. It is written once and never changes. */
struct footer {
	char magic[8];
	uint32_t version;
	uint32_t block;
	uint64_t size; /* of the disk */
	int64_t modified; /* since version 2: with `digest`, the base's identity */
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
		return error_set(error, EBADMSG, "it is not an overlay");
	done = pread_full(overlay->fd, &footer, sizeof(footer), (off_t)(file_size - sizeof(footer)));
	if (done < 0)
		return error_system(error, (int)-done, "reading it");
	if (done != sizeof(footer) || memcmp(footer.magic, magic, sizeof(magic)))
		return error_set(error, EBADMSG, "it is not an overlay");
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

struct disk_overlay *disk_overlay_open(int fd, const char *path, uint64_t size, struct error *error)
{
	struct disk_overlay *overlay = calloc(1, sizeof(*overlay));
	uint64_t blocks = round_up(size) / BLOCK;

	if (!overlay) {
		error_system(error, ENOMEM, "an overlay");
		return NULL;
	}
	*overlay = (struct disk_overlay){
		.fd = -1, .base_fd = -1, .size = size, .map_size = round_up((blocks + 7) / 8), .path = strdup(path),
	};
	overlay->written = calloc(overlay->map_size, 1);
	overlay->changed = calloc(overlay->map_size / BLOCK, 1);
	if (!overlay->written || !overlay->changed || !overlay->path) {
		error_system(error, ENOMEM, "the map of its blocks");
	} else {
		overlay->fd = fd;
		if (load(overlay, error) == 0)
			return overlay;
		overlay->fd = -1;
	}
	disk_overlay_close(overlay);
	return NULL;
}

void disk_overlay_stack(struct disk_overlay *overlay, int base_fd, struct disk_overlay *lower)
{
	overlay->base_fd = base_fd;
	overlay->lower = lower;
}

const struct disk_overlay *disk_overlay_find_base(const struct disk_overlay *overlay)
{
	const struct disk_overlay *lower = overlay->lower;

	while (lower && !lower->begun)
		lower = lower->lower;
	return lower;
}

int disk_overlay_reserve(const struct disk_overlay *overlay, struct error *error)
{
	const uint64_t size = footer_at(overlay) + sizeof(struct footer);
	struct rlimit limit;
	int result;

	/* fallocate() checks this limit only without KEEP_SIZE. */
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < size)
		return error_system(error, EFBIG, "no file of %" PRIu64 " bytes can be made there", size);
	do {
		result = fallocate(overlay->fd, FALLOC_FL_KEEP_SIZE, (off_t)footer_at(overlay), sizeof(struct footer));
	} while (result < 0 && errno == EINTR);
	if (result == 0 || errno == EOPNOTSUPP || errno == ENOSYS)
		return 0;
	return error_system(error, errno, "no file of %" PRIu64 " bytes can be made there", size);
}

unsigned disk_overlay_depth(const struct disk_overlay *overlay)
{
	unsigned depth = 0;

	for (; overlay; overlay = overlay->lower)
		depth++;
	return depth;
}

void disk_overlay_close(struct disk_overlay *overlay)
{
	while (overlay) {
		struct disk_overlay *lower = overlay->lower;

		if (overlay->has_changed)
			disk_overlay_record(overlay);
		if (overlay->fd >= 0)
			close(overlay->fd);
		free(overlay->written);
		free(overlay->changed);
		free(overlay->path);
		free(overlay);
		overlay = lower;
	}
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

int disk_overlay_find_fd(const struct disk_overlay *overlay, uint64_t offset, uint64_t *length)
{
	while (!disk_overlay_has(overlay, offset, length)) {
		if (!overlay->lower)
			return overlay->base_fd;
		overlay = overlay->lower;
	}
	return overlay->fd;
}

/* Writes the footer by one write, before any data. So if the process dies, the file is empty or an overlay. */
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

/* The disk may end inside of its last block. All overlays have the same blocks, so a whole block is in one file. */
static int copy_block(struct disk_overlay *overlay, uint64_t block)
{
	uint64_t at = block * BLOCK, length = MIN(overlay->size - at, BLOCK);
	uint8_t bytes[BLOCK];
	ssize_t done;
	int fd;

	if (is_written(overlay, block))
		return 0;
	fd = disk_overlay_find_fd(overlay, at, &length);
	done = pread_full(fd, bytes, length, (off_t)at);
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

/* After a failure the kernel drops what it could not write. Another sync would succeed without effect. */
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

/*
 * A flush also covers what the guest wrote before the overlay was added. The maps of the overlays below were
 * recorded in the pause in which it was added.
 */
static void sync_under(struct disk_overlay *overlay)
{
	for (struct disk_overlay *at = overlay; at && at->over_unsynced; at = at->lower) {
		at->over_unsynced = false;
		if (fdatasync(at->lower ? at->lower->fd : at->base_fd) < 0 && !overlay->failed)
			overlay->failed = errno;
	}
}

int disk_overlay_flush(struct disk_overlay *overlay)
{
	int result;

	sync_under(overlay);
	result = disk_overlay_record(overlay);
	return result ? result : sync_file(overlay);
}
