/* SPDX-License-Identifier: MIT */
/*
 * The control queue (VIRTIO 1.2, section 5.1.6.5). The only supported request sets the number of queue pairs
 * (5.1.6.5.6). All others return an error.
 */
#include "virtio/net.h"

#define CONTROL_MQ 4
#define CONTROL_MQ_PAIRS_SET 0
#define CONTROL_OK 0
#define CONTROL_ERROR 1

#define REQUESTS_AT_ONCE 8 /* drivers have one at a time, and each may need slow system calls */

static uint8_t execute(struct net *net, const struct virtqueue_chain *chain)
{
	uint8_t request[4]; /* class, command, number of pairs */
	unsigned pairs;

	if (chain->readable_bytes != sizeof(request) || !(net->device.features & NET_F_MQ))
		return CONTROL_ERROR;
	virtqueue_read(chain, 0, request, sizeof(request));
	pairs = request[2] | (unsigned)request[3] << 8;
	if (request[0] != CONTROL_MQ || request[1] != CONTROL_MQ_PAIRS_SET)
		return CONTROL_ERROR;
	if (pairs == 0 || pairs > net->max_pairs)
		return CONTROL_ERROR;
	return net_set_pairs(net, pairs) < 0 ? CONTROL_ERROR : CONTROL_OK;
}

void net_control(struct net *net)
{
	struct virtio_device *device = &net->device;
	/* Without MQ there is one pair, and the control queue follows it (5.1.2). */
	struct virtqueue *queue = &device->queues[device->features & NET_F_MQ ? 2 * net->max_pairs : 2];
	struct virtqueue_chain *chain = &net->chain;

	if (!(device->features & NET_F_CTRL_VQ) || queue->broken)
		return;

	for (unsigned turn = 0; turn < REQUESTS_AT_ONCE && !worker_is_wanted(&device->worker); turn++) {
		int taken = virtqueue_pop(queue, chain);
		uint8_t result;

		if (taken > 0 && chain->writable_bytes == 0) {
			queue->broken = true;
			queue->reason = "a control request has no room for its answer";
			taken = -1;
		}
		if (taken < 0) {
			virtio_needs_reset(device, queue->reason);
			return;
		}
		if (taken == 0) {
			if (virtqueue_listen(queue))
				continue;
			return;
		}
		result = execute(net, chain);
		virtqueue_push(queue, chain->head, (uint32_t)virtqueue_write(chain, 0, &result, 1));
		virtio_interrupt(device, queue);
	}
	worker_kick(&device->worker);
}
