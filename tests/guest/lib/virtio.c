/* SPDX-License-Identifier: MIT */
/* Finds virtio devices, negotiates, sets up queues and makes requests. */
#include "lib/virtio.h"

#define VENDOR 0x1af4u
#define FIRST_DEVICE 0x1040u

#define ANSWER_MILLISECONDS 3000u /* the host may be emulated, and busy */

/* Kinds of a virtio capability, and offsets in it (4.1.4). */
enum {
	CAPABILITY_COMMON = 1,
	CAPABILITY_NOTIFY = 2,
	CAPABILITY_ISR = 3,
	CAPABILITY_DEVICE = 4,
	CAPABILITY_PCI = 5
};
enum {
	CAPABILITY_KIND = 3,
	CAPABILITY_BAR = 4,
	CAPABILITY_OFFSET = 8,
	CAPABILITY_LENGTH = 12,
	CAPABILITY_STRIDE = 16
};

const char *virtio_name(const struct virtio *device)
{
	switch (device->type) {
	case VIRTIO_NET:
		return "net";
	case VIRTIO_BLOCK:
		return "blk";
	case VIRTIO_CONSOLE:
		return "console";
	case VIRTIO_ENTROPY:
		return "rng";
	case VIRTIO_BALLOON:
		return "balloon";
	case VIRTIO_INPUT:
		return "input";
	}
	return "unknown";
}

void virtio_locate(struct virtio *device)
{
	const struct pci_function *function = &device->function;

	for (unsigned offset = 0; (offset = pci_capability(function, PCI_CAPABILITY_VENDOR, offset));) {
		uint64_t capability = function->config + offset;
		unsigned bar = read8(capability + CAPABILITY_BAR);
		uint64_t address = bar < PCI_BARS ? function->bars[bar].address +
							    read32(capability + CAPABILITY_OFFSET) :
						    0;

		switch (read8(capability + CAPABILITY_KIND)) {
		case CAPABILITY_COMMON:
			device->common = address;
			break;
		case CAPABILITY_NOTIFY:
			device->doorbells = address;
			device->doorbell_stride = read32(capability + CAPABILITY_STRIDE);
			break;
		case CAPABILITY_ISR:
			device->isr = address;
			break;
		case CAPABILITY_DEVICE:
			device->config = address;
			device->config_size = read32(capability + CAPABILITY_LENGTH);
			break;
		case CAPABILITY_PCI:
			device->access = offset;
			break;
		}
	}
}

static uint64_t read_features(const struct virtio *device)
{
	uint64_t features = 0;

	for (unsigned half = 0; half < 2; half++) {
		write32(device->common + COMMON_DEVICE_FEATURE_SELECT, half);
		features |= (uint64_t)read32(device->common + COMMON_DEVICE_FEATURE) << 32 * half;
	}
	return features;
}

unsigned virtio_find_all(struct virtio *devices)
{
	unsigned count = 0;

	for (unsigned slot = 0; slot < BOARD_SLOTS && count < VIRTIO_MAX_DEVICES; slot++) {
		struct virtio *device = &devices[count];

		*device = (struct virtio){ .number = count };
		if (!pci_find(&device->function, slot) || device->function.vendor != VENDOR ||
		    device->function.device < FIRST_DEVICE)
			continue;
		device->type = device->function.device - FIRST_DEVICE;
		pci_command(&device->function, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		virtio_locate(device);
		device->queues = read16(device->common + COMMON_QUEUES);
		device->offered = read_features(device);
		count++;
	}
	return count;
}

struct virtio *virtio_find(struct virtio *devices, unsigned count, enum virtio_type type)
{
	for (unsigned i = 0; i < count; i++)
		if (devices[i].type == type)
			return &devices[i];
	return NULL;
}

uint8_t virtio_status(const struct virtio *device)
{
	return read8(device->common + COMMON_STATUS);
}

void virtio_reset(struct virtio *device)
{
	write8(device->common + COMMON_STATUS, 0);
	while (virtio_status(device))
		;
}

bool virtio_negotiate(struct virtio *device, uint64_t features)
{
	const uint64_t status = device->common + COMMON_STATUS;

	virtio_reset(device);
	write8(status, STATUS_ACKNOWLEDGE);
	write8(status, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	features |= FEATURE_VERSION_1;
	for (unsigned half = 0; half < 2; half++) {
		write32(device->common + COMMON_DRIVER_FEATURE_SELECT, half);
		write32(device->common + COMMON_DRIVER_FEATURE, (uint32_t)(features >> 32 * half));
	}
	write8(status, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	return virtio_status(device) & STATUS_FEATURES_OK;
}

void virtio_start(struct virtio *device)
{
	write8(device->common + COMMON_STATUS,
	       STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
}

bool virtio_wait_broken(struct virtio *device)
{
	uint64_t end = milliseconds() + ANSWER_MILLISECONDS;

	do {
		if (virtio_status(device) & STATUS_NEEDS_RESET)
			return true;
	} while (milliseconds() < end);
	return false;
}

void queue_select(const struct virtio *device, uint16_t index)
{
	write16(device->common + COMMON_QUEUE_SELECT, index);
}

bool queue_prepare(struct virtio *device, struct queue *queue, uint16_t index)
{
	uint16_t maximum;

	queue_select(device, index);
	maximum = read16(device->common + COMMON_QUEUE_SIZE);
	if (!maximum)
		return false;
	*queue = (struct queue){ .device = device,
				 .index = index,
				 .size = maximum < QUEUE_SIZE ? maximum : QUEUE_SIZE };
	queue->descriptors = scratch(16ul * queue->size, 16);
	queue->available = scratch(6ul + 2ul * queue->size, 2);
	queue->used = scratch(6ul + 8ul * queue->size, 4);
	queue->doorbell = device->doorbells +
			  (uint64_t)read16(device->common + COMMON_QUEUE_NOTIFY) * device->doorbell_stride;
	write16(device->common + COMMON_QUEUE_SIZE, queue->size);
	if (device->messages)
		write16(device->common + COMMON_QUEUE_VECTOR, (uint16_t)(index + 1));
	write64(device->common + COMMON_QUEUE_DESCRIPTORS, (uint64_t)queue->descriptors);
	write64(device->common + COMMON_QUEUE_DRIVER, (uint64_t)queue->available);
	write64(device->common + COMMON_QUEUE_DEVICE, (uint64_t)queue->used);
	return true;
}

void queue_enable(const struct queue *queue)
{
	queue_select(queue->device, queue->index);
	write16(queue->device->common + COMMON_QUEUE_ENABLE, 1);
}

bool virtio_run(struct virtio *device, uint64_t features, struct queue *queues, unsigned count)
{
	if (!virtio_negotiate(device, features))
		return false;
	for (unsigned i = 0; i < count; i++) {
		if (!queue_prepare(device, &queues[i], (uint16_t)i))
			return false;
		queue_enable(&queues[i]);
	}
	virtio_start(device);
	return !(virtio_status(device) & STATUS_NEEDS_RESET);
}

void queue_describe(struct queue *queue, uint16_t number, uint64_t address, uint32_t length, uint16_t flags,
		    uint16_t next)
{
	queue->descriptors[number] = (struct descriptor){ address, length, flags, next };
}

void queue_ring(const struct queue *queue)
{
	barrier();
	write16(queue->doorbell, queue->index);
}

void queue_submit(struct queue *queue, uint16_t head)
{
	uint16_t index = queue->available->index;

	queue->available->heads[index % queue->size] = head;
	__atomic_store_n(&queue->available->index, (uint16_t)(index + 1), __ATOMIC_RELEASE);
	queue_ring(queue);
}

bool queue_wait(struct queue *queue, unsigned limit)
{
	uint64_t end = milliseconds() + limit;

	do {
		if (__atomic_load_n(&queue->used->index, __ATOMIC_ACQUIRE) != queue->seen) {
			queue->seen++;
			return true;
		}
	} while (milliseconds() < end);
	return false;
}

uint64_t block_capacity(const struct virtio *device)
{
	return read32(device->config) | (uint64_t)read32(device->config + 4) << 32;
}

uint8_t block_request(struct queue *queue, uint32_t type, uint64_t sector, void *data, uint32_t size)
{
	static struct {
		uint32_t type, reserved;
		uint64_t sector;
	} header;
	static volatile uint8_t status;
	uint16_t direction = type == BLOCK_IN || type == BLOCK_ID ? DESCRIPTOR_WRITE : 0;

	header.type = type;
	header.sector = sector;
	status = BLOCK_NO_ANSWER;
	queue_describe(queue, 0, (uint64_t)&header, sizeof(header), DESCRIPTOR_NEXT, size ? 1 : 2);
	queue_describe(queue, 1, (uint64_t)data, size, DESCRIPTOR_NEXT | direction, 2);
	queue_describe(queue, 2, (uint64_t)&status, 1, DESCRIPTOR_WRITE, 0);
	queue_submit(queue, 0);
	return queue_wait(queue, ANSWER_MILLISECONDS) ? status : (uint8_t)BLOCK_NO_ANSWER;
}

bool entropy_request(struct queue *queue, void *data, uint32_t size)
{
	queue_describe(queue, 0, (uint64_t)data, size, DESCRIPTOR_WRITE, 0);
	queue_submit(queue, 0);
	return queue_wait(queue, ANSWER_MILLISECONDS);
}
