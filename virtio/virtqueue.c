/* SPDX-License-Identifier: MIT */
/*
 * Split virtqueues. The rings are in guest memory, and the guest may write any byte of them at any time. So
 * each value is read exactly once, into a local variable, before it is checked: ring fields by atomic loads,
 * descriptors by a copy after which the compiler cannot read the original again.
 */
#include "virtio/virtqueue.h"

#include <string.h>

#include "util/bits.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rings are little-endian, and so must be the host");

/* VIRTIO 1.2, sections 2.7.5, 2.7.6 and 2.7.8. */
struct virtqueue_descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags;
	uint16_t next;
};
_Static_assert(sizeof(struct virtqueue_descriptor) == 16, "size of a descriptor");

struct virtqueue_available {
	uint16_t flags;
	uint16_t index;
	uint16_t heads[]; /* size entries, then used_event */
};

struct virtqueue_used {
	uint16_t flags;
	uint16_t index;
	struct {
		uint32_t id;
		uint32_t length;
	} elements[]; /* size entries, then avail_event (16 bits) */
};

#define DESCRIPTOR_NEXT 1u
#define DESCRIPTOR_WRITE 2u
#define DESCRIPTOR_INDIRECT 4u
#define AVAILABLE_NO_INTERRUPT 1u
#define USED_NO_NOTIFY 1u

static const struct state_field virtqueue_fields[] = {
	STATE_FIELD(struct virtqueue_state, descriptors, STATE_RUNTIME, 0),
	STATE_FIELD(struct virtqueue_state, driver, STATE_RUNTIME, 0),
	STATE_FIELD(struct virtqueue_state, device, STATE_RUNTIME, 0),
	STATE_FIELD(struct virtqueue_state, maximum, STATE_CONFIG, 0),
	STATE_FIELD(struct virtqueue_state, size, STATE_RUNTIME, 0), /* virtqueue_reset(): maximum */
	STATE_FIELD(struct virtqueue_state, enabled, STATE_RUNTIME, 0),
	STATE_FIELD(struct virtqueue_state, vector, STATE_RUNTIME, 0xffff),
	STATE_FIELD(struct virtqueue_state, next_available, STATE_RUNTIME, 0),
	STATE_FIELD(struct virtqueue_state, next_used, STATE_RUNTIME, 0),
	STATE_FIELD(struct virtqueue_state, signalled, STATE_RUNTIME, 0),
	STATE_FIELD(struct virtqueue_state, padding, STATE_PADDING, 0),
};

const struct state_table virtqueue_state_table =
	STATE_TABLE(struct virtqueue_state, "virtqueue", 1, virtqueue_fields);

static int broken(struct virtqueue *queue, const char *reason)
{
	queue->broken = true;
	queue->reason = reason;
	return -1;
}

void virtqueue_reset(struct virtqueue *queue, uint16_t maximum)
{
	memset(queue, 0, sizeof(*queue));
	state_reset(&virtqueue_state_table, &queue->state);
	queue->state.maximum = maximum;
	queue->state.size = maximum;
}

struct virtqueue_rings virtqueue_rings(const struct virtqueue_state *state)
{
	uint64_t size = state->size;

	return (struct virtqueue_rings){ .descriptors = 16 * size, .driver = 6 + 2 * size, .device = 6 + 8 * size };
}

const char *virtqueue_fault(const struct virtqueue_state *state)
{
	if (state->size == 0 || state->size > state->maximum || (state->size & (state->size - 1)) != 0)
		return "queue size is not a power of two within the maximum";
	if (state->descriptors % 16 || state->driver % 2 || state->device % 4)
		return "a ring is misaligned";
	return NULL;
}

int virtqueue_start(struct virtqueue *queue, const struct ram *ram, bool event_index, bool indirect)
{
	const struct virtqueue_state *state = &queue->state;
	const struct virtqueue_rings bytes = virtqueue_rings(state);
	const char *fault = virtqueue_fault(state);

	queue->ram = ram;
	queue->event_index = event_index;
	queue->indirect = indirect;
	queue->broken = false;
	queue->reason = NULL;
	queue->descriptor_ring = NULL;
	queue->taken = queue->lent_count = 0;
	if (fault)
		return broken(queue, fault);

	queue->available_ring = ram_at(ram, state->driver, bytes.driver);
	queue->used_ring = ram_at(ram, state->device, bytes.device);
	queue->descriptor_ring = ram_at(ram, state->descriptors, bytes.descriptors);
	if (!queue->available_ring || !queue->used_ring || !queue->descriptor_ring) {
		queue->descriptor_ring = NULL;
		return broken(queue, "a ring lies outside RAM");
	}
	return 0;
}

static unsigned slot(const struct virtqueue *queue, uint16_t index)
{
	return index & (queue->state.size - 1u);
}

static struct virtqueue_descriptor read_descriptor(const void *table, unsigned index)
{
	struct virtqueue_descriptor descriptor;

	/* Indirect tables need not be aligned. The barrier prevents later reads of the guest's copy. */
	memcpy(&descriptor, (const uint8_t *)table + (size_t)index * sizeof(descriptor), sizeof(descriptor));
	__asm__ volatile("" : : : "memory");
	return descriptor;
}

/* Records memory that the device may write until the chain is returned. With too many ranges, it is all of RAM. */
static void lend(struct virtqueue *queue, const uint8_t *host, uint64_t size)
{
	struct virtqueue_lent *last = &queue->lent[queue->lent_count ? queue->lent_count - 1 : 0];

	if (queue->lent_count && host == last->host + last->size)
		last->size += size;
	else if (queue->lent_count < VIRTQUEUE_LENT)
		queue->lent[queue->lent_count++] = (struct virtqueue_lent){ host, size };
	else
		queue->lent[0] = (struct virtqueue_lent){ queue->ram->host, queue->ram->size };
}

static void mark_used_ring(const struct virtqueue *queue)
{
	ram_mark(queue->ram, queue->used_ring, virtqueue_rings(&queue->state).device);
}

/* Marks the recorded memory as written. If no chain is popped, nothing more will be written there. */
static void mark_lent(struct virtqueue *queue)
{
	for (unsigned i = 0; i < queue->lent_count; i++)
		ram_mark(queue->ram, queue->lent[i].host, queue->lent[i].size);
	if (!queue->taken)
		queue->lent_count = 0;
	mark_used_ring(queue);
}

/* Adds a descriptor's buffer. Empty buffers are legal, and add no iovec, so devices never get one. */
static int add_buffer(struct virtqueue *queue, struct virtqueue_chain *chain,
		      const struct virtqueue_descriptor *descriptor)
{
	bool writable = descriptor->flags & DESCRIPTOR_WRITE;
	void *host;

	if (!writable && chain->writable > 0)
		return broken(queue, "a readable buffer follows a writable one");
	if (descriptor->length == 0)
		return 0;
	host = ram_at(queue->ram, descriptor->address, descriptor->length);
	if (!host)
		return broken(queue, "a buffer lies outside RAM");

	chain->iov[chain->readable + chain->writable] = (struct iovec){
		.iov_base = host,
		.iov_len = descriptor->length,
	};
	if (writable) {
		lend(queue, host, descriptor->length);
		chain->writable++;
		chain->writable_bytes += descriptor->length;
	} else {
		chain->readable++;
		chain->readable_bytes += descriptor->length;
	}
	return 0;
}

static int collect(struct virtqueue *queue, struct virtqueue_chain *chain)
{
	const void *table = queue->descriptor_ring;
	unsigned count = queue->state.size;
	unsigned index = chain->head;
	unsigned buffers = 0;
	bool indirect = false;

	for (;;) {
		struct virtqueue_descriptor descriptor;

		if (index >= count)
			return broken(queue, "a descriptor's index is out of range");
		descriptor = read_descriptor(table, index);

		if (descriptor.flags & DESCRIPTOR_INDIRECT) {
			if (!queue->indirect || indirect)
				return broken(queue, "an indirect descriptor where none is allowed");
			if (descriptor.flags & DESCRIPTOR_NEXT)
				return broken(queue, "a descriptor follows an indirect one");
			if (descriptor.length == 0 || descriptor.length % sizeof(descriptor))
				return broken(queue, "an indirect table's size is wrong");
			table = ram_at(queue->ram, descriptor.address, descriptor.length);
			if (!table)
				return broken(queue, "an indirect table lies outside RAM");
			count = descriptor.length / sizeof(descriptor);
			index = 0;
			indirect = true;
			continue;
		}

		/* Empty buffers count, too: the limit ends a chain that is a cycle. */
		if (buffers++ == VIRTQUEUE_MAX_SEGMENTS)
			return broken(queue, "a descriptor chain is too long");
		if (add_buffer(queue, chain, &descriptor) < 0)
			return -1;
		if (!(descriptor.flags & DESCRIPTOR_NEXT))
			return 0;
		index = descriptor.next;
	}
}

int virtqueue_pop(struct virtqueue *queue, struct virtqueue_chain *chain)
{
	uint16_t pending;

	if (queue->broken)
		return -1;
	if (!queue->descriptor_ring)
		return 0;

	/* Acquire: the entries were written before the index. */
	pending = (uint16_t)(__atomic_load_n(&queue->available_ring->index, __ATOMIC_ACQUIRE) -
			     queue->state.next_available);
	if (pending == 0)
		return 0;
	if (pending > queue->state.size)
		return broken(queue, "the available index runs ahead of the queue");

	chain->head = __atomic_load_n(&queue->available_ring->heads[slot(queue, queue->state.next_available)],
				      __ATOMIC_RELAXED);
	chain->readable = 0;
	chain->writable = 0;
	chain->readable_bytes = 0;
	chain->writable_bytes = 0;
	if (collect(queue, chain) < 0)
		return -1;
	queue->state.next_available++;
	queue->taken++;
	return 1;
}

void virtqueue_unpop(struct virtqueue *queue)
{
	queue->state.next_available--;
	if (queue->taken && --queue->taken == 0)
		queue->lent_count = 0;
}

void virtqueue_fill(struct virtqueue *queue, unsigned ahead, uint16_t head, uint32_t written)
{
	unsigned index = slot(queue, (uint16_t)(queue->state.next_used + ahead));

	__atomic_store_n(&queue->used_ring->elements[index].id, head, __ATOMIC_RELAXED);
	__atomic_store_n(&queue->used_ring->elements[index].length, written, __ATOMIC_RELAXED);
}

void virtqueue_publish(struct virtqueue *queue, unsigned count)
{
	queue->state.next_used = (uint16_t)(queue->state.next_used + count);
	/* Release: the elements and the buffers are written before the index. */
	__atomic_store_n(&queue->used_ring->index, queue->state.next_used, __ATOMIC_RELEASE);
	queue->taken -= MIN(count, queue->taken);
	mark_lent(queue);
}

void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written)
{
	virtqueue_fill(queue, 0, head, written);
	virtqueue_publish(queue, 1);
}

bool virtqueue_should_interrupt(struct virtqueue *queue)
{
	uint16_t before = queue->state.signalled;
	uint16_t now = queue->state.next_used;
	uint16_t event;

	/* A queue that was loaded can have pushed chains and no rings, if the snapshot is not from lkvm. */
	if (now == before || !queue->descriptor_ring)
		return false;
	queue->state.signalled = now;

	/*
	 * Our index is visible before we read what the driver wants. The driver writes what it wants before it
	 * reads our index again. So at least one side sees the write of the other, and no interrupt is lost.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!queue->event_index)
		return !(__atomic_load_n(&queue->available_ring->flags, __ATOMIC_RELAXED) &
			 AVAILABLE_NO_INTERRUPT);
	event = __atomic_load_n(&queue->available_ring->heads[queue->state.size], __ATOMIC_RELAXED);
	return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

static uint16_t *available_event(struct virtqueue *queue)
{
	return (uint16_t *)&queue->used_ring->elements[queue->state.size];
}

bool virtqueue_listen(struct virtqueue *queue)
{
	if (!queue->descriptor_ring || queue->broken)
		return false;
	if (queue->event_index)
		__atomic_store_n(available_event(queue), queue->state.next_available, __ATOMIC_RELAXED);
	else
		__atomic_store_n(&queue->used_ring->flags, 0, __ATOMIC_RELAXED);
	mark_used_ring(queue);

	/* The counterpart of the fence above. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&queue->available_ring->index, __ATOMIC_RELAXED) !=
	       queue->state.next_available;
}

void virtqueue_quiet(struct virtqueue *queue)
{
	/* With the event index, there is no notification as long as avail_event is not advanced. */
	if (!queue->descriptor_ring || queue->event_index)
		return;
	__atomic_store_n(&queue->used_ring->flags, USED_NO_NOTIFY, __ATOMIC_RELAXED);
	mark_used_ring(queue);
}

size_t virtqueue_read(const struct virtqueue_chain *chain, size_t offset, void *to, size_t length)
{
	size_t copied = 0;

	for (unsigned i = 0; i < chain->readable && copied < length; i++) {
		const struct iovec *iov = &chain->iov[i];
		size_t part;

		if (offset >= iov->iov_len) {
			offset -= iov->iov_len;
			continue;
		}
		part = iov->iov_len - offset;
		if (part > length - copied)
			part = length - copied;
		memcpy((uint8_t *)to + copied, (const uint8_t *)iov->iov_base + offset, part);
		copied += part;
		offset = 0;
	}
	/* `to` is the caller's copy: after it is checked, it is not read from the guest again. */
	__asm__ volatile("" : : : "memory");
	return copied;
}

size_t virtqueue_write(const struct virtqueue_chain *chain, size_t offset, const void *from, size_t length)
{
	size_t copied = 0;

	for (unsigned i = chain->readable; i < chain->readable + chain->writable && copied < length; i++) {
		const struct iovec *iov = &chain->iov[i];
		size_t part;

		if (offset >= iov->iov_len) {
			offset -= iov->iov_len;
			continue;
		}
		part = iov->iov_len - offset;
		if (part > length - copied)
			part = length - copied;
		memcpy((uint8_t *)iov->iov_base + offset, (const uint8_t *)from + copied, part);
		copied += part;
		offset = 0;
	}
	return copied;
}
