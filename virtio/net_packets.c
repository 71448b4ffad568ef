/* SPDX-License-Identifier: MIT */
/*
 * Moves packets between the rings and the backend. To send, one system call passes the guest's own buffers to
 * the backend. To receive, one system call reads a packet of unknown length into the guest's buffers. A packet
 * tends to be as long as the last one, so chains for that length are popped from the ring. The last buffer of
 * the call is lkvm's own, for what exceeds them; from there it is copied into further chains.
 */
#include "virtio/net.h"

#include <errno.h>
#include <string.h>

#include "util/bits.h"

#define PACKETS_AT_ONCE 128 /* of one direction of a pair, before the other direction */

static void protocol_error(struct net *net, struct virtqueue *queue, const char *why)
{
	queue->broken = true;
	queue->reason = why;
	virtio_needs_reset(&net->device, why);
}

static void count(atomic_ulong *counter, unsigned long packets)
{
	if (packets > 0)
		atomic_fetch_add_explicit(counter, packets, memory_order_relaxed);
}

/* Pops a packet of the driver. 0: none. */
static int pop_packet(struct net *net, struct virtqueue *queue)
{
	int taken = virtqueue_pop(queue, &net->chain);

	if (taken < 0) {
		virtio_needs_reset(&net->device, queue->reason);
		return 0;
	}
	if (taken > 0 && (net->chain.writable || net->chain.readable_bytes < NET_HEADER)) {
		protocol_error(net, queue, "a packet to send is writable or shorter than its header");
		return 0;
	}
	return taken;
}

bool net_transmit(struct net *net, unsigned index)
{
	struct virtqueue *queue = net->pairs[index].transmit;
	unsigned turn, sent = 0, dropped = 0;

	if (!queue->descriptor_ring || queue->broken)
		return false;

	virtqueue_quiet(queue);
	for (turn = 0; turn < PACKETS_AT_ONCE && !worker_is_wanted(&net->device.worker); turn++) {
		int result = 0;

		if (!pop_packet(net, queue)) {
			if (virtqueue_listen(queue))
				continue;
			break;
		}
		if (!atomic_load_explicit(&net->link, memory_order_relaxed) ||
		    net->chain.readable_bytes > NET_MAX_PACKET) {
			dropped++;
		} else {
			result = net->backend->ops->send(net->backend, index, net->chain.iov,
							 (int)net->chain.readable);
			if (result == -EAGAIN) {
				virtqueue_unpop(queue);
				break; /* until the backend's watch_fd is readable */
			}
			sent++;
		}
		virtqueue_push(queue, net->chain.head, 0);
		if (result < 0)
			net_link_lost(net, -result);
	}
	count(&net->counters.sent, sent);
	count(&net->device.counters.requests, sent);
	count(&net->counters.dropped, dropped);
	return turn == PACKETS_AT_ONCE;
}

enum room {
	ROOM_MADE,
	ROOM_LATER, /* the driver must add buffers first */
	ROOM_NEVER, /* the ring and our arrays are full, and the space is still too small */
};

/* Pops chains of the receive queue into net->room until it has `wanted` bytes. */
static enum room make_room(struct net *net, struct virtqueue *queue, size_t wanted)
{
	struct net_room *room = &net->room;
	const struct virtqueue_chain *chain = &net->chain;
	bool mergeable = net->device.features & NET_F_MRG_RXBUF;

	while (room->bytes < wanted) {
		int taken;

		if ((room->chains > 0 && !mergeable) || room->chains == queue->state.size)
			return ROOM_NEVER;
		taken = virtqueue_pop(queue, &net->chain);
		if (taken < 0)
			virtio_needs_reset(&net->device, queue->reason);
		if (taken <= 0)
			return ROOM_LATER;
		if (chain->readable || chain->writable_bytes < NET_HEADER) {
			protocol_error(net, queue, "a receive buffer is readable or shorter than a header");
			return ROOM_LATER;
		}
		/* One entry stays free for lkvm's own buffer. */
		if (room->segments + chain->writable >= IOV_MAX) {
			virtqueue_unpop(queue);
			return ROOM_NEVER;
		}
		memcpy(room->iov + room->segments, chain->iov, chain->writable * sizeof(chain->iov[0]));
		room->segments += chain->writable;
		room->bytes += chain->writable_bytes;
		room->chain_bytes[room->chains] = chain->writable_bytes;
		room->heads[room->chains++] = chain->head;
	}
	return ROOM_MADE;
}

static void give_back(struct net_room *room, struct virtqueue *queue, unsigned from)
{
	for (; room->chains > from; room->chains--)
		virtqueue_unpop(queue);
}

/* Copies bytes between a buffer and the room at `offset`. The room is large enough. */
enum direction { INTO_ROOM, OUT_OF_ROOM };

static void copy(struct net_room *room, enum direction direction, size_t offset, uint8_t *bytes,
		 size_t length)
{
	for (const struct iovec *iov = room->iov; length > 0; iov++) {
		uint8_t *at = iov->iov_base;
		size_t part;

		if (offset >= iov->iov_len) {
			offset -= iov->iov_len;
			continue;
		}
		part = MIN(iov->iov_len - offset, length);
		if (direction == INTO_ROOM)
			memcpy(at + offset, bytes, part);
		else
			memcpy(bytes, at + offset, part);
		bytes += part;
		length -= part;
		offset = 0;
	}
}

/* Pushes the chains that `length` bytes fill, all at once, and unpops the others. */
static void deliver(struct net *net, struct virtqueue *queue, size_t length)
{
	struct net_room *room = &net->room;
	uint16_t used = 0;

	while (length > 0) {
		size_t part = MIN(length, room->chain_bytes[used]);

		virtqueue_fill(queue, used, room->heads[used], (uint32_t)part);
		length -= part;
		used++;
	}
	/* The backend does not set num_buffers. */
	copy(room, INTO_ROOM, NET_HEADER_BUFFERS, (uint8_t *)&used, sizeof(used));
	give_back(room, queue, used);
	virtqueue_publish(queue, used);
}

enum outcome {
	DELIVERED,
	DROPPED,
	NO_PACKET,
	NO_ROOM, /* the driver will notify when it adds buffers */
	NEW_ROOM, /* the driver has just added buffers: try again */
};

/*
 * Reads the next packet into net->room, and what does not fit into pair->packet at the same offset. Returns its whole
 * length, or 0.
 */
static size_t read_packet(struct net *net, unsigned index)
{
	struct net_pair *pair = &net->pairs[index];
	struct net_room *room = &net->room;
	unsigned segments = room->segments;
	ssize_t length;

	if (room->bytes < NET_MAX_PACKET)
		room->iov[segments++] = (struct iovec){
			.iov_base = pair->packet + room->bytes,
			.iov_len = NET_MAX_PACKET - room->bytes,
		};
	length = net->backend->ops->receive(net->backend, index, room->iov, (int)segments);
	if (length < 0 && length != -EAGAIN)
		net_link_lost(net, (int)-length);
	return length < 0 ? 0 : (size_t)length;
}

/*
 * The buffers in the ring are not sufficient. They are unpopped only after virtqueue_listen(): the driver must
 * notify about buffers after these.
 */
static enum outcome lack_room(struct net *net, struct virtqueue *queue)
{
	bool more = virtqueue_listen(queue);

	give_back(&net->room, queue, 0);
	return more ? NEW_ROOM : NO_ROOM;
}

static enum outcome receive_one(struct net *net, unsigned index)
{
	struct net_pair *pair = &net->pairs[index];
	struct virtqueue *queue = pair->receive;
	struct net_room *room = &net->room;
	size_t length = pair->held;
	size_t placed = 0; /* bytes already in the guest's buffers */
	enum room made;

	room->chains = 0;
	room->segments = 0;
	room->bytes = 0;

	if (!length) {
		make_room(net, queue, pair->expected ? pair->expected : NET_HEADER);
		if (!room->chains)
			return lack_room(net, queue);
		length = read_packet(net, index);
		if (!length) {
			give_back(room, queue, 0);
			return NO_PACKET;
		}
		pair->expected = length;
		placed = MIN(length, room->bytes);
	}

	made = make_room(net, queue, length);
	if (made == ROOM_LATER) {
		copy(room, OUT_OF_ROOM, 0, pair->packet, placed);
		__atomic_store_n(&pair->held, length, __ATOMIC_RELAXED);
		return lack_room(net, queue);
	}
	__atomic_store_n(&pair->held, 0, __ATOMIC_RELAXED); /* tests wait for it */
	if (made == ROOM_NEVER || length < NET_HEADER) {
		give_back(room, queue, 0);
		return DROPPED;
	}
	copy(room, INTO_ROOM, placed, pair->packet + placed, length - placed);
	deliver(net, queue, length);
	return DELIVERED;
}

bool net_receive(struct net *net, unsigned index)
{
	struct virtqueue *queue = net->pairs[index].receive;
	unsigned turn, delivered = 0, dropped = 0;

	if (!queue->descriptor_ring || queue->broken)
		return false;

	virtqueue_quiet(queue);
	for (turn = 0; turn < PACKETS_AT_ONCE && !worker_is_wanted(&net->device.worker); turn++) {
		enum outcome outcome = NO_PACKET;

		if (atomic_load_explicit(&net->link, memory_order_relaxed))
			outcome = receive_one(net, index);
		if (outcome == DELIVERED)
			delivered++;
		if (outcome == DROPPED)
			dropped++;
		if (outcome == NO_PACKET || outcome == NO_ROOM) {
			/* Packets of the host wake the worker only while there are buffers for them. */
			net_watch(net, index, outcome == NO_PACKET && atomic_load(&net->link));
			break;
		}
	}
	count(&net->counters.received, delivered);
	count(&net->device.counters.requests, delivered);
	count(&net->counters.dropped, dropped);
	return turn == PACKETS_AT_ONCE;
}
