/* SPDX-License-Identifier: MIT */
/* One virtio device in a fake machine, its driver, and guest memory for buffers. The tests of devices share it. */
#ifndef TESTS_UNIT_VIRTIO_RIG_H
#define TESTS_UNIT_VIRTIO_RIG_H

#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake/driver.h"
#include "test.h"

#define RIG_QUEUE_SIZE 64

struct rig {
	struct fake_machine machine;
	struct virtio_device *device;
	struct fake_function function;
	struct fake_queue queues[VIRTIO_MAX_QUEUES];
	uint64_t free; /* guest physical address of the next buffer */
	bool msix;     /* the driver uses MSI-X, with a vector for each queue */
};

static inline struct rig *rig_open(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	fake_machine_open(&rig->machine, true);
	rig->free = FAKE_RAM_BASE + 0x100000;
	return rig;
}

static inline void rig_close(struct rig *rig)
{
	if (rig->device)
		virtio_close(rig->device);
	free(rig->device);
	fake_machine_close(&rig->machine);
	free(rig);
}

/* Resumes the device, and runs the driver up to DRIVER_OK with all features except `without` and the event index. */
static inline void rig_start(struct rig *rig, uint64_t without)
{
	virtio_resume(rig->device);
	fake_probe(&rig->function, &rig->machine, rig->device->pci.slot);
	if (rig->msix)
		fake_enable_msix(&rig->function);
	fake_negotiate(&rig->function, without | VIRTIO_FEATURE_EVENT_INDEX);
	for (uint16_t i = 0; i < rig->device->queue_count; i++) {
		fake_queue_init(&rig->queues[i], &rig->machine.vm.ram, FAKE_RAM_BASE + 0x4000ull * i,
				RIG_QUEUE_SIZE);
		fake_set_queue(&rig->function, i, &rig->queues[i], rig->msix ? i : 0xffff);
	}
	fake_driver_ok(&rig->function);
	assert_false(fake_status(&rig->function) & VIRTIO_STATUS_NEEDS_RESET);
}

static inline void rig_reset(struct rig *rig)
{
	fake_set_common(&rig->function, VIRTIO_PCI_COMMON_STATUS, 1, 0);
}

/* rig_memory() allocates guest memory for a buffer. rig_at() returns its address in this process. */
static inline uint64_t rig_memory(struct rig *rig, uint64_t size)
{
	uint64_t address = rig->free;

	rig->free += (size + 15) & ~15ull;
	assert_true(rig->free <= FAKE_RAM_BASE + FAKE_RAM_SIZE);
	return address;
}

static inline void *rig_at(struct rig *rig, uint64_t address)
{
	return ram_at(&rig->machine.vm.ram, address, 1);
}

/* Offers a buffer in descriptor `index` and notifies. Flags: 0 or VRING_DESC_F_WRITE. Returns the buffer's guest address. */
static inline uint64_t rig_offer(struct rig *rig, uint16_t queue, uint16_t index, uint32_t size, uint16_t flags)
{
	uint64_t address = rig_memory(rig, size);

	fake_descriptor(&rig->queues[queue], index, address, size, flags, 0);
	fake_offer(&rig->queues[queue], index);
	fake_notify(&rig->function, queue);
	return address;
}

/* Waits for the next used entry and takes it. Returns the bytes written. */
static inline uint32_t rig_take(struct rig *rig, uint16_t queue, uint16_t expected_head)
{
	uint32_t written = 0;
	uint16_t head;

	assert_true(fake_wait_used(&rig->queues[queue]));
	assert_true(fake_take(&rig->queues[queue], &head, &written));
	assert_int_equal(head, expected_head);
	return written;
}

/* Waits long enough for a worker to do something wrong. */
static inline void rig_settle(void)
{
	const struct timespec pause = { .tv_nsec = 20000000 };

	nanosleep(&pause, NULL);
}

/* Waits until a worker makes the condition true. Returns false after some seconds. */
#define rig_wait_until(condition)                                                                          \
	__extension__({                                                                                    \
		unsigned turns_ = 0;                                                                       \
		while (!(condition) && turns_++ < 250)                                                     \
			rig_settle();                                                                      \
		turns_ <= 250;                                                                             \
	})

static inline bool rig_is_unused(struct rig *rig, uint16_t queue)
{
	rig_settle();
	return !fake_take(&rig->queues[queue], NULL, NULL);
}

#endif
