/* SPDX-License-Identifier: MIT */
/* Visits a virtio device's state, and starts the device from a state that was loaded. */
#include <errno.h>
#include <stdio.h>

#include "transport.h"

int virtio_visit(struct virtio_device *device, struct state_visitor *visitor, struct error *error)
{
	const struct virtio_ops *ops = device->ops;
	char name[48];

	snprintf(name, sizeof(name), "%s/pci", device->name);
	if (visitor->visit(visitor, name, &pci_state_table, &device->pci.state, error) < 0 ||
	    visitor->visit(visitor, device->name, &virtio_state_table, &device->state, error) < 0)
		return -1;
	for (unsigned i = 0; i < device->queue_count; i++) {
		snprintf(name, sizeof(name), "%s/queue%u", device->name, i);
		if (visitor->visit(visitor, name, &virtqueue_state_table, &device->queues[i].state, error) < 0)
			return -1;
	}
	if (!ops->state_table)
		return 0;
	snprintf(name, sizeof(name), "%s/device", device->name);
	return visitor->visit(visitor, name, ops->state_table, (char *)device + ops->state_offset, error);
}

/* Whether virtio_set_vector() would accept it. */
static bool is_vector(const struct virtio_device *device, uint16_t vector)
{
	return vector == VIRTIO_NO_VECTOR || (device->pci.msix_capability && vector < device->pci.identity.vectors);
}

/* Refuses a state that no guest can cause: the snapshot is wrong then. */
static int check(const struct virtio_device *device, struct error *error)
{
	const struct virtio_state *state = &device->state;

	if ((state->status & VIRTIO_STATUS_FEATURES_OK) &&
	    ((state->accepted & ~state->offered) || !(state->accepted & VIRTIO_FEATURE_VERSION_1)))
		return error_set(error, EINVAL, "the features 0x%llx were never offered",
				 (unsigned long long)state->accepted);
	if (!is_vector(device, state->config_vector))
		return error_set(error, EINVAL, "it has no interrupt vector %u", state->config_vector);
	for (unsigned i = 0; i < device->queue_count; i++) {
		const struct virtqueue_state *queue = &device->queues[i].state;

		if (queue->enabled > 1 || !is_vector(device, queue->vector))
			return error_set(error, EINVAL, "queue %u is impossible", i);
	}
	return 0;
}

static bool was_running(const struct virtio_device *device)
{
	const uint8_t both = VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FEATURES_OK;

	return (device->state.status & both) == both && !(device->state.status & VIRTIO_STATUS_NEEDS_RESET);
}

static int start(struct virtio_device *device, struct error *error)
{
	const struct virtqueue *wrong = virtio_start(device);

	if (wrong)
		return error_set(error, EINVAL, "queue %u: %s", (unsigned)(wrong - device->queues), wrong->reason);
	return 0;
}

int virtio_restored(struct virtio_device *device, struct error *error)
{
	if (check(device, error) < 0 || (device->ops->restored && device->ops->restored(device, error) < 0) ||
	    pci_device_restored(&device->pci, error) < 0 || (was_running(device) && start(device, error) < 0))
		return error_context(error, "%s", device->name);
	pci_device_set_line(&device->pci, device->state.interrupt_status && !pci_device_msix_enabled(&device->pci));
	return 0;
}
