/* SPDX-License-Identifier: MIT */
/*
 * Split virtqueues, device side. Virtual I/O Device (VIRTIO) Version 1.2, section 2.7. Pure: no I/O, no
 * KVM; guest memory through ram_at() only. Whatever the guest puts into the rings, nothing here reads or
 * writes outside guest RAM, and nothing loops longer than the queue is large.
 */
#ifndef LKVM_VIRTIO_VIRTQUEUE_H
#define LKVM_VIRTIO_VIRTQUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "memory/ram.h"
#include "state/state_table.h"

#define VIRTQUEUE_MAX_SIZE 256     /* entries that we offer */
#define VIRTQUEUE_MAX_SEGMENTS 256 /* buffers of one chain, both directions together */

/* What the driver programmed and how far both sides are: all of a queue's state. */
struct virtqueue_state {
	uint64_t descriptors; /* guest physical addresses of the three rings */
	uint64_t driver;
	uint64_t device;
	uint16_t maximum; /* entries at reset; power of two */
	uint16_t size;    /* entries */
	uint16_t enabled; /* 0 or 1 */
	uint16_t vector;  /* MSI-X vector or 0xffff */
	uint16_t next_available; /* the next entry of the available ring to take */
	uint16_t next_used;      /* the next entry of the used ring to fill */
	uint16_t signalled;      /* value of next_used at the last interrupt decision (event index) */
	uint16_t padding;
};

extern const struct state_table virtqueue_state_table;

#define VIRTQUEUE_LENT 256u /* places; neighbours are one */

struct virtqueue {
	struct virtqueue_state state;

	/* Made from the state by virtqueue_start(). */
	const struct ram *ram;
	bool event_index;
	bool indirect;
	bool broken; /* the guest broke the protocol: no more is taken until reset */
	const char *reason; /* why, a static string; NULL unless broken */
	struct virtqueue_descriptor *descriptor_ring; /* NULL: not started */
	struct virtqueue_available *available_ring;
	struct virtqueue_used *used_ring;

	/* The chains that were taken and neither returned nor given back, and where they may be written. */
	unsigned taken;
	unsigned lent_count;
	struct virtqueue_lent { const uint8_t *host; uint64_t size; } lent[VIRTQUEUE_LENT];
};

/*
 * One request: readable buffers (from the driver) first, then writable ones, as pointers into guest RAM. None is
 * empty. The device may change the iovecs as it goes.
 */
struct virtqueue_chain {
	uint16_t head;
	unsigned readable; /* iov[0..readable) */
	unsigned writable; /* iov[readable..readable+writable) */
	uint64_t readable_bytes;
	uint64_t writable_bytes;
	struct iovec iov[VIRTQUEUE_MAX_SEGMENTS];
};

/* Bytes of each ring, with the event fields, whether they are used or not (2.7, table of alignments). */
struct virtqueue_rings {
	uint64_t descriptors, driver, device;
};
struct virtqueue_rings virtqueue_rings(const struct virtqueue_state *state);

/* What is wrong with the size or the rings' alignment, a static string, or NULL. */
const char *virtqueue_fault(const struct virtqueue_state *state);

/* Back to reset: everything zero but `maximum`, `size` = maximum, no vector. */
void virtqueue_reset(struct virtqueue *queue, uint16_t maximum);

/*
 * Checks the addresses that the driver gave and keeps pointers to the rings. 0, or -1 with queue->reason set
 * (then broken): size not a power of two or beyond maximum, a ring outside RAM or misaligned.
 */
int virtqueue_start(struct virtqueue *queue, const struct ram *ram, bool event_index, bool indirect);

/* 1: a chain was taken; 0: nothing there; -1: the guest broke the protocol (queue->broken, reason set). */
int virtqueue_pop(struct virtqueue *queue, struct virtqueue_chain *chain);

/* Gives the last popped chain back to the ring as if it had not been taken (no room in the device now): it is not written. */
void virtqueue_unpop(struct virtqueue *queue);

/* Returns a chain to the driver, `written` bytes of its writable part filled. Visible at once. */
void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written);

/* As push, but invisible until virtqueue_publish(): for buffers of one packet spread over several chains. */
void virtqueue_fill(struct virtqueue *queue, unsigned ahead, uint16_t head, uint32_t written);
void virtqueue_publish(struct virtqueue *queue, unsigned count);

/* Whether the driver wants an interrupt for what was pushed since the last call (2.7.7, 2.7.10). */
bool virtqueue_should_interrupt(struct virtqueue *queue);

/*
 * Asks the driver for a notification at the next buffer, and returns true if buffers came in meanwhile (then go on
 * popping: a notification may not come). virtqueue_quiet asks it to leave us alone while we look anyway.
 */
bool virtqueue_listen(struct virtqueue *queue);
void virtqueue_quiet(struct virtqueue *queue);

/* Copies between a chain and a buffer, `offset` bytes into the readable (or writable) part; bytes copied. */
size_t virtqueue_read(const struct virtqueue_chain *chain, size_t offset, void *to, size_t length);
size_t virtqueue_write(const struct virtqueue_chain *chain, size_t offset, const void *from, size_t length);

#endif
