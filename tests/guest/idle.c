/* SPDX-License-Identifier: MIT */
/*
 * Gives its network device buffers far from the program, and then idles. From then on only the host uses that memory.
 */
#include "lib/board.h"
#include "lib/gic.h"
#include "lib/runtime.h"
#include "lib/virtio.h"

#define RINGS 0x88000000ull
#define RING_SIZE 0x10000ull
#define BUFFERS 0x88100000ull
#define BUFFER_SIZE 2048u

static struct virtio devices[VIRTIO_MAX_DEVICES];
static struct queue queues[2];

static void enable_messages(struct virtio *device)
{
	for (unsigned vector = 0; vector < device->function.vectors; vector++)
		msix_set(&device->function, vector, GITS_TRANSLATER, vector, false);
	msix_enable(&device->function, true);
}

static void move_rings(struct queue *queue)
{
	uint64_t at = RINGS + queue->index * 4 * RING_SIZE, common = queue->device->common;

	memset((void *)at, 0, 3 * RING_SIZE);
	queue->descriptors = (struct descriptor *)at;
	queue->available = (struct available_ring *)(at + RING_SIZE);
	queue->used = (struct used_ring *)(at + 2 * RING_SIZE);
	write16(common + COMMON_QUEUE_VECTOR, 1); /* lkvm gives only queues with a vector to vhost-net */
	write64(common + COMMON_QUEUE_DESCRIPTORS, at);
	write64(common + COMMON_QUEUE_DRIVER, at + RING_SIZE);
	write64(common + COMMON_QUEUE_DEVICE, at + 2 * RING_SIZE);
}

static bool run(struct virtio *device)
{
	enable_messages(device);
	if (!virtio_negotiate(device, 0))
		return false;
	for (uint16_t i = 0; i < 2; i++) {
		if (!queue_prepare(device, &queues[i], i))
			return false;
		move_rings(&queues[i]);
		queue_enable(&queues[i]);
	}
	virtio_start(device);
	for (uint16_t i = 0; i < queues[0].size; i++) {
		queue_describe(&queues[0], i, BUFFERS + i * BUFFER_SIZE, BUFFER_SIZE, DESCRIPTOR_WRITE, 0);
		queue_submit(&queues[0], i);
	}
	return !(virtio_status(device) & STATUS_NEEDS_RESET);
}

void guest_main(void)
{
	unsigned count = virtio_find_all(devices);
	struct virtio *network = virtio_find(devices, count, VIRTIO_NET);

	print("idle: ready %u\n", network && run(network));
	for (;;)
		__asm__ volatile("wfi");
}
