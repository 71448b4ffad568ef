/* SPDX-License-Identifier: MIT */
/*
 * A hostile driver. Each case misuses one part of the machine, and the machine must continue. After each case everything is
 * reset and used correctly. Kernel parameters: seed=N, rounds=N (more take longer), case=NAME,NAME, vhost=1 (the host's kernel
 * serves the network's queues, and does not report broken ones).
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

/* The cases may write the disk's sectors below this. No sector above may change. */
#define DISK_OURS 2048u

/* The cases. Each is in a file with its name, except gic and its, which are in interrupts.c. */
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

/* Prints the message and powers off. */
void fail(const char *what, ...) __attribute__((format(printf, 1, 2), noreturn));
#define CHECK(condition, ...)                                                                              \
	do {                                                                                               \
		if (!(condition))                                                                          \
			fail(__VA_ARGS__);                                                                 \
	} while (0)

/* The random numbers of the second vCPU. */
extern struct random second_random;

/*
 * served_queue() returns the queue that a device serves after a doorbell. notices() returns whether the device must set
 * NEEDS_RESET if that queue is broken.
 */
uint16_t served_queue(const struct virtio *device);
bool notices(const struct garbage *garbage, const struct virtio *device);

/*
 * Returns whether to try the next of many errors on this device. The entropy device, which accepts any buffers, gets all of
 * them, as devices share most of the code. Other devices get one in eight, or all with rounds=1000 or more.
 */
bool picked(struct garbage *garbage, const struct virtio *device);

/*
 * Returns a random address in [buffer, buffer + size) or outside of RAM, so that writes to it do not damage this program.
 */
uint64_t some_address(struct random *random, const void *buffer, uint64_t size);

/*
 * Returns whether an MSI of the entropy device arrives as an interrupt. ITS and LPIs must be enabled. Resets the device.
 */
void check_message(struct garbage *garbage, const char *when);

#endif
