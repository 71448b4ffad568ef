/* SPDX-License-Identifier: MIT */
/*
 * Split virtqueues, device side. Virtual I/O Device (VIRTIO) Version 1.2, section 2.7. Pure: no I/O, no KVM;
 * guest memory only through ram_at(). Whatever the guest writes into the rings, no access is outside of guest
 * RAM, and no loop has more iterations than the queue has entries.
 */
#ifndef LKVM_VIRTIO_VIRTQUEUE_H
#define LKVM_VIRTIO_VIRTQUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "memory/ram.h"
#include "state/state_table.h"

#define VIRTQUEUE_MAX_SIZE 256     /* entries offered */
#define VIRTQUEUE_MAX_SEGMENTS 256 /* buffers of one chain, both directions together */

/* All state of a queue: what the driver programmed, and the position of both sides. */
struct virtqueue_state {
	uint64_t descriptors; /* guest physical addresses of the three rings */
	uint64_t driver;
	uint64_t device;
	uint16_t maximum; /* entries at reset; power of two */
	uint16_t size;    /* entries */
	uint16_t enabled; /* 0 or 1 */
	uint16_t vector;  /* MSI-X vector or 0xffff */
	uint16_t next_available; /* the next entry of the available ring to pop */
	uint16_t next_used;      /* the next entry of the used ring to fill */
	uint16_t signalled;      /* value of next_used at the last interrupt decision (event index) */
	uint16_t padding;
};

extern const struct state_table virtqueue_state_table;

#define VIRTQUEUE_LENT 256u /* ranges of memory; adjacent ones are merged */

struct virtqueue {
	struct virtqueue_state state;

	/* Set by virtqueue_start(), from the state. */
	const struct ram *ram;
	bool event_index;
	bool indirect;
	bool broken; /* the guest broke the protocol: no more chains until reset */
	const char *reason; /* why, a static string; NULL unless broken */
	struct virtqueue_descriptor *descriptor_ring; /* NULL: not started */
	struct virtqueue_available *available_ring;
	struct virtqueue_used *used_ring;

	/* Chains that were popped and neither pushed nor unpopped, and their writable memory. */
	unsigned taken;
	unsigned lent_count;
	struct virtqueue_lent { const uint8_t *host; uint64_t size; } lent[VIRTQUEUE_LENT];
};

/*
 * One request: readable buffers (from the driver), then writable ones, as pointers into guest RAM. None is empty. The
 * device may change the iovecs.
 */
struct virtqueue_chain {
	uint16_t head;
	unsigned readable; /* iov[0..readable) */
	unsigned writable; /* iov[readable..readable+writable) */
	uint64_t readable_bytes;
	uint64_t writable_bytes;
	struct iovec iov[VIRTQUEUE_MAX_SEGMENTS];
};

/* The size of each ring in bytes, always with the event fields (2.7, table of alignments). */
struct virtqueue_rings {
	uint64_t descriptors, driver, device;
};
struct virtqueue_rings virtqueue_rings(const struct virtqueue_state *state);

/* NULL, or a static string: what is wrong with the size or the rings' alignment. */
const char *virtqueue_fault(const struct virtqueue_state *state);

/* Resets the queue: everything is zero, but size = maximum, and no vector. */
void virtqueue_reset(struct virtqueue *queue, uint16_t maximum);

/*
 * Checks the addresses that the driver set, and stores pointers to the rings. 0, or -1 with queue->reason set and the
 * queue broken: the size is not a power of two or above maximum, or a ring is outside of RAM or misaligned.
 */
int virtqueue_start(struct virtqueue *queue, const struct ram *ram, bool event_index, bool indirect);

/* Pops a chain: 1. 0: there is none. -1: the guest broke the protocol (queue->broken, reason set). */
int virtqueue_pop(struct virtqueue *queue, struct virtqueue_chain *chain);

/* Undoes the last pop, if the device cannot use the chain now. The chain must not have been written. */
void virtqueue_unpop(struct virtqueue *queue);

/* Returns a chain to the driver, with `written` bytes of its writable part filled. The driver sees it at once. */
void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written);

/* The same, but the driver sees them only after virtqueue_publish(): for one packet in several chains. */
void virtqueue_fill(struct virtqueue *queue, unsigned ahead, uint16_t head, uint32_t written);
void virtqueue_publish(struct virtqueue *queue, unsigned count);

/* Whether the driver wants an interrupt for what was pushed since the last call (2.7.7, 2.7.10). */
bool virtqueue_should_interrupt(struct virtqueue *queue);

/*
 * virtqueue_listen() requests a notification for the next buffer. True if buffers were added meanwhile: then pop them,
 * because there may be no notification. virtqueue_quiet() requests no notifications, while the device polls.
 */
bool virtqueue_listen(struct virtqueue *queue);
void virtqueue_quiet(struct virtqueue *queue);

/*
 * Copies between a chain and a buffer, from `offset` in the readable (or writable) part on. Returns the bytes
 * copied.
 */
size_t virtqueue_read(const struct virtqueue_chain *chain, size_t offset, void *to, size_t length);
size_t virtqueue_write(const struct virtqueue_chain *chain, size_t offset, const void *from, size_t length);

#endif
