/* SPDX-License-Identifier: MIT */
/*
 * The lower part of a virtio driver (VIRTIO 1.2, 2.7 and 4.1).
 * Nothing is hidden, as tests misuse every part of it.
 */
#ifndef GUEST_VIRTIO_H
#define GUEST_VIRTIO_H

#include "lib/pci.h"

enum virtio_type {
	VIRTIO_NET = 1, VIRTIO_BLOCK = 2, VIRTIO_CONSOLE = 3, VIRTIO_ENTROPY = 4, VIRTIO_BALLOON = 5,
	VIRTIO_INPUT = 18,
};

enum virtio_status {
	STATUS_ACKNOWLEDGE = 1, STATUS_DRIVER = 2, STATUS_DRIVER_OK = 4, STATUS_FEATURES_OK = 8,
	STATUS_NEEDS_RESET = 64, STATUS_FAILED = 128,
};

#define FEATURE_INDIRECT (1ull << 28)
#define FEATURE_EVENT_INDEX (1ull << 29)
#define FEATURE_VERSION_1 (1ull << 32)

/* Offsets in the common configuration structure. */
enum virtio_common {
	COMMON_DEVICE_FEATURE_SELECT = 0,
	COMMON_DEVICE_FEATURE = 4,
	COMMON_DRIVER_FEATURE_SELECT = 8,
	COMMON_DRIVER_FEATURE = 12,
	COMMON_CONFIG_VECTOR = 16,
	COMMON_QUEUES = 18,
	COMMON_STATUS = 20,
	COMMON_GENERATION = 21,
	COMMON_QUEUE_SELECT = 22,
	COMMON_QUEUE_SIZE = 24,
	COMMON_QUEUE_VECTOR = 26,
	COMMON_QUEUE_ENABLE = 28,
	COMMON_QUEUE_NOTIFY = 30,
	COMMON_QUEUE_DESCRIPTORS = 32,
	COMMON_QUEUE_DRIVER = 40,
	COMMON_QUEUE_DEVICE = 48,
	COMMON_SIZE = 56,
};

#define VIRTIO_NO_VECTOR 0xffffu

struct virtio {
	struct pci_function function;
	enum virtio_type type;
	unsigned number; /* among all devices, in slot order */
	uint64_t common, isr, doorbells, config; /* addresses of the structures; config may be 0: none */
	uint32_t config_size, doorbell_stride;
	unsigned access;   /* offset of the PCI configuration access capability */
	uint16_t queues;
	uint64_t offered;  /* features */
	bool messages;     /* queue n uses vector n + 1; the caller enables MSI-X */
};

/* Descriptor flags. */
enum { DESCRIPTOR_NEXT = 1, DESCRIPTOR_WRITE = 2, DESCRIPTOR_INDIRECT = 4 };

struct descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};

struct available_ring {
	uint16_t flags, index, heads[];
};

struct used_ring {
	uint16_t flags, index;
	struct {
		uint32_t id, length;
	} elements[];
};

struct queue {
	struct virtio *device;
	uint16_t index, size;
	struct descriptor *descriptors;
	struct available_ring *available;
	struct used_ring *used;
	uint64_t doorbell;
	uint16_t seen; /* used entries that were taken */
};

#define QUEUE_SIZE 64u

/* Finds all devices in slot order, and enables memory and bus mastering. Returns their number. */
#define VIRTIO_MAX_DEVICES 32u
unsigned virtio_find_all(struct virtio *devices);

/* Returns the first device of a type, or NULL. */
struct virtio *virtio_find(struct virtio *devices, unsigned count, enum virtio_type type);
const char *virtio_name(const struct virtio *device);

/* Finds the structures again after the BARs moved. */
void virtio_locate(struct virtio *device);

uint8_t virtio_status(const struct virtio *device);
void virtio_reset(struct virtio *device);

/*
 * Resets, and negotiates these features and VERSION_1 up to
 * FEATURES_OK. False: the device refuses them.
 */
bool virtio_negotiate(struct virtio *device, uint64_t features);
void virtio_start(struct virtio *device); /* sets DRIVER_OK */

/* Waits for NEEDS_RESET. False: the device does not set it in time. */
bool virtio_wait_broken(struct virtio *device);

/* Allocates rings in scratch memory and programs their addresses. Does not enable the queue. False: no such queue. */
bool queue_prepare(struct virtio *device, struct queue *queue, uint16_t index);
void queue_enable(const struct queue *queue);
void queue_select(const struct virtio *device, uint16_t index);

/* Negotiates, prepares and enables the device's queues up to `count`, and sets DRIVER_OK. */
bool virtio_run(struct virtio *device, uint64_t features, struct queue *queues, unsigned count);

void queue_describe(struct queue *queue, uint16_t number, uint64_t address, uint32_t length, uint16_t flags,
		    uint16_t next);
void queue_submit(struct queue *queue, uint16_t head); /* also rings the doorbell */
void queue_ring(const struct queue *queue);

/* Waits for the next used buffer. False: there is none within `limit` milliseconds. */
bool queue_wait(struct queue *queue, unsigned limit);

/* Complete requests on a device that runs queue 0. A block request returns its status byte, or 0xff without an answer. */
enum block_type {
	BLOCK_IN = 0, BLOCK_OUT = 1, BLOCK_FLUSH = 4, BLOCK_ID = 8, BLOCK_DISCARD = 11, BLOCK_ZEROES = 13,
};
enum block_status { BLOCK_OK = 0, BLOCK_ERROR = 1, BLOCK_UNSUPPORTED = 2, BLOCK_NO_ANSWER = 0xff };
#define SECTOR 512u
uint64_t block_capacity(const struct virtio *device); /* sectors */
uint8_t block_request(struct queue *queue, uint32_t type, uint64_t sector, void *data, uint32_t size);
bool entropy_request(struct queue *queue, void *data, uint32_t size);

#endif
