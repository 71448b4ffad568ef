/* SPDX-License-Identifier: MIT */
/* The common configuration structure: the registers by which a driver sets up a device. VIRTIO 1.2, section 4.1.4.3. */
#include <linux/virtio_pci.h>

#include "transport.h"

/* The size of the field that starts at each offset, in bytes. A 64-bit field has two halves (4.1.4.3). */
static const uint8_t field_sizes[VIRTIO_COMMON_SIZE] = {
	[VIRTIO_PCI_COMMON_DFSELECT] = 4,
	[VIRTIO_PCI_COMMON_DF] = 4,
	[VIRTIO_PCI_COMMON_GFSELECT] = 4,
	[VIRTIO_PCI_COMMON_GF] = 4,
	[VIRTIO_PCI_COMMON_MSIX] = 2,
	[VIRTIO_PCI_COMMON_NUMQ] = 2,
	[VIRTIO_PCI_COMMON_STATUS] = 1,
	[VIRTIO_PCI_COMMON_CFGGENERATION] = 1,
	[VIRTIO_PCI_COMMON_Q_SELECT] = 2,
	[VIRTIO_PCI_COMMON_Q_SIZE] = 2,
	[VIRTIO_PCI_COMMON_Q_MSIX] = 2,
	[VIRTIO_PCI_COMMON_Q_ENABLE] = 2,
	[VIRTIO_PCI_COMMON_Q_NOFF] = 2,
	[VIRTIO_PCI_COMMON_Q_DESCLO] = 4,
	[VIRTIO_PCI_COMMON_Q_DESCHI] = 4,
	[VIRTIO_PCI_COMMON_Q_AVAILLO] = 4,
	[VIRTIO_PCI_COMMON_Q_AVAILHI] = 4,
	[VIRTIO_PCI_COMMON_Q_USEDLO] = 4,
	[VIRTIO_PCI_COMMON_Q_USEDHI] = 4,
};

/* The queue that queue_select selects. NULL: none; its registers read as zero, so that the driver finds no queue. */
static struct virtqueue_state *selected_queue(struct virtio_device *device)
{
	unsigned index = device->state.queue_select;

	return index < device->queue_count ? &device->queues[index].state : NULL;
}

static uint32_t half_of(uint64_t value, uint32_t select)
{
	return select == 0 ? (uint32_t)value : select == 1 ? (uint32_t)(value >> 32) : 0;
}

static void set_half(uint64_t *value, uint32_t select, uint32_t half)
{
	if (select == 0)
		*value = (*value & ~0xffffffffull) | half;
	else if (select == 1)
		*value = (*value & 0xffffffffull) | (uint64_t)half << 32;
}

static uint32_t queue_read(struct virtio_device *device, unsigned field)
{
	const struct virtqueue_state *queue = selected_queue(device);

	if (!queue)
		return field == VIRTIO_PCI_COMMON_Q_MSIX ? VIRTIO_NO_VECTOR : 0;
	switch (field) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return queue->size;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return queue->vector;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return queue->enabled;
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return device->state.queue_select;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		return half_of(queue->descriptors, field == VIRTIO_PCI_COMMON_Q_DESCHI);
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		return half_of(queue->driver, field == VIRTIO_PCI_COMMON_Q_AVAILHI);
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return half_of(queue->device, field == VIRTIO_PCI_COMMON_Q_USEDHI);
	default:
		return 0;
	}
}

static uint32_t field_read(struct virtio_device *device, unsigned field)
{
	const struct virtio_state *state = &device->state;

	switch (field) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return state->device_feature_select;
	case VIRTIO_PCI_COMMON_DF:
		return half_of(state->offered, state->device_feature_select);
	case VIRTIO_PCI_COMMON_GFSELECT:
		return state->driver_feature_select;
	case VIRTIO_PCI_COMMON_GF:
		return half_of(state->accepted, state->driver_feature_select);
	case VIRTIO_PCI_COMMON_MSIX:
		return state->config_vector;
	case VIRTIO_PCI_COMMON_NUMQ:
		return device->queue_count;
	case VIRTIO_PCI_COMMON_STATUS:
		return virtio_status(device);
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return __atomic_load_n(&state->generation, __ATOMIC_SEQ_CST);
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return state->queue_select;
	default:
		return queue_read(device, field);
	}
}

static void queue_write(struct virtio_device *device, unsigned field, uint32_t value)
{
	struct virtqueue_state *queue = selected_queue(device);

	if (!queue)
		return;
	if (field == VIRTIO_PCI_COMMON_Q_MSIX) {
		virtio_set_vector(device, &queue->vector, (uint16_t)value);
		return;
	}
	/* An enabled queue is fixed until reset, and none is enabled once the device runs (3.1.1, step 7). */
	if (queue->enabled || (virtio_status(device) & VIRTIO_STATUS_DRIVER_OK))
		return;
	switch (field) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		/* A wrong size is ignored. The driver notices that by reading it back. */
		if (value > 0 && value <= queue->maximum && (value & (value - 1)) == 0)
			queue->size = (uint16_t)value;
		return;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		queue->enabled = value == 1;
		return;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		set_half(&queue->descriptors, field == VIRTIO_PCI_COMMON_Q_DESCHI, value);
		return;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		set_half(&queue->driver, field == VIRTIO_PCI_COMMON_Q_AVAILHI, value);
		return;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		set_half(&queue->device, field == VIRTIO_PCI_COMMON_Q_USEDHI, value);
		return;
	default:
		return;
	}
}

static void field_write(struct virtio_device *device, unsigned field, uint32_t value)
{
	struct virtio_state *state = &device->state;

	switch (field) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		state->device_feature_select = value;
		return;
	case VIRTIO_PCI_COMMON_GFSELECT:
		state->driver_feature_select = value;
		return;
	case VIRTIO_PCI_COMMON_GF:
		if (!(virtio_status(device) & VIRTIO_STATUS_FEATURES_OK))
			set_half(&state->accepted, state->driver_feature_select, value);
		return;
	case VIRTIO_PCI_COMMON_MSIX:
		virtio_set_vector(device, &state->config_vector, (uint16_t)value);
		return;
	case VIRTIO_PCI_COMMON_STATUS:
		virtio_set_status(device, (uint8_t)value);
		return;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		state->queue_select = (uint16_t)value;
		return;
	default:
		queue_write(device, field, value);
		return;
	}
}

static bool is_field(uint64_t offset, unsigned size)
{
	return offset < VIRTIO_COMMON_SIZE && field_sizes[offset] == size;
}

/* Two 32-bit halves, read or written at once. */
static bool is_pair(uint64_t offset, unsigned size)
{
	return size == 8 && is_field(offset, 4) && is_field(offset + 4, 4);
}

uint64_t virtio_common_read(struct virtio_device *device, uint64_t offset, unsigned size)
{
	uint64_t value;

	if (!is_field(offset, size) && !is_pair(offset, size))
		return 0;
	value = field_read(device, (unsigned)offset);
	if (size == 8)
		value |= (uint64_t)field_read(device, (unsigned)offset + 4) << 32;
	return value;
}

void virtio_common_write(struct virtio_device *device, uint64_t offset, unsigned size, uint64_t value)
{
	if (!is_field(offset, size) && !is_pair(offset, size))
		return;
	field_write(device, (unsigned)offset, (uint32_t)value);
	if (size == 8)
		field_write(device, (unsigned)offset + 4, (uint32_t)(value >> 32));
}
