/* SPDX-License-Identifier: MIT */
/*
 * The life of a virtio device: open, negotiation, start, failure, reset, close.
 * VIRTIO 1.2, sections 2.1 (status), 2.2 (features) and 3.1 (initialization).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

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

uint8_t virtio_status(struct virtio_device *device)
{
	return __atomic_load_n(&device->state.status, __ATOMIC_ACQUIRE);
}

bool virtio_is_broken(struct virtio_device *device)
{
	return virtio_status(device) & VIRTIO_STATUS_NEEDS_RESET;
}

static uint8_t add_status(struct virtio_device *device, uint8_t bits)
{
	return __atomic_fetch_or(&device->state.status, bits, __ATOMIC_ACQ_REL);
}

/* The VM's own pause outlasts whatever the driver did. */
static void unpark_worker(struct virtio_device *device)
{
	if (!device->paused)
		worker_resume(&device->worker);
}

static void reset(struct virtio_device *device)
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
	/* The device may raise its line at the same time: its configuration changes at any time. */
	pthread_mutex_lock(&device->line_lock);
	state_reset(&virtio_state_table, &device->state);
	pthread_mutex_unlock(&device->line_lock);
	virtio_isr_take(device);
	unpark_worker(device);
}

/* The driver is ready: what it programmed is checked, and from here on the queues are served. */
static void start(struct virtio_device *device)
{
	worker_pause(&device->worker);
	device->features = device->state.accepted;
	for (unsigned i = 0; i < device->queue_count; i++) {
		struct virtqueue *queue = &device->queues[i];

		if (queue->state.enabled &&
		    virtqueue_start(queue, &device->vm->ram, device->features & VIRTIO_FEATURE_EVENT_INDEX,
				    device->features & VIRTIO_FEATURE_INDIRECT) < 0)
			virtio_needs_reset(device, queue->reason);
	}
	if (!virtio_is_broken(device)) {
		device->running = true;
		if (device->ops->start)
			device->ops->start(device);
		virtio_doorbells_start(device);
	}
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
		reset(device);
		return;
	}

	/* A driver must not clear a bit (2.1.1), so a write only adds. FEATURES_OK stays clear unless we agree. */
	if ((added & VIRTIO_STATUS_FEATURES_OK) && !features_are_acceptable(&device->state))
		added &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	add_status(device, added);

	if (!(added & VIRTIO_STATUS_DRIVER_OK) || (before & VIRTIO_STATUS_NEEDS_RESET))
		return;
	if ((before | added) & VIRTIO_STATUS_FEATURES_OK)
		start(device);
	else
		virtio_needs_reset(device, "DRIVER_OK without FEATURES_OK");
}

void virtio_needs_reset(struct virtio_device *device, const char *why)
{
	if (add_status(device, VIRTIO_STATUS_NEEDS_RESET) & VIRTIO_STATUS_NEEDS_RESET)
		return;
	atomic_fetch_add_explicit(&device->counters.errors, 1, memory_order_relaxed);
	/* A guest could do this for ever; once is enough to find it. */
	if (!atomic_exchange(&device->complained, true))
		log_message(device->vm->log, LOG_LEVEL_WARNING, "%s: the guest broke the protocol: %s",
			    device->name, why);
	virtio_config_changed(device);
}

static void work(void *owner)
{
	struct virtio_device *device = owner;

	if (!device->running || virtio_is_broken(device)) {
		worker_watch(&device->worker, false); /* or a readable backend would wake us for ever */
		return;
	}
	atomic_fetch_add_explicit(&device->counters.kicks, 1, memory_order_relaxed);
	device->ops->process(device);
}

static int open_parts(struct virtio_device *device, struct pci_bus *pci, int watch_fd, struct error *error)
{
	char thread_name[16];

	snprintf(thread_name, sizeof(thread_name), "%.15s", device->name);
	if (virtio_pci_open(device, pci, error) < 0 || worker_open(&device->worker, error) < 0)
		return -1;
	device->worker.work = work;
	device->worker.owner = device;
	device->worker.watch_fd = watch_fd;
	for (unsigned i = 0; i < device->queue_count; i++)
		device->doorbell_fds[i] = device->worker.kick_fd;
	if (worker_start(&device->worker, thread_name, true, error) < 0)
		return -1;
	return pci_device_plug(pci, &device->pci, -1, error);
}

static void close_parts(struct virtio_device *device)
{
	worker_close(&device->worker);
	pci_device_close(&device->pci);
	virtio_notify_close(device);
	pthread_mutex_destroy(&device->lock);
	device->opened = false;
}

int virtio_open(struct virtio_device *device, const struct virtio_setup *setup, struct vm *vm,
		struct pci_bus *pci, struct error *error)
{
	uint16_t size = setup->queue_size ? setup->queue_size : VIRTQUEUE_MAX_SIZE;

	memset(device, 0, sizeof(*device));
	device->ops = setup->ops;
	device->vm = vm;
	device->config_size = setup->config_size;
	device->queue_count = setup->queue_count;
	device->vectors = setup->vectors ? setup->vectors : setup->queue_count + 1;
	device->paused = true; /* until the VM runs */
	snprintf(device->name, sizeof(device->name), "virtio-%s%u", setup->ops->name, setup->index);

	state_reset(&virtio_state_table, &device->state);
	device->state.offered = setup->features | VIRTIO_FEATURE_VERSION_1 | VIRTIO_FEATURE_INDIRECT |
				VIRTIO_FEATURE_EVENT_INDEX;
	for (unsigned i = 0; i < device->queue_count; i++)
		virtqueue_reset(&device->queues[i], size);

	device->opened = true;
	device->worker.kick_fd = -1;
	pthread_mutex_init(&device->lock, NULL);
	virtio_notify_open(device);
	if (open_parts(device, pci, setup->watch_fd, error) < 0) {
		close_parts(device);
		return error_context(error, "%s", device->name);
	}
	return 0;
}

void virtio_close(struct virtio_device *device)
{
	if (!device->opened)
		return;
	/* While the eventfds are open, or KVM could not tell which doorbells to drop. */
	virtio_doorbells_stop(device);
	worker_close(&device->worker);
	if (device->ops->close)
		device->ops->close(device);
	close_parts(device);
}

void virtio_pause(struct virtio_device *device)
{
	if (device->paused)
		return;
	worker_pause(&device->worker);
	device->paused = true;
	if (device->running && device->ops->pause)
		device->ops->pause(device);
}

void virtio_resume(struct virtio_device *device)
{
	if (!device->paused)
		return;
	if (device->running && device->ops->resume)
		device->ops->resume(device);
	device->paused = false;
	worker_resume(&device->worker);
}

void virtio_reset(struct virtio_device *device)
{
	pthread_mutex_lock(&device->lock);
	reset(device);
	pthread_mutex_unlock(&device->lock);
	pci_device_reset(&device->pci);
	atomic_store(&device->complained, false);
}

static uint64_t count(atomic_ulong *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void virtio_stat(struct virtio_device *device, struct report *report)
{
	report_begin(report, device->name);
	report_number(report, "slot", device->pci.slot);
	report_number(report, "queues", device->queue_count);
	pthread_mutex_lock(&device->lock);
	report_hex(report, "features", device->features);
	report_hex(report, "status", virtio_status(device));
	pthread_mutex_unlock(&device->lock);
	report_number(report, "interrupts", count(&device->counters.interrupts));
	report_number(report, "kicks", count(&device->counters.kicks));
	report_number(report, "requests", count(&device->counters.requests));
	report_number(report, "errors", count(&device->counters.errors));
	if (device->ops->stat)
		device->ops->stat(device, report);
	report_end(report);
}
