/* SPDX-License-Identifier: MIT */
/*
 * Private to the files of the transport. Each uses only those after it: virtio.c (life cycle), restore.c, pci.c (BARs),
 * common_config.c (registers), status.c (negotiation, start, reset), notify.c (doorbells in, interrupts out).
 * Devices use virtio/virtio.h only.
 */
#ifndef LKVM_VIRTIO_TRANSPORT_H
#define LKVM_VIRTIO_TRANSPORT_H

#include "virtio/virtio.h"

#define VIRTIO_NO_VECTOR 0xffffu
#define VIRTIO_DOORBELL_STRIDE 4u /* bytes from one queue's doorbell to the next */

/* Interrupt causes, the bits of the ISR (section 4.1.4.5). */
#define VIRTIO_ISR_QUEUE 1u
#define VIRTIO_ISR_CONFIG 2u

/* Any thread. */
static inline uint8_t virtio_status(struct virtio_device *device)
{
	return __atomic_load_n(&device->state.status, __ATOMIC_ACQUIRE);
}

/* status.c: what a write of the register does. With device->lock held, as virtio_transport_reset(). */
void virtio_set_status(struct virtio_device *device, uint8_t value);

/* status.c: stops the device and resets its registers and queues. The PCI function stays as it is. */
void virtio_transport_reset(struct virtio_device *device);

/*
 * status.c: starts the queues that the driver enabled, and then the device. The worker is parked. NULL, or a
 * queue that cannot be started: its `reason` is set, and the device does not run.
 */
struct virtqueue *virtio_start(struct virtio_device *device);

/* pci.c: makes the PCI function with BARs and capabilities. It is not plugged yet. */
int virtio_pci_open(struct virtio_device *device, struct pci_bus *pci, struct error *error);

/* common_config.c. Accesses that fit no register read as zero and do nothing. With device->lock held. */
#define VIRTIO_COMMON_SIZE 0x3cu /* up to queue_reset, which is not offered and reads as zero */
uint64_t virtio_common_read(struct virtio_device *device, uint64_t offset, unsigned size);
void virtio_common_write(struct virtio_device *device, uint64_t offset, unsigned size, uint64_t value);

/*
 * notify.c. Doorbells are attached to KVM while the queues run and the BAR is mapped. virtio_doorbells_move() is called
 * with pci.lock held. virtio_doorbell_ring() is for a write that reaches user space, with device->lock held.
 */
void virtio_notify_open(struct virtio_device *device);
void virtio_notify_close(struct virtio_device *device);
void virtio_doorbells_start(struct virtio_device *device);
void virtio_doorbells_stop(struct virtio_device *device);
void virtio_doorbells_move(struct virtio_device *device, uint64_t address, bool mapped);
void virtio_doorbell_ring(struct virtio_device *device, uint64_t queue);

/*
 * notify.c. vCPU threads write the vectors while the worker reads them. virtio_isr_clear() returns the ISR and
 * lowers INTA.
 */
void virtio_set_vector(struct virtio_device *device, uint16_t *field, uint16_t vector);
uint8_t virtio_isr_clear(struct virtio_device *device);

#endif
