/* SPDX-License-Identifier: MIT */
/*
 * A virtio device as a PCI function: VIRTIO 1.2, section 4.1. BAR 0 has MSI-X. BAR 4 has a page for each
 * structure of registers, and capabilities in config space describe where each is.
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

/* Whether an access is inside of the device-specific configuration. Others do not reach the device. */
static bool in_config(const struct virtio_device *device, uint64_t offset, unsigned size)
{
	return offset < device->config_size && size <= device->config_size - offset;
}

static uint64_t virtio_pci_registers_read(void *owner, uint64_t offset, unsigned size)
{
	struct virtio_device *device = owner;
	uint64_t within = offset % REGION_SIZE;
	uint64_t value = 0;

	pthread_mutex_lock(&device->lock);
	switch (offset - within) {
	case COMMON_REGION:
		value = virtio_common_read(device, within, size);
		break;
	case ISR_REGION:
		if (within == 0)
			value = virtio_isr_clear(device);
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

static void virtio_pci_registers_write(void *owner, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtio_device *device = owner;
	uint64_t within = offset % REGION_SIZE;

	pthread_mutex_lock(&device->lock);
	switch (offset - within) {
	case COMMON_REGION:
		virtio_common_write(device, within, size, value);
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

static const struct bus_ops register_ops = { .read = virtio_pci_registers_read, .write = virtio_pci_registers_write };

static void virtio_pci_registers_moved(void *owner, uint64_t address, bool mapped)
{
	virtio_doorbells_move(owner, address + DOORBELL_REGION, mapped);
}

/*
 * The PCI configuration access capability (4.1.4.9): registers for firmware that cannot map a BAR. Its data field is a
 * window to the register BAR. An access that does not fit the window does nothing.
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

static void virtio_pci_access_read(void *owner, unsigned hook_offset, unsigned hook_size)
{
	struct virtio_device *device = owner;
	uint32_t offset, size, data;

	(void)hook_offset;
	(void)hook_size;
	if (!access_window(device, &offset, &size, &data))
		return;
	data = (uint32_t)virtio_pci_registers_read(device, offset, size);
	pthread_mutex_lock(&device->pci.lock);
	memcpy(device->pci.state.config + device->pci.hook_offset, &data, size);
	pthread_mutex_unlock(&device->pci.lock);
}

static void virtio_pci_access_write(void *owner, unsigned hook_offset, unsigned hook_size, uint64_t value)
{
	struct virtio_device *device = owner;
	uint32_t offset, size, data;

	(void)hook_offset;
	(void)hook_size;
	(void)value; /* it may be only a part of the field */
	if (access_window(device, &offset, &size, &data))
		virtio_pci_registers_write(device, offset, size, size == 4 ? data : data & ((1u << (8 * size)) - 1));
}

/* Each capability is a struct virtio_pci_cap, some with four more bytes (`extra`) after it. */
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

	/* Without ID and next, which hw/capability.c adds. */
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

	if (add_capability(device, VIRTIO_PCI_CAP_COMMON_CFG, COMMON_REGION, VIRTIO_COMMON_SIZE, NULL, error) < 0 ||
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
	device->pci.hook_read = virtio_pci_access_read;
	device->pci.hook_write = virtio_pci_access_write;
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
		.moved = virtio_pci_registers_moved,
	};

	if (pci_device_open(&device->pci, &identity, error) < 0 ||
	    pci_device_add_bar(&device->pci, REGISTER_BAR, &registers, error) < 0 ||
	    pci_device_add_msix(&device->pci, pci, MSIX_BAR, error) < 0)
		return -1;
	return add_capabilities(device, error);
}
