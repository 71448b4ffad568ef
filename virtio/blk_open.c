/* SPDX-License-Identifier: MIT */
/* Makes a virtio-blk device, and describes it to the rest of lkvm. */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blk.h"
#include "util/hash.h"

/* Ends before the fields of features that are not offered. */
#define CONFIG_SIZE offsetof(struct virtio_blk_config, max_secure_erase_sectors)

/* The default serial is a hash of the path (FNV-1a), so that a disk has the same name in each run (/dev/disk/by-id). */
static void make_serial(struct block *block, const char *serial)
{
	char text[VIRTIO_BLK_ID_BYTES + 1];

	if (!serial) {
		snprintf(text, sizeof(text), "lkvm%016" PRIx64, hash_text(HASH_TEXT_START, block->path));
		serial = text;
	}
	memcpy(block->state.serial, serial, strnlen(serial, sizeof(block->state.serial)));
}

static void make_config(struct block *block, unsigned queues)
{
	uint32_t physical = block->disk.physical_block / DISK_SECTOR;

	block->config = (struct virtio_blk_config){
		.capacity = block->disk.size / DISK_SECTOR,
		.seg_max = VIRTQUEUE_MAX_SEGMENTS - 2, /* without the buffers of header and status */
		.blk_size = DISK_SECTOR,
		.physical_block_exp = (uint8_t)__builtin_ctz(physical),
		.min_io_size = (uint16_t)physical,
		.num_queues = (uint16_t)queues,
		.max_discard_sectors = DISCARD_SECTORS,
		.max_discard_seg = DISCARD_SEGMENTS,
		.discard_sector_alignment = physical,
		.max_write_zeroes_sectors = ZERO_SECTORS,
		.max_write_zeroes_seg = ZERO_SEGMENTS,
		.write_zeroes_may_unmap = 1,
	};
}

static uint64_t make_features(const struct block *block, unsigned queues)
{
	uint64_t features = 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_BLK_SIZE |
			    1ull << VIRTIO_BLK_F_TOPOLOGY | 1ull << VIRTIO_BLK_F_FLUSH;

	if (block->disk.read_only)
		features |= 1ull << VIRTIO_BLK_F_RO;
	else
		features |= 1ull << VIRTIO_BLK_F_DISCARD | 1ull << VIRTIO_BLK_F_WRITE_ZEROES;
	if (queues > 1)
		features |= 1ull << VIRTIO_BLK_F_MQ;
	return features;
}

const char *virtio_block_written(const struct virtio_device *device)
{
	const struct block *block = (const struct block *)device;

	return atomic_load(&block->changed) ? atomic_load(&block->written) : NULL;
}

static void describe_overlays(const struct disk_overlay *overlay, struct virtio_block_config *config)
{
	unsigned count;

	if (!overlay)
		return;
	config->overlay = overlay->path;
	count = disk_overlay_depth(overlay->lower);
	for (const struct disk_overlay *lower = overlay->lower; lower; lower = lower->lower)
		config->lower[--count] = lower->path;
}

void virtio_block_describe(struct virtio_device *device, struct virtio_block_config *config)
{
	struct block *block = (struct block *)device;

	snprintf(block->serial, sizeof(block->serial), "%.*s", VIRTIO_BLK_ID_BYTES, (const char *)block->state.serial);
	*config = (struct virtio_block_config){
		.path = block->path,
		.read_only = block->disk.read_only,
		.queues = device->queue_count,
		.serial = block->serial,
		.size = block->disk.size,
	};
	describe_overlays(block->disk.overlay, config);
}

int virtio_block_identify(struct virtio_device *device, struct virtio_block_config *config)
{
	/* A disk that the guest cannot write has no state that a restore could lose. */
	if (config->read_only)
		return 0;
	return disk_identify(&((struct block *)device)->disk, config);
}

struct disk_overlay *virtio_block_prepare(const struct virtio_device *device, int fd, struct error *error)
{
	char link[64], path[PATH_MAX];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path));
	if (length < 0 || length == sizeof(path)) {
		error_system(error, length < 0 ? errno : ENAMETOOLONG, "the overlay's path");
		return NULL;
	}
	path[length] = '\0';
	return disk_prepare(&((const struct block *)device)->disk, fd, path, error);
}

const char *virtio_block_switch(struct virtio_device *device, struct disk_overlay *overlay)
{
	struct block *block = (struct block *)device;

	disk_switch(&block->disk, overlay);
	atomic_store(&block->written, overlay->path);
	return overlay->path;
}

void virtio_block_close_overlay(struct disk_overlay *overlay)
{
	disk_overlay_close(overlay);
}

int virtio_block_record_map(struct virtio_device *device)
{
	return disk_record_map(&((struct block *)device)->disk);
}

int virtio_block_sync(struct virtio_device *device)
{
	return disk_sync(&((struct block *)device)->disk);
}

struct virtio_device *virtio_block_open(struct vm *vm, struct pci_bus *pci, unsigned index,
					const struct virtio_block_config *config, struct error *error)
{
	struct block *block = calloc(1, sizeof(*block));
	struct virtio_setup setup = {
		.ops = &block_ops,
		.index = index,
		.queue_count = config->queues ? config->queues : 1,
		.config_size = CONFIG_SIZE,
		.watch_fd = -1,
	};

	if (!block) {
		error_system(error, ENOMEM, "disk %s", config->path);
		return NULL;
	}
	if (disk_open(&block->disk, config, vm->log, error) < 0) {
		free(block);
		return NULL;
	}
	if (!realpath(config->path, block->path))
		snprintf(block->path, sizeof(block->path), "%s", config->path);
	atomic_store(&block->written, block->disk.overlay ? block->disk.overlay->path : block->path);
	make_serial(block, config->serial);
	block->state.capacity = block->disk.size / DISK_SECTOR;
	make_config(block, setup.queue_count);
	setup.features = make_features(block, setup.queue_count);
	if (virtio_open(&block->device, &setup, vm, pci, error) < 0) {
		disk_close(&block->disk);
		free(block);
		return NULL;
	}
	return &block->device;
}
