/* SPDX-License-Identifier: MIT */
/* A machine without vCPUs, and the driver side of virtio-pci and of split virtqueues. */
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "fake/driver.h"
#include "unit/guest_writes.h"

#define ECAM 0x40000000ull
#define WINDOW32 0x50000000ull
#define WINDOW64 0x8000000000ull

static void must(bool condition)
{
	if (!condition)
		abort();
}

void fake_machine_open(struct fake_machine *machine, bool has_msi)
{
	const struct pci_layout layout = {
		.ecam = ECAM,
		.window32 = WINDOW32,
		.window32_size = 0x1000000,
		.window64 = WINDOW64,
		.window64_size = 0x1000000,
		.first_line = 32,
	};
	struct error error;

	memset(machine, 0, sizeof(*machine));
	machine->vm.fd = eventfd(0, EFD_CLOEXEC); /* a descriptor that nothing else uses */
	must(ram_open(&machine->vm.ram, FAKE_RAM_BASE, FAKE_RAM_SIZE, &error) == 0);
	must(bus_open(&machine->vm.bus, &error) == 0);
	must(interrupts_open(&machine->vm.interrupts, machine->vm.fd, &error) == 0);
	machine->vm.interrupts.has_msi = has_msi;
	must(pci_bus_open(&machine->pci, &machine->vm.bus, &machine->vm.interrupts, &layout, &error) == 0);
}

void fake_machine_close(struct fake_machine *machine)
{
	pci_bus_close(&machine->pci);
	interrupts_close(&machine->vm.interrupts);
	bus_close(&machine->vm.bus);
	ram_close(&machine->vm.ram);
	close(machine->vm.fd);
}

/*
 * Rings
 */

static struct vring_desc *descriptor_at(const struct fake_queue *queue, uint16_t index)
{
	return (struct vring_desc *)ram_at(queue->ram, queue->descriptors, 16ull * queue->size) + index;
}

static struct vring_avail *available(const struct fake_queue *queue)
{
	return ram_at(queue->ram, queue->available, 6 + 2ull * queue->size);
}

static struct vring_used *used(const struct fake_queue *queue)
{
	return ram_at(queue->ram, queue->used, 6 + 8ull * queue->size);
}

void fake_queue_init(struct fake_queue *queue, const struct ram *ram, uint64_t address, uint16_t size)
{
	*queue = (struct fake_queue){
		.ram = ram,
		.descriptors = address,
		.available = address + 16ull * size,
		.used = address + 16ull * size + ((6 + 2ull * size + 3) & ~3ull),
		.size = size,
	};
	memset(descriptor_at(queue, 0), 0, 16ull * size);
	memset(available(queue), 0, 6 + 2ull * size);
	memset(used(queue), 0, 6 + 8ull * size);
}

GUEST_WRITES void fake_descriptor(struct fake_queue *queue, uint16_t index, uint64_t address, uint32_t length, uint16_t flags,
		     uint16_t next)
{
	*descriptor_at(queue, index) = (struct vring_desc){ address, length, flags, next };
}

GUEST_WRITES void fake_offer_silently(struct fake_queue *queue, uint16_t head)
{
	available(queue)->ring[queue->offered++ % queue->size] = head;
}

void fake_offer(struct fake_queue *queue, uint16_t head)
{
	fake_offer_silently(queue, head);
	__atomic_store_n(&available(queue)->idx, queue->offered, __ATOMIC_SEQ_CST);
}

bool fake_take(struct fake_queue *queue, uint16_t *head, uint32_t *written)
{
	const struct vring_used_elem *element = &used(queue)->ring[queue->seen % queue->size];

	if (__atomic_load_n(&used(queue)->idx, __ATOMIC_ACQUIRE) == queue->seen)
		return false;
	queue->seen++;
	if (head)
		*head = (uint16_t)element->id;
	if (written)
		*written = element->len;
	return true;
}

void fake_set_used_event(struct fake_queue *queue, uint16_t event)
{
	__atomic_store_n(&available(queue)->ring[queue->size], event, __ATOMIC_SEQ_CST);
}

uint16_t fake_avail_event(const struct fake_queue *queue)
{
	return __atomic_load_n((uint16_t *)&used(queue)->ring[queue->size], __ATOMIC_SEQ_CST);
}

void fake_set_avail_flags(struct fake_queue *queue, uint16_t flags)
{
	__atomic_store_n(&available(queue)->flags, flags, __ATOMIC_SEQ_CST);
}

uint16_t fake_used_flags(const struct fake_queue *queue)
{
	return __atomic_load_n(&used(queue)->flags, __ATOMIC_SEQ_CST);
}

/*
 * Functions
 */

static uint64_t config_address(const struct fake_function *function, unsigned reg)
{
	return ECAM + ((uint64_t)function->slot << 15) + reg;
}

uint64_t fake_read(struct fake_function *function, uint64_t address, unsigned size)
{
	uint64_t value;

	bus_read(&function->machine->vm.bus, address, size, &value);
	return value;
}

void fake_write(struct fake_function *function, uint64_t address, unsigned size, uint64_t value)
{
	bus_write(&function->machine->vm.bus, address, size, value);
}

uint32_t fake_config_read(struct fake_function *function, unsigned reg, unsigned size)
{
	return (uint32_t)fake_read(function, config_address(function, reg), size);
}

void fake_config_write(struct fake_function *function, unsigned reg, unsigned size, uint32_t value)
{
	fake_write(function, config_address(function, reg), size, value);
}

static uint64_t bar(struct fake_function *function, unsigned index)
{
	unsigned reg = PCI_BASE_ADDRESS_0 + 4 * index;
	uint64_t low = fake_config_read(function, reg, 4);

	if ((low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64)
		low |= (uint64_t)fake_config_read(function, reg + 4, 4) << 32;
	return low & ~0xfull;
}

static void vendor_capability(struct fake_function *function, unsigned at)
{
	unsigned index = fake_config_read(function, at + VIRTIO_PCI_CAP_BAR, 1);
	uint64_t address = bar(function, index) + fake_config_read(function, at + VIRTIO_PCI_CAP_OFFSET, 4);

	switch (fake_config_read(function, at + VIRTIO_PCI_CAP_CFG_TYPE, 1)) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		function->common = address;
		break;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		function->notify = address;
		function->notify_multiplier = fake_config_read(function, at + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
		break;
	case VIRTIO_PCI_CAP_ISR_CFG:
		function->isr = address;
		break;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		function->config = address;
		break;
	case VIRTIO_PCI_CAP_PCI_CFG:
		function->access = at;
		break;
	}
}

void fake_probe(struct fake_function *function, struct fake_machine *machine, unsigned slot)
{
	*function = (struct fake_function){ .machine = machine, .slot = slot };
	fake_config_write(function, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	for (unsigned at = fake_config_read(function, PCI_CAPABILITY_LIST, 1); at;
	     at = fake_config_read(function, at + 1, 1)) {
		if (fake_config_read(function, at, 1) == PCI_CAP_ID_VNDR)
			vendor_capability(function, at);
		else if (fake_config_read(function, at, 1) == PCI_CAP_ID_MSIX)
			function->msix = at;
	}
}

void fake_enable_msix(struct fake_function *function)
{
	fake_config_write(function, function->msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
}

void fake_set_window(struct fake_function *function, uint8_t bar_index, uint32_t offset, uint32_t size)
{
	fake_config_write(function, function->access + VIRTIO_PCI_CAP_BAR, 1, bar_index);
	fake_config_write(function, function->access + VIRTIO_PCI_CAP_OFFSET, 4, offset);
	fake_config_write(function, function->access + VIRTIO_PCI_CAP_LENGTH, 4, size);
}

uint32_t fake_common(struct fake_function *function, unsigned field, unsigned size)
{
	return (uint32_t)fake_read(function, function->common + field, size);
}

void fake_set_common(struct fake_function *function, unsigned field, unsigned size, uint32_t value)
{
	fake_write(function, function->common + field, size, value);
}

uint8_t fake_status(struct fake_function *function)
{
	return (uint8_t)fake_common(function, VIRTIO_PCI_COMMON_STATUS, 1);
}

static void add_status(struct fake_function *function, uint8_t bits)
{
	fake_set_common(function, VIRTIO_PCI_COMMON_STATUS, 1, fake_status(function) | bits);
}

void fake_negotiate(struct fake_function *function, uint64_t without)
{
	fake_set_common(function, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	add_status(function, VIRTIO_STATUS_ACKNOWLEDGE);
	add_status(function, VIRTIO_STATUS_DRIVER);
	for (uint32_t half = 0; half < 2; half++) {
		uint32_t features;

		fake_set_common(function, VIRTIO_PCI_COMMON_DFSELECT, 4, half);
		features = fake_common(function, VIRTIO_PCI_COMMON_DF, 4);
		fake_set_common(function, VIRTIO_PCI_COMMON_GFSELECT, 4, half);
		fake_set_common(function, VIRTIO_PCI_COMMON_GF, 4, features & ~(uint32_t)(without >> 32 * half));
	}
	add_status(function, VIRTIO_STATUS_FEATURES_OK);
}

void fake_set_queue(struct fake_function *function, uint16_t index, const struct fake_queue *queue, uint16_t vector)
{
	fake_set_common(function, VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
	fake_set_common(function, VIRTIO_PCI_COMMON_Q_SIZE, 2, queue->size);
	fake_set_common(function, VIRTIO_PCI_COMMON_Q_MSIX, 2, vector);
	fake_set_common(function, VIRTIO_PCI_COMMON_Q_DESCLO, 4, (uint32_t)queue->descriptors);
	fake_set_common(function, VIRTIO_PCI_COMMON_Q_DESCHI, 4, (uint32_t)(queue->descriptors >> 32));
	fake_set_common(function, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, (uint32_t)queue->available);
	fake_set_common(function, VIRTIO_PCI_COMMON_Q_AVAILHI, 4, (uint32_t)(queue->available >> 32));
	fake_set_common(function, VIRTIO_PCI_COMMON_Q_USEDLO, 4, (uint32_t)queue->used);
	fake_set_common(function, VIRTIO_PCI_COMMON_Q_USEDHI, 4, (uint32_t)(queue->used >> 32));
	fake_set_common(function, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

void fake_driver_ok(struct fake_function *function)
{
	add_status(function, VIRTIO_STATUS_DRIVER_OK);
}

void fake_notify(struct fake_function *function, uint16_t queue)
{
	uint32_t offset;

	fake_set_common(function, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
	offset = fake_common(function, VIRTIO_PCI_COMMON_Q_NOFF, 2) * function->notify_multiplier;
	fake_write(function, function->notify + offset, 2, queue);
}

static void moment(void)
{
	const struct timespec pause = { .tv_nsec = 200000 };

	nanosleep(&pause, NULL);
}

bool fake_wait_used(struct fake_queue *queue)
{
	for (unsigned i = 0; i < 25000; i++) {
		if (__atomic_load_n(&used(queue)->idx, __ATOMIC_ACQUIRE) != queue->seen)
			return true;
		moment();
	}
	return false;
}

bool fake_wait_status(struct fake_function *function, uint8_t bits)
{
	for (unsigned i = 0; i < 25000; i++) {
		if ((fake_status(function) & bits) == bits)
			return true;
		moment();
	}
	return false;
}
