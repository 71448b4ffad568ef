/* SPDX-License-Identifier: MIT */
/*
 * The device status, and what its bits start and stop: negotiation, start, failure, reset.
 * VIRTIO 1.2, sections 2.1 (status), 2.2 (features) and 3.1 (initialization).
 */
#include "transport.h"

static const struct state_field virtio_fields[] = {
	STATE_FIELD(struct virtio_state, offered, STATE_CONFIG, 0),
	STATE_FIELD(struct virtio_state, accepted, STATE_RUNTIME, 0),
	STATE_FIELD(struct virtio_state, device_feature_select, STATE_RUNTIME, 0),
	STATE_FIELD(struct virtio_state, driver_feature_select, STATE_RUNTIME, 0),
	STATE_FIELD(struct virtio_state, queue_select, STATE_RUNTIME, 0),
	STATE_FIELD(struct virtio_state, config_vector, STATE_RUNTIME, VIRTIO_NO_VECTOR),
	STATE_FIELD(struct virtio_state, status, STATE_RUNTIME, 0),
	STATE_FIELD(struct virtio_state, generation, STATE_RUNTIME, 0),
	STATE_FIELD(struct virtio_state, interrupt_status, STATE_RUNTIME, 0),
	STATE_FIELD(struct virtio_state, padding, STATE_PADDING, 0),
};

const struct state_table virtio_state_table = STATE_TABLE(struct virtio_state, "virtio", 1, virtio_fields);

bool virtio_is_broken(struct virtio_device *device)
{
	return virtio_status(device) & VIRTIO_STATUS_NEEDS_RESET;
}

static uint8_t add_status(struct virtio_device *device, uint8_t bits)
{
	return __atomic_fetch_or(&device->state.status, bits, __ATOMIC_ACQ_REL);
}

/* Not while the VM is paused: its pause lasts longer than what the driver does. */
static void unpark_worker(struct virtio_device *device)
{
	if (!device->paused)
		worker_resume(&device->worker);
}

void virtio_transport_reset(struct virtio_device *device)
{
	worker_pause(&device->worker);
	virtio_doorbells_stop(device);
	if (device->ops->stop)
		device->ops->stop(device);
	device->running = false;
	device->features = 0;
	for (unsigned i = 0; i < device->queue_count; i++) {
		virtqueue_reset(&device->queues[i], device->queues[i].state.maximum);
		device->doorbell_fds[i] = device->worker.kick_fd;
	}
	/* The device may raise its line at the same time: its configuration may change at any time. */
	pthread_mutex_lock(&device->line_lock);
	state_reset(&virtio_state_table, &device->state);
	pthread_mutex_unlock(&device->line_lock);
	virtio_isr_clear(device);
	unpark_worker(device);
}

struct virtqueue *virtio_start(struct virtio_device *device)
{
	device->features = device->state.accepted;
	for (unsigned i = 0; i < device->queue_count; i++) {
		struct virtqueue *queue = &device->queues[i];

		if (queue->state.enabled &&
		    virtqueue_start(queue, &device->vm->ram, device->features & VIRTIO_FEATURE_EVENT_INDEX,
				    device->features & VIRTIO_FEATURE_INDIRECT) < 0)
			return queue;
	}
	device->running = true;
	if (device->ops->start)
		device->ops->start(device);
	virtio_doorbells_start(device);
	return NULL;
}

static void start_by_driver(struct virtio_device *device)
{
	const struct virtqueue *wrong;

	worker_pause(&device->worker);
	wrong = virtio_start(device);
	if (wrong)
		virtio_needs_reset(device, wrong->reason);
	unpark_worker(device);
}

static bool features_are_acceptable(const struct virtio_state *state)
{
	return (state->accepted & ~state->offered) == 0 && (state->accepted & VIRTIO_FEATURE_VERSION_1);
}

void virtio_set_status(struct virtio_device *device, uint8_t value)
{
	const uint8_t settable = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK |
				 VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_FAILED;
	uint8_t before = virtio_status(device);
	uint8_t added = value & settable & ~before;

	if (value == 0) {
		virtio_transport_reset(device);
		return;
	}

	/*
	 * A driver must not clear a bit (2.1.1), so a write only sets bits. FEATURES_OK stays clear if the
	 * features are wrong.
	 */
	if ((added & VIRTIO_STATUS_FEATURES_OK) && !features_are_acceptable(&device->state))
		added &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	add_status(device, added);

	if (!(added & VIRTIO_STATUS_DRIVER_OK) || (before & VIRTIO_STATUS_NEEDS_RESET))
		return;
	if ((before | added) & VIRTIO_STATUS_FEATURES_OK)
		start_by_driver(device);
	else
		virtio_needs_reset(device, "DRIVER_OK without FEATURES_OK");
}

void virtio_needs_reset(struct virtio_device *device, const char *why)
{
	if (add_status(device, VIRTIO_STATUS_NEEDS_RESET) & VIRTIO_STATUS_NEEDS_RESET)
		return;
	atomic_fetch_add_explicit(&device->counters.errors, 1, memory_order_relaxed);
	/* Logged once: a guest could repeat it for ever. */
	if (!atomic_exchange(&device->warned, true))
		log_message(device->vm->log, LOG_LEVEL_WARNING, "%s: the guest broke the protocol: %s",
			    device->name, why);
	virtio_config_changed(device);
}
