/* SPDX-License-Identifier: MIT */
/*
 * The transport's registers as a PCI function shows them: VIRTIO 1.2, section 4.1. BAR 0 holds MSI-X, BAR 4 a
 * page for each structure, and capabilities in config space say which is where.
 */
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <stddef.h>
#include <string.h>

#include "transport.h"

#define MSIX_BAR 0u
#define REGISTER_BAR 4u

/* Offsets in the register BAR. */
#define COMMON_REGION 0x0000u
#define ISR_REGION 0x1000u
#define CONFIG_REGION 0x2000u
#define DOORBELL_REGION 0x3000u
#define REGION_SIZE 0x1000u
#define REGISTERS_SIZE 0x4000u

#define COMMON_SIZE 0x3cu /* up to queue_reset, which reads as zero: not offered */

/* Bytes of the field at each offset where one starts, or of one half where it is a 64-bit one (4.1.4.3). */
static const uint8_t field_sizes[COMMON_SIZE] = {
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

/* The queue that queue_select names, or NULL: its registers read as zero then, so the driver sees none. */
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

static uint32_t common_read(struct virtio_device *device, unsigned field)
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
		/* The driver sees that a wrong size was not taken by reading it back. */
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

static void common_write(struct virtio_device *device, unsigned field, uint32_t value)
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
	return offset < COMMON_SIZE && field_sizes[offset] == size;
}

/* Device-specific configuration: only accesses that lie inside it reach the device. */
static bool in_config(const struct virtio_device *device, uint64_t offset, unsigned size)
{
	return offset < device->config_size && size <= device->config_size - offset;
}

static uint64_t registers_read(void *owner, uint64_t offset, unsigned size)
{
	struct virtio_device *device = owner;
	uint64_t within = offset % REGION_SIZE;
	uint64_t value = 0;

	pthread_mutex_lock(&device->lock);
	switch (offset - within) {
	case COMMON_REGION:
		if (is_field(within, size)) {
			value = common_read(device, (unsigned)within);
		} else if (size == 8 && is_field(within, 4) && is_field(within + 4, 4)) {
			value = common_read(device, (unsigned)within);
			value |= (uint64_t)common_read(device, (unsigned)within + 4) << 32;
		}
		break;
	case ISR_REGION:
		if (within == 0)
			value = virtio_isr_take(device);
		break;
	case CONFIG_REGION:
		if (device->ops->config_read && in_config(device, within, size))
			device->ops->config_read(device, (unsigned)within, size, &value);
		break;
	default: /* doorbells read as zero */
		break;
	}
	pthread_mutex_unlock(&device->lock);
	return value;
}

static void registers_write(void *owner, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtio_device *device = owner;
	uint64_t within = offset % REGION_SIZE;

	pthread_mutex_lock(&device->lock);
	switch (offset - within) {
	case COMMON_REGION:
		if (is_field(within, size)) {
			common_write(device, (unsigned)within, (uint32_t)value);
		} else if (size == 8 && is_field(within, 4) && is_field(within + 4, 4)) {
			common_write(device, (unsigned)within, (uint32_t)value);
			common_write(device, (unsigned)within + 4, (uint32_t)(value >> 32));
		}
		break;
	case CONFIG_REGION:
		if (device->ops->config_write && in_config(device, within, size))
			device->ops->config_write(device, (unsigned)within, size, &value);
		break;
	case DOORBELL_REGION:
		virtio_doorbell_ring(device, within / VIRTIO_DOORBELL_STRIDE);
		break;
	default: /* the ISR is read-only */
		break;
	}
	pthread_mutex_unlock(&device->lock);
}

static const struct bus_ops register_ops = { .read = registers_read, .write = registers_write };

static void registers_moved(void *owner, uint64_t address, bool mapped)
{
	virtio_doorbells_move(owner, address + DOORBELL_REGION, mapped);
}

/*
 * The PCI configuration access capability (4.1.4.9): registers for firmware that cannot map a BAR. Its data
 * field is a window on the register BAR; an access that does not fit it does nothing.
 */
static bool access_window(struct virtio_device *device, uint32_t *offset, uint32_t *size, uint32_t *data)
{
	const uint8_t *capability = device->pci.state.config + device->access_capability;
	uint8_t bar;

	pthread_mutex_lock(&device->pci.lock);
	bar = capability[offsetof(struct virtio_pci_cap, bar)];
	memcpy(offset, capability + offsetof(struct virtio_pci_cap, offset), sizeof(*offset));
	memcpy(size, capability + offsetof(struct virtio_pci_cap, length), sizeof(*size));
	memcpy(data, capability + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data), sizeof(*data));
	pthread_mutex_unlock(&device->pci.lock);

	return bar == REGISTER_BAR && (*size == 1 || *size == 2 || *size == 4) && *offset % *size == 0 &&
	       *offset < REGISTERS_SIZE;
}

static void access_read(void *owner, unsigned hook_offset, unsigned hook_size)
{
	struct virtio_device *device = owner;
	uint32_t offset, size, data;

	(void)hook_offset;
	(void)hook_size;
	if (!access_window(device, &offset, &size, &data))
		return;
	data = (uint32_t)registers_read(device, offset, size);
	pthread_mutex_lock(&device->pci.lock);
	memcpy(device->pci.state.config + device->pci.hook_offset, &data, size);
	pthread_mutex_unlock(&device->pci.lock);
}

static void access_write(void *owner, unsigned hook_offset, unsigned hook_size, uint64_t value)
{
	struct virtio_device *device = owner;
	uint32_t offset, size, data;

	(void)hook_offset;
	(void)hook_size;
	(void)value; /* it may be a part of the field only */
	if (access_window(device, &offset, &size, &data))
		registers_write(device, offset, size, size == 4 ? data : data & ((1u << (8 * size)) - 1));
}

/* All kinds of capability are a struct virtio_pci_cap, some with four more bytes (`extra`) behind it. */
static int add_capability(struct virtio_device *device, uint8_t type, uint32_t offset, uint32_t length,
			  const uint32_t *extra, struct error *error)
{
	struct {
		struct virtio_pci_cap common;
		uint32_t extra;
	} capability = {
		.common = {
			.cap_len = extra ? sizeof(capability) : sizeof(capability.common),
			.cfg_type = type,
			.bar = length ? REGISTER_BAR : 0,
			.offset = offset,
			.length = length,
		},
		.extra = extra ? *extra : 0,
	};

	/* Without id and next, which are the PCI code's. */
	return pci_device_add_capability(&device->pci, PCI_CAP_ID_VNDR, (const uint8_t *)&capability + 2,
					 capability.common.cap_len, error);
}

static int add_capabilities(struct virtio_device *device, struct error *error)
{
	static const uint32_t stride = VIRTIO_DOORBELL_STRIDE, no_data;
	uint32_t bells = device->queue_count * VIRTIO_DOORBELL_STRIDE;
	uint32_t config = device->config_size;
	uint8_t *writable;
	int offset;

	if (add_capability(device, VIRTIO_PCI_CAP_COMMON_CFG, COMMON_REGION, COMMON_SIZE, NULL, error) < 0 ||
	    add_capability(device, VIRTIO_PCI_CAP_NOTIFY_CFG, DOORBELL_REGION, bells, &stride, error) < 0 ||
	    add_capability(device, VIRTIO_PCI_CAP_ISR_CFG, ISR_REGION, 1, NULL, error) < 0)
		return -1;
	if (config > 0 &&
	    add_capability(device, VIRTIO_PCI_CAP_DEVICE_CFG, CONFIG_REGION, config, NULL, error) < 0)
		return -1;

	offset = add_capability(device, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, &no_data, error);
	if (offset < 0)
		return -1;
	device->access_capability = (unsigned)offset;
	writable = device->pci.writable + offset;
	writable[offsetof(struct virtio_pci_cap, bar)] = 0xff;
	memset(writable + offsetof(struct virtio_pci_cap, offset), 0xff, sizeof(uint32_t));
	memset(writable + offsetof(struct virtio_pci_cap, length), 0xff, sizeof(uint32_t));
	memset(writable + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data), 0xff, sizeof(uint32_t));

	device->pci.hook_offset = (unsigned)offset + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);
	device->pci.hook_size = sizeof(uint32_t);
	device->pci.hook_read = access_read;
	device->pci.hook_write = access_write;
	device->pci.hook_owner = device;
	return 0;
}

int virtio_pci_open(struct virtio_device *device, struct pci_bus *pci, struct error *error)
{
	const uint16_t red_hat = 0x1af4, first_modern = 0x1040;
	struct pci_identity identity = {
		.name = device->name,
		.vendor = red_hat,
		.device = (uint16_t)(first_modern + device->ops->id),
		.subsystem_vendor = red_hat,
		.subsystem = (uint16_t)(first_modern + device->ops->id),
		.class_code = device->ops->class_code,
		.revision = 1, /* not a transitional device (4.1.2.1) */
		.vectors = device->vectors,
	};
	struct pci_bar registers = {
		.size = REGISTERS_SIZE,
		.wide = true,
		.prefetchable = true,
		.ops = &register_ops,
		.owner = device,
		.moved = registers_moved,
	};

	if (pci_device_open(&device->pci, &identity, error) < 0 ||
	    pci_device_add_bar(&device->pci, REGISTER_BAR, &registers, error) < 0 ||
	    pci_device_add_msix(&device->pci, pci, MSIX_BAR, error) < 0)
		return -1;
	return add_capabilities(device, error);
}
