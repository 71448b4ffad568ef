/* SPDX-License-Identifier: MIT */
/*
 * The way of a packet. Out: from the guest's own buffers into the backend by one system call. In: from
 * the backend straight into the guest's buffers by one system call, without knowing how long the packet
 * is: a packet tends to be as long as the one before, so that much room is taken from the ring, and
 * what exceeds it lands in a buffer of ours behind the guest's, from where it is copied into further
 * chains.
 */
#include "virtio/net.h"

#include <errno.h>
#include <string.h>

#include "util/bits.h"

#define PACKETS_AT_ONCE 128 /* a pair and direction, before the other direction gets its turn */

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

/* As virtqueue_pop, for a packet of the driver: 0 if there is none. */
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
				break; /* the backend's watch_fd says when */
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
	ROOM_LATER, /* the driver must give buffers first */
	ROOM_NEVER, /* as large as its ring and our arrays allow, and still too small */
};

/* Adds chains of the receive queue to net->room until it holds `wanted` bytes. */
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
		/* One entry stays free for our own buffer. */
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

/* Copies bytes between the room, `offset` bytes into it, and a buffer. The room is large enough. */
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

/* Returns the chains that `length` bytes fill to the driver, at once, and the others to the ring. */
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
	/* The backend leaves num_buffers to us. */
	copy(room, INTO_ROOM, NET_HEADER_BUFFERS, (uint8_t *)&used, sizeof(used));
	give_back(room, queue, used);
	virtqueue_publish(queue, used);
}

enum outcome {
	DELIVERED,
	DROPPED,
	NO_PACKET,
	NO_ROOM, /* the driver will tell us when it gives buffers */
	NEW_ROOM, /* none when we looked, but it gave some since: try again */
};

/*
 * The next packet into net->room, as far as the room goes, and the rest into pair->packet at the same
 * offset: its length in all, or 0.
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
 * What is in the ring does not suffice. It is given back only after listening, for it is buffers behind
 * it that the driver must tell us about.
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
	size_t placed = 0; /* bytes that are in the guest's buffers already */
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
			/* The host's packets wake us only while there is room for them. */
			net_watch(net, index, outcome == NO_PACKET && atomic_load(&net->link));
			break;
		}
	}
	count(&net->counters.received, delivered);
	count(&net->device.counters.requests, delivered);
	count(&net->counters.dropped, dropped);
	return turn == PACKETS_AT_ONCE;
}
