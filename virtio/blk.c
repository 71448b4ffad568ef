/* SPDX-License-Identifier: MIT */
/*
 * virtio-blk: VIRTIO 1.2, section 5.2. The worker executes requests one after the other, directly between the
 * file and guest RAM. Most guests have one request at a time most of the time, and for that nothing is faster.
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "blk.h"
#include "memory/memory_loss.h"

#define BATCH 16u /* requests of one queue, before the next queue */

/* A driver may use one page for all buffers of a request. The limit keeps such a request from blocking the worker. */
#define MAX_TRANSFER (1ull << 30)

static const struct state_field block_fields[] = {
	STATE_FIELD(struct block_state, capacity, STATE_CONFIG, 0),
	STATE_ARRAY(struct block_state, serial, STATE_CONFIG, 0),
	STATE_ARRAY(struct block_state, padding, STATE_PADDING, 0),
};

static const struct state_table block_state_table = STATE_TABLE(struct block_state, "block", 1, block_fields);

static void block_config_read(struct virtio_device *device, unsigned offset, unsigned size, void *to)
{
	const struct block *block = (const struct block *)device;

	memcpy(to, (const uint8_t *)&block->config + offset, size);
}

/* A request without its header and its status byte: both may be anywhere in the driver's buffers (2.7.4). */
struct request {
	struct virtio_blk_outhdr header;
	struct virtqueue_chain *chain; /* its writable part ends before the status byte */
	uint64_t out_bytes;            /* from the driver, after the header */
	uint64_t in_bytes;             /* to the driver */
	uint8_t *status;
};

/* Parses a request. False if there is no status byte. */
static bool parse(struct virtqueue_chain *chain, struct request *request)
{
	struct iovec *last;

	if (chain->writable == 0)
		return false;
	last = &chain->iov[chain->readable + chain->writable - 1];
	request->status = (uint8_t *)last->iov_base + --last->iov_len;
	if (last->iov_len == 0)
		chain->writable--;
	request->chain = chain;
	request->in_bytes = --chain->writable_bytes;
	request->out_bytes = 0;
	if (virtqueue_read(chain, 0, &request->header, sizeof(request->header)) == sizeof(request->header))
		request->out_bytes = chain->readable_bytes - sizeof(request->header);
	else
		request->header.type = UINT32_MAX; /* too short: handled as an unknown type */
	return true;
}

static bool in_range(const struct block *block, uint64_t sector, uint64_t sectors)
{
	uint64_t capacity = block->disk.size / DISK_SECTOR;

	return sector <= capacity && sectors <= capacity - sector;
}

/* The status for an errno value. The first error is logged: the user may need to free space. */
static uint8_t outcome(struct block *block, const char *what, uint64_t sector, int code)
{
	if (code == 0)
		return VIRTIO_BLK_S_OK;
	memory_check(code, what);
	if (code == EOPNOTSUPP)
		return VIRTIO_BLK_S_UNSUPP;
	if (!block->warned)
		log_message(block->device.vm->log, LOG_LEVEL_WARNING, "%s: %s %s at sector %" PRIu64 ": %s",
			    block->device.name, what, block->path, sector, strerror(code));
	block->warned = true;
	return VIRTIO_BLK_S_IOERR;
}

static bool is_transfer(const struct block *block, const struct request *request, uint64_t bytes)
{
	return bytes % DISK_SECTOR == 0 && bytes <= MAX_TRANSFER &&
	       in_range(block, request->header.sector, bytes / DISK_SECTOR);
}

static uint8_t do_read(struct block *block, struct request *request)
{
	struct iovec *iov = request->chain->iov + request->chain->readable;
	uint64_t sector = request->header.sector;

	if (!is_transfer(block, request, request->in_bytes))
		return VIRTIO_BLK_S_IOERR;
	atomic_fetch_add_explicit(&block->read_bytes, request->in_bytes, memory_order_relaxed);
	return outcome(block, "read", sector,
		       disk_read(&block->disk, iov, request->chain->writable, sector * DISK_SECTOR));
}

static uint8_t do_write(struct block *block, struct request *request)
{
	struct iovec *iov = request->chain->iov;
	unsigned count = request->chain->readable;
	size_t header = sizeof(request->header);
	uint64_t sector = request->header.sector;
	int code;

	if (block->disk.read_only || !is_transfer(block, request, request->out_bytes))
		return VIRTIO_BLK_S_IOERR;
	for (; count > 0 && header >= iov->iov_len; iov++, count--)
		header -= iov->iov_len;
	if (header > 0) {
		iov->iov_base = (uint8_t *)iov->iov_base + header;
		iov->iov_len -= header;
	}

	atomic_fetch_add_explicit(&block->written_bytes, request->out_bytes, memory_order_relaxed);
	atomic_store(&block->changed, true);
	code = disk_write(&block->disk, iov, count, sector * DISK_SECTOR);
	/* A driver without flush expects each write to be durable (5.2.6.2). */
	if (code == 0 && !(block->device.features & 1ull << VIRTIO_BLK_F_FLUSH))
		code = disk_flush(&block->disk);
	return outcome(block, "write", sector, code);
}

static uint8_t do_identify(const struct block *block, const struct request *request)
{
	virtqueue_write(request->chain, 0, block->state.serial, sizeof(block->state.serial));
	return VIRTIO_BLK_S_OK;
}

static uint8_t erase_segment(struct block *block, const struct virtio_blk_discard_write_zeroes *segment,
			     bool zeroes)
{
	uint64_t offset = segment->sector * DISK_SECTOR;
	uint64_t length = (uint64_t)segment->num_sectors * DISK_SECTOR;
	uint32_t allowed = zeroes ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;

	if (segment->flags & ~allowed)
		return VIRTIO_BLK_S_UNSUPP;
	if (segment->num_sectors > (zeroes ? ZERO_SECTORS : DISCARD_SECTORS) ||
	    !in_range(block, segment->sector, segment->num_sectors))
		return VIRTIO_BLK_S_IOERR;
	if (length == 0)
		return VIRTIO_BLK_S_OK;
	atomic_store(&block->changed, true);
	if (zeroes)
		return outcome(block, "write zeroes", segment->sector,
			       disk_write_zeroes(&block->disk, offset, length, segment->flags != 0));
	return outcome(block, "discard", segment->sector, disk_discard(&block->disk, offset, length));
}

static uint8_t do_erase(struct block *block, const struct request *request, bool zeroes)
{
	struct virtio_blk_discard_write_zeroes segment;
	uint64_t count = request->out_bytes / sizeof(segment);
	uint8_t status = VIRTIO_BLK_S_OK;

	if (block->disk.read_only || request->out_bytes % sizeof(segment) || count == 0 ||
	    count > (zeroes ? ZERO_SEGMENTS : DISCARD_SEGMENTS))
		return VIRTIO_BLK_S_IOERR;
	for (uint64_t i = 0; i < count && status == VIRTIO_BLK_S_OK; i++) {
		virtqueue_read(request->chain, sizeof(request->header) + i * sizeof(segment), &segment,
			       sizeof(segment));
		status = erase_segment(block, &segment, zeroes);
	}
	return status;
}

static uint8_t execute(struct block *block, struct request *request)
{
	switch (request->header.type) {
	case VIRTIO_BLK_T_IN:
		return do_read(block, request);
	case VIRTIO_BLK_T_OUT:
		return do_write(block, request);
	case VIRTIO_BLK_T_FLUSH:
		return outcome(block, "flush", 0, disk_flush(&block->disk));
	case VIRTIO_BLK_T_GET_ID:
		return do_identify(block, request);
	case VIRTIO_BLK_T_DISCARD:
		return do_erase(block, request, false);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return do_erase(block, request, true);
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

/* Processes up to one batch of a queue. True if there may be more. */
static bool process_queue(struct block *block, struct virtqueue *queue)
{
	struct virtio_device *device = &block->device;
	struct virtqueue_chain chain;
	struct request request;

	for (unsigned i = 0; i < BATCH; i++) {
		int popped = virtqueue_pop(queue, &chain);
		uint8_t status;

		if (popped == 0)
			return virtqueue_listen(queue);
		if (popped < 0 || !parse(&chain, &request)) {
			virtio_needs_reset(device, popped < 0 ? queue->reason :
					   "a request without a status byte");
			return false;
		}
		status = execute(block, &request);
		*request.status = status;
		atomic_fetch_add_explicit(&device->counters.requests, 1, memory_order_relaxed);
		if (status != VIRTIO_BLK_S_OK)
			atomic_fetch_add_explicit(&device->counters.errors, 1, memory_order_relaxed);
		virtqueue_push(queue, chain.head, (uint32_t)request.in_bytes + 1);
		virtio_interrupt(device, queue);
	}
	return true;
}

static void block_process(struct virtio_device *device)
{
	struct block *block = (struct block *)device;
	bool more = true;

	while (more && !virtio_is_broken(device) && !worker_is_wanted(&device->worker)) {
		more = false;
		for (unsigned i = 0; i < device->queue_count; i++) {
			virtqueue_quiet(&device->queues[i]);
			more |= process_queue(block, &device->queues[i]);
		}
	}
}

static void block_stat(struct virtio_device *device, struct report *report)
{
	struct block *block = (struct block *)device;

	report_string(report, "path", block->path);
	if (block->disk.overlay)
		report_string(report, "overlay", block->disk.overlay->path);
	report_bool(report, "read_only", block->disk.read_only);
	report_bytes(report, "capacity", block->disk.size);
	report_bytes(report, "read", atomic_load_explicit(&block->read_bytes, memory_order_relaxed));
	report_bytes(report, "written", atomic_load_explicit(&block->written_bytes, memory_order_relaxed));
}

/* Another process may use the disk next: after a reset by the driver, or from a snapshot of the paused VM. */
static void block_record_map(struct virtio_device *device)
{
	struct block *block = (struct block *)device;

	outcome(block, "flush", 0, disk_record_map(&block->disk));
}

static void block_close(struct virtio_device *device)
{
	block_record_map(device);
	disk_close(&((struct block *)device)->disk);
}

const struct virtio_ops block_ops = {
	.name = "blk",
	.id = VIRTIO_BLOCK,
	.class_code = 0x018000, /* mass storage, other */
	.config_read = block_config_read,
	.process = block_process,
	.stop = block_record_map,
	.pause = block_record_map,
	.stat = block_stat,
	.state_table = &block_state_table,
	.state_offset = offsetof(struct block, state),
	.close = block_close,
};
