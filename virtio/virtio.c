/* SPDX-License-Identifier: MIT */
/* The life of a virtio device: open, work, pause, resume, reset, close. */
#include <stdio.h>
#include <string.h>

#include "transport.h"

static void virtio_work(void *owner)
{
	struct virtio_device *device = owner;

	if (!device->running || virtio_is_broken(device)) {
		worker_watch(&device->worker, false); /* otherwise a readable backend wakes the worker again and again */
		return;
	}
	atomic_fetch_add_explicit(&device->counters.kicks, 1, memory_order_relaxed);
	device->ops->process(device);
}

static int open_components(struct virtio_device *device, struct pci_bus *pci, int watch_fd, struct error *error)
{
	char thread_name[16];

	snprintf(thread_name, sizeof(thread_name), "%.15s", device->name);
	if (virtio_pci_open(device, pci, error) < 0 || worker_open(&device->worker, error) < 0)
		return -1;
	device->worker.work = virtio_work;
	device->worker.owner = device;
	device->worker.watch_fd = watch_fd;
	for (unsigned i = 0; i < device->queue_count; i++)
		device->doorbell_fds[i] = device->worker.kick_fd;
	if (worker_start(&device->worker, thread_name, true, error) < 0)
		return -1;
	return pci_device_plug(pci, &device->pci, -1, error);
}

static void close_components(struct virtio_device *device)
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
	if (open_components(device, pci, setup->watch_fd, error) < 0) {
		close_components(device);
		return error_context(error, "%s", device->name);
	}
	return 0;
}

void virtio_close(struct virtio_device *device)
{
	if (!device->opened)
		return;
	/* While the eventfds are open: KVM identifies doorbells by them. */
	virtio_doorbells_stop(device);
	worker_close(&device->worker);
	if (device->ops->close)
		device->ops->close(device);
	close_components(device);
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
	virtio_transport_reset(device);
	pthread_mutex_unlock(&device->lock);
	pci_device_reset(&device->pci);
	atomic_store(&device->warned, false);
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
