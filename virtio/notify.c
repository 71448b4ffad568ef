/* SPDX-License-Identifier: MIT */
/*
 * Notifications in both directions. Doorbells: KVM turns them into writes of an eventfd (KVM_IOEVENTFD) inside the
 * kernel. Interrupts: MSI-X, or the INTA line with its ISR.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <unistd.h>

#include "kvm/kvm.h"
#include "transport.h"

void virtio_notify_open(struct virtio_device *device)
{
	pthread_mutex_init(&device->line_lock, NULL);
	pthread_mutex_init(&device->doorbell_lock, NULL);
	device->doorbells_on = false;
	device->doorbells_mapped = false;
	for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
		device->doorbells_attached[i] = -1;
}

void virtio_notify_close(struct virtio_device *device)
{
	virtio_doorbells_stop(device);
	pthread_mutex_destroy(&device->doorbell_lock);
	pthread_mutex_destroy(&device->line_lock);
}

/* Doorbells are 16 bits wide (section 4.1.5.2). Any other access reaches user space, and rings there. */
static int doorbell_call(struct virtio_device *device, unsigned queue, int fd, uint32_t flags)
{
	struct kvm_ioeventfd doorbell = {
		.addr = device->doorbell_address + queue * VIRTIO_DOORBELL_STRIDE,
		.len = sizeof(uint16_t),
		.fd = fd,
		.flags = flags,
	};

	return kvm_call(device->vm->fd, KVM_IOEVENTFD, (uintptr_t)&doorbell);
}

static void doorbells_attach(struct virtio_device *device)
{
	if (!device->doorbells_on || !device->doorbells_mapped)
		return;
	for (unsigned i = 0; i < device->queue_count; i++) {
		int fd = device->doorbell_fds[i];

		/* If KVM refuses, the doorbell rings in user space: slower, but correct. */
		if (device->queues[i].state.enabled && doorbell_call(device, i, fd, 0) == 0)
			device->doorbells_attached[i] = fd;
	}
}

static void doorbells_detach(struct virtio_device *device)
{
	for (unsigned i = 0; i < device->queue_count; i++) {
		if (device->doorbells_attached[i] >= 0)
			doorbell_call(device, i, device->doorbells_attached[i], KVM_IOEVENTFD_FLAG_DEASSIGN);
		device->doorbells_attached[i] = -1;
	}
}

void virtio_doorbells_start(struct virtio_device *device)
{
	pthread_mutex_lock(&device->doorbell_lock);
	device->doorbells_on = true;
	doorbells_attach(device);
	pthread_mutex_unlock(&device->doorbell_lock);
}

void virtio_doorbells_stop(struct virtio_device *device)
{
	pthread_mutex_lock(&device->doorbell_lock);
	device->doorbells_on = false;
	doorbells_detach(device);
	pthread_mutex_unlock(&device->doorbell_lock);
}

void virtio_doorbells_move(struct virtio_device *device, uint64_t address, bool mapped)
{
	pthread_mutex_lock(&device->doorbell_lock);
	doorbells_detach(device);
	device->doorbell_address = address;
	device->doorbells_mapped = mapped;
	doorbells_attach(device);
	pthread_mutex_unlock(&device->doorbell_lock);
}

void virtio_doorbell_ring(struct virtio_device *device, uint64_t queue)
{
	const uint64_t one = 1;

	if (!device->running || queue >= device->queue_count || !device->queues[queue].state.enabled)
		return;
	while (write(device->doorbell_fds[queue], &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void virtio_set_vector(struct virtio_device *device, uint16_t *field, uint16_t vector)
{
	/* A driver reads the register back to check whether the vector was accepted (section 4.1.5.1.2). */
	if (device->pci.msix_capability == 0 || vector >= device->pci.identity.vectors)
		vector = VIRTIO_NO_VECTOR;
	__atomic_store_n(field, vector, __ATOMIC_RELAXED);
}

uint8_t virtio_isr_clear(struct virtio_device *device)
{
	uint8_t causes;

	pthread_mutex_lock(&device->line_lock);
	causes = device->state.interrupt_status;
	device->state.interrupt_status = 0;
	pci_device_set_line(&device->pci, false);
	pthread_mutex_unlock(&device->line_lock);
	return causes;
}

/*
 * With MSI-X this needs no lock of the transport. If the driver changes the vector at the same time, the old or the new
 * one gets the interrupt, as with real hardware. The line needs a lock: the ISR and the level must change together.
 * Otherwise a read of the ISR between the two would lower a line that a new cause has just raised.
 */
static void interrupt(struct virtio_device *device, const uint16_t *vector, uint8_t cause)
{
	atomic_fetch_add_explicit(&device->counters.interrupts, 1, memory_order_relaxed);
	if (pci_device_msix_enabled(&device->pci)) {
		pci_device_signal(&device->pci, __atomic_load_n(vector, __ATOMIC_RELAXED));
		return;
	}
	pthread_mutex_lock(&device->line_lock);
	device->state.interrupt_status |= cause;
	pci_device_set_line(&device->pci, true);
	pthread_mutex_unlock(&device->line_lock);
}

void virtio_interrupt(struct virtio_device *device, struct virtqueue *queue)
{
	if (virtqueue_should_interrupt(queue))
		interrupt(device, &queue->state.vector, VIRTIO_ISR_QUEUE);
}

void virtio_interrupt_pair(struct virtio_device *device, struct virtqueue *first, struct virtqueue *second)
{
	uint16_t vector = __atomic_load_n(&second->state.vector, __ATOMIC_RELAXED);
	bool wanted = virtqueue_should_interrupt(second);

	/* A line has one level, so both queues cause one interrupt as well. */
	if (wanted && pci_device_msix_enabled(&device->pci) &&
	    vector != __atomic_load_n(&first->state.vector, __ATOMIC_RELAXED)) {
		interrupt(device, &second->state.vector, VIRTIO_ISR_QUEUE);
		wanted = false;
	}
	if (virtqueue_should_interrupt(first) || wanted)
		interrupt(device, &first->state.vector, VIRTIO_ISR_QUEUE);
}

void virtio_config_changed(struct virtio_device *device)
{
	__atomic_fetch_add(&device->state.generation, 1, __ATOMIC_SEQ_CST);
	if (virtio_status(device) & VIRTIO_STATUS_DRIVER_OK)
		interrupt(device, &device->state.config_vector, VIRTIO_ISR_CONFIG);
}

int virtio_call_fd(struct virtio_device *device, unsigned queue)
{
	uint16_t vector = __atomic_load_n(&device->queues[queue].state.vector, __ATOMIC_RELAXED);

	if (vector == VIRTIO_NO_VECTOR || !pci_device_msix_enabled(&device->pci))
		return -1;
	return pci_device_vector_fd(&device->pci, vector);
}
