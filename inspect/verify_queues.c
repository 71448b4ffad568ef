/* SPDX-License-Identifier: MIT */
/*
 * Verifies virtqueues: negotiation and rings as virtio/restore.c checks them, indices as virtio/virtqueue.c maintains them. A
 * device that needs a reset may have any rings and indices, as they may be the reason for it.
 */
#include <linux/virtio_pci.h>
#include <stdio.h>
#include <string.h>

#include "util/bits.h"
#include "verify_common.h"
#include "virtio/virtqueue.h"

struct device {
	const struct inspection *inspection;
	const struct inspect_device *device;
	struct verdict *verdict;
	struct inspect_messages msix;
	bool running; /* it uses its queues */
	bool broken;  /* it needs a reset */
};

static void verify_vector(const struct device *device, const char *place, const char *what, uint64_t vector)
{
	if (vector != VIRTIO_MSI_NO_VECTOR && vector >= device->msix.vectors)
		verdict_fault(device->verdict, place, "%s has MSI-X vector %llu of %u; a restore refuses it", what,
			      (unsigned long long)vector, device->msix.vectors);
}

/* Returns false if a field of the negotiation is missing. */
static bool verify_negotiation(struct device *device)
{
	const struct inspection *inspection = device->inspection;
	const uint8_t both = VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FEATURES_OK;
	uint64_t offered, accepted, status, vector;
	const char *name = device->device->name;

	if (!verify_number(inspection, device->verdict, name, "offered", &offered) ||
	    !verify_number(inspection, device->verdict, name, "accepted", &accepted) ||
	    !verify_number(inspection, device->verdict, name, "status", &status) ||
	    !verify_number(inspection, device->verdict, name, "config_vector", &vector))
		return false;
	if (status & VIRTIO_STATUS_FEATURES_OK && (accepted & ~offered || !(accepted & VIRTIO_FEATURE_VERSION_1)))
		verdict_fault(device->verdict, name, "the driver accepted features 0x%llx of 0x%llx; a restore refuses "
			      "it", (unsigned long long)accepted, (unsigned long long)offered);
	verify_vector(device, name, "the configuration", vector);
	device->broken = status & VIRTIO_STATUS_NEEDS_RESET;
	device->running = (status & both) == both && !device->broken;
	return true;
}

static const char *refusal(const struct device *device)
{
	return device->running ? "a restore refuses it" : "the device would refuse to start";
}

static bool verify_ring(const struct device *device, const char *place, const char *name, uint64_t address, uint64_t size)
{
	if (guest_memory_has(&device->inspection->memory, address, size))
		return true;
	verdict_fault(device->verdict, place, "the %s ring at 0x%llx (%llu bytes) is not completely in RAM; %s", name,
		      (unsigned long long)address, (unsigned long long)size, refusal(device));
	return false;
}

/* Reads the index of a ring, its second half-word. */
static int read_index(const struct device *device, uint64_t ring, uint16_t *index, struct error *error)
{
	uint8_t bytes[2];

	if (guest_memory_read(&device->inspection->memory, ring + sizeof(bytes), bytes, sizeof(bytes), error) < 0)
		return -1;
	*index = get16(bytes);
	return 0;
}

static int verify_indices(const struct device *device, const char *place, const struct virtqueue_state *queue,
			  struct error *error)
{
	uint16_t available, used;
	unsigned waiting, taken;

	if (read_index(device, queue->driver, &available, error) < 0 ||
	    read_index(device, queue->device, &used, error) < 0)
		return -1;
	waiting = (uint16_t)(available - queue->next_available);
	taken = (uint16_t)(queue->next_available - queue->next_used);
	if (waiting > queue->size)
		verdict_fault(device->verdict, place, "the available index at 0x%llx is %u, %u ahead of the device's "
			      "%u, in a queue of %u; the device would ask for a reset",
			      (unsigned long long)queue->driver + 2, available, waiting, queue->next_available,
			      queue->size);
	if (used != queue->next_used)
		verdict_fault(device->verdict, place, "the used index at 0x%llx is %u, but the device's %u; the "
			      "driver would lose requests or see old ones again",
			      (unsigned long long)queue->device + 2, used, queue->next_used);
	if (taken > queue->size)
		verdict_fault(device->verdict, place, "the device took requests up to %u and returned those up to "
			      "%u, in a queue of %u", queue->next_available, queue->next_used, queue->size);
	return 0;
}

static int verify_rings(const struct device *device, const char *place, const struct virtqueue_state *queue,
			struct error *error)
{
	const struct virtqueue_rings bytes = virtqueue_rings(queue);
	const char *fault = virtqueue_fault(queue);
	bool in_ram;

	if (fault) {
		verdict_fault(device->verdict, place, "%s (size %u of %u, rings at 0x%llx, 0x%llx, 0x%llx); %s", fault,
			      queue->size, queue->maximum, (unsigned long long)queue->descriptors,
			      (unsigned long long)queue->driver, (unsigned long long)queue->device, refusal(device));
		return 0;
	}
	in_ram = verify_ring(device, place, "descriptor", queue->descriptors, bytes.descriptors);
	in_ram &= verify_ring(device, place, "available", queue->driver, bytes.driver);
	in_ram &= verify_ring(device, place, "used", queue->device, bytes.device);
	return in_ram && device->running ? verify_indices(device, place, queue, error) : 0;
}

static int verify_queue(const struct device *device, const struct section *section, struct error *error)
{
	struct virtqueue_state queue;
	struct error reason;
	uint64_t maximum;

	memset(&queue, 0, sizeof(queue));
	if (!verify_number(device->inspection, device->verdict, section->name, "maximum", &maximum))
		return 0;
	queue.maximum = (uint16_t)maximum; /* there is no device to compare it with */
	if (state_load(&virtqueue_state_table, &queue, &section->fields, section->version, &reason) < 0) {
		verdict_fault(device->verdict, section->name, "%s", reason.text);
		return 0;
	}
	if (queue.enabled > 1)
		verdict_fault(device->verdict, section->name, "enabled is %u; a restore refuses it", queue.enabled);
	verify_vector(device, section->name, "it", queue.vector);
	return queue.enabled && !device->broken ? verify_rings(device, section->name, &queue, error) : 0;
}

static int verify_device(const struct inspection *inspection, const struct inspect_device *found, struct verdict *verdict,
			 struct error *error)
{
	struct device device = { .inspection = inspection, .device = found, .verdict = verdict };
	const uint8_t *config = verify_config(inspection, found, verdict);

	if (!config)
		return 0;
	inspect_find_messages(config, INSPECT_MSIX, &device.msix);
	if (!verify_negotiation(&device))
		return 0;
	for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++) {
		char name[SECTION_NAME_LENGTH + 16];
		const struct section *section;

		snprintf(name, sizeof(name), "%s/queue%u", found->name, i);
		section = sections_find(&inspection->snapshot->sections, name);
		if (section && verify_queue(&device, section, error) < 0)
			return -1;
		if (!section && i == 0)
			verdict_fault(verdict, name, "the section is missing");
	}
	return 0;
}

int verify_queues(const struct inspection *inspection, struct verdict *verdict, struct error *error)
{
	for (unsigned i = 0; i < inspection->device_count; i++)
		if (inspection->devices[i].is_virtio && verify_device(inspection, &inspection->devices[i], verdict, error) < 0)
			return -1;
	return 0;
}
