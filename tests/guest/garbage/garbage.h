/* SPDX-License-Identifier: MIT */
/*
 * A hostile driver: each case misuses one part of the machine, and the machine
 * must go on. After each one everything is reset and used as it should be. Kernel
 * parameters: seed=N, rounds=N (more is longer), case=NAME,NAME, vhost=1 (the
 * host's kernel serves the network's queues, and says nothing about broken ones).
 */
#ifndef GUEST_GARBAGE_H
#define GUEST_GARBAGE_H

#include "lib/gic.h"
#include "lib/parameters.h"
#include "lib/virtio.h"

struct garbage {
	struct random random;
	uint64_t rounds;
	bool vhost;
	unsigned count;
	struct virtio devices[VIRTIO_MAX_DEVICES];
	struct virtio *block, *entropy; /* NULL: none */
	uint64_t capacity;              /* of the disk, sectors */
};

/* A disk's sectors below this are ours to write; nothing above may change. */
#define DISK_OURS 2048u

/* The cases. Each has a file of its name; gic and its are in interrupts.c. */
void case_registers(struct garbage *garbage);
void case_bars(struct garbage *garbage);
void case_vectors(struct garbage *garbage);
void case_transport(struct garbage *garbage);
void case_rings(struct garbage *garbage);
void case_chains(struct garbage *garbage);
void case_races(struct garbage *garbage);
void case_requests(struct garbage *garbage);
void case_gic(struct garbage *garbage);
void case_its(struct garbage *garbage);

/* Says so and powers off. */
void fail(const char *what, ...) __attribute__((format(printf, 1, 2), noreturn));
#define CHECK(condition, ...)                                                                              \
	do {                                                                                               \
		if (!(condition))                                                                          \
			fail(__VA_ARGS__);                                                                 \
	} while (0)

/* The second vCPU's own randomness. */
extern struct random second_random;

/*
 * The queue that a device looks at when its doorbell rings, and whether it must say so when that is broken.
 */
uint16_t served_queue(const struct virtio *device);
bool notices(const struct garbage *garbage, const struct virtio *device);

/*
 * Whether to try one more mistake of many on this device: all of them on
 * the one that takes any buffers (entropy), as devices share most of what
 * deals with them; one in eight on the others, unless there is time.
 */
bool picked(struct garbage *garbage, const struct virtio *device);

/*
 * Some address, never one whose change would hurt this program: in [buffer, buffer + size), or outside RAM.
 */
uint64_t some_address(struct random *random, const void *buffer, uint64_t size);

/*
 * With the ITS and LPIs on: whether an MSI of the entropy
 * device arrives as an interrupt. Leaves the device reset.
 */
void check_message(struct garbage *garbage, const char *when);

#endif
