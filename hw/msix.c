/* SPDX-License-Identifier: MIT */
/*
 * MSI-X of an emulated device (PCI Local Bus Specification 3.0, section 6.8.2). hw/pci.h describes how vectors
 * reach KVM.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/eventfd.h>

#include "hw/msix_table.h"
#include "msix.h"
#include "util/bits.h"

#define MSIX_BAR_SIZE 0x1000u
#define MSIX_PENDING_OFFSET 0x800u /* after a table of PCI_MAX_VECTORS entries */

_Static_assert(PCI_MAX_VECTORS * PCI_MSIX_ENTRY_SIZE <= MSIX_PENDING_OFFSET, "the table reaches the pending bits");
_Static_assert(PCI_MAX_VECTORS <= 64, "pending bits fill one 64-bit word");

static void update_vector(struct pci_device *device, unsigned number, bool enabled)
{
	const struct pci_state *state = &device->state;
	struct interrupts *interrupts = device->bus->interrupts;
	struct msi_vector *vector = &device->vectors[number];
	const struct msi_message message = {
		.address = state->msix_address[number],
		.data = state->msix_data[number],
		.device_id = pci_device_id(device),
	};
	bool unmasked = enabled && !(state->msix_control[number] & PCI_MSIX_ENTRY_CTRL_MASKBIT);
	struct error ignored;

	if ((vector->attached || vector->direct) && (!unmasked || !msi_vector_sends(vector, &message)))
		msi_vector_detach(vector, interrupts);
	if (!unmasked || vector->attached || vector->direct || msi_vector_attach(vector, interrupts, &message, &ignored) == 0)
		return;

	/* No route, no irqfd, or an invalid address: send each message directly, as hardware does. */
	vector->message = message;
	__atomic_store_n(&vector->direct, true, __ATOMIC_RELEASE);
	if (msi_vector_clear_pending(vector))
		interrupts_signal_msi(interrupts, &message);
}

static uint16_t message_control(const struct pci_device *device)
{
	return get16(device->state.config + device->msix_capability + PCI_MSIX_FLAGS);
}

bool pci_device_msix_enabled(struct pci_device *device)
{
	/* The byte is written under the lock. A read without the lock gets the last value that the guest wrote. */
	return device->msix_capability &&
	       __atomic_load_n(&device->state.config[device->msix_capability + PCI_MSIX_FLAGS + 1], __ATOMIC_ACQUIRE) &
		       PCI_MSIX_FLAGS_ENABLE >> 8;
}

static void update_vectors(struct pci_device *device, unsigned first, unsigned count)
{
	uint16_t control = message_control(device);
	/* A message is a write by the device: without bus mastering it stays pending. */
	bool enabled = control & PCI_MSIX_FLAGS_ENABLE && !(control & PCI_MSIX_FLAGS_MASKALL) &&
		       device->state.config[PCI_COMMAND] & PCI_COMMAND_MASTER;

	for (unsigned i = first; i < first + count; i++) {
		if (control & PCI_MSIX_FLAGS_ENABLE) {
			update_vector(device, i, enabled);
		} else {
			msi_vector_release(&device->vectors[i], device->bus->interrupts);
			msi_vector_clear_pending(&device->vectors[i]);
		}
	}
}

void msix_update(struct pci_device *device)
{
	if (device->msix_capability)
		update_vectors(device, 0, device->vector_count);
}

void msix_reset(struct pci_device *device)
{
	for (unsigned i = 0; i < device->vector_count; i++) {
		msi_vector_release(&device->vectors[i], device->bus->interrupts);
		msi_vector_clear_pending(&device->vectors[i]);
		device->state.msix_address[i] = 0;
		device->state.msix_data[i] = 0;
		device->state.msix_control[i] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	}
}

void pci_device_quiesce(struct pci_device *device)
{
	pthread_mutex_lock(&device->lock);
	device->state.msix_pending = 0;
	for (unsigned i = 0; i < device->vector_count; i++) {
		struct msi_vector *vector = &device->vectors[i];

		/* KVM_IRQFD's deassignment waits until injections are complete: virt/kvm/eventfd.c. */
		if (vector->attached)
			msi_vector_detach(vector, device->bus->interrupts);
		device->state.msix_pending |= (uint64_t)msi_vector_is_pending(vector) << i;
	}
	pthread_mutex_unlock(&device->lock);
}

void pci_device_resume(struct pci_device *device)
{
	pthread_mutex_lock(&device->lock);
	msix_update(device);
	pthread_mutex_unlock(&device->lock);
}

void msix_restored(struct pci_device *device)
{
	for (unsigned i = 0; i < device->vector_count; i++)
		if (device->state.msix_pending & 1ull << i)
			eventfd_write(device->vectors[i].event_fd, 1);
	device->state.msix_pending = 0;
	msix_update(device);
}

void msix_close(struct pci_device *device)
{
	for (unsigned i = 0; i < PCI_MAX_VECTORS; i++)
		if (device->vectors[i].event_fd >= 0)
			msi_vector_close(&device->vectors[i], device->bus ? device->bus->interrupts : NULL);
	device->vector_count = 0;
}

int pci_device_vector_fd(struct pci_device *device, unsigned vector)
{
	return vector < device->vector_count ? device->vectors[vector].event_fd : -1;
}

void pci_device_signal(struct pci_device *device, unsigned number)
{
	struct msi_vector *vector;

	if (number >= device->vector_count)
		return;
	vector = &device->vectors[number];
	/* If the guest masks the vector at this moment, the message is either sent or pending: both are right. */
	if (!__atomic_load_n(&vector->direct, __ATOMIC_ACQUIRE)) {
		eventfd_write(vector->event_fd, 1);
		return;
	}
	pthread_mutex_lock(&device->lock);
	if (vector->direct)
		interrupts_signal_msi(device->bus->interrupts, &vector->message);
	else
		eventfd_write(vector->event_fd, 1);
	pthread_mutex_unlock(&device->lock);
}

static struct msix_entry entry_of(const struct pci_state *state, uint64_t number)
{
	return (struct msix_entry){ state->msix_address[number], state->msix_data[number], state->msix_control[number] };
}

static void set_entry(struct pci_state *state, uint64_t number, const struct msix_entry *entry)
{
	state->msix_address[number] = entry->address;
	state->msix_data[number] = entry->data;
	state->msix_control[number] = entry->control;
}

static uint64_t pending_bits(const struct pci_device *device)
{
	uint64_t pending = 0;

	for (unsigned i = 0; i < device->vector_count; i++)
		pending |= (uint64_t)msi_vector_is_pending(&device->vectors[i]) << i;
	return pending;
}

/* The BAR: the table from 0, pending bits at MSIX_PENDING_OFFSET. */
static uint64_t msix_read(void *owner, uint64_t offset, unsigned size)
{
	struct pci_device *device = owner;
	uint64_t number = offset / PCI_MSIX_ENTRY_SIZE, value = 0;

	if (!msix_is_access(offset, size))
		return 0;
	pthread_mutex_lock(&device->lock);
	if (number < device->vector_count) {
		const struct msix_entry entry = entry_of(&device->state, number);

		value = msix_entry_read(&entry, offset, size);
	} else if (offset >= MSIX_PENDING_OFFSET && offset < MSIX_PENDING_OFFSET + 8) {
		value = pending_bits(device) >> 8 * (offset - MSIX_PENDING_OFFSET);
		value = size == 4 ? (uint32_t)value : value;
	}
	pthread_mutex_unlock(&device->lock);
	return value;
}

static void msix_write(void *owner, uint64_t offset, unsigned size, uint64_t value)
{
	struct pci_device *device = owner;
	uint64_t number = offset / PCI_MSIX_ENTRY_SIZE;
	struct msix_entry entry;

	if (!msix_is_access(offset, size))
		return;
	pthread_mutex_lock(&device->lock);
	if (number < device->vector_count) {
		entry = entry_of(&device->state, number);
		msix_entry_write(&entry, offset, size, value);
		set_entry(&device->state, number, &entry);
		update_vectors(device, (unsigned)number, 1);
	}
	pthread_mutex_unlock(&device->lock);
}

static const struct bus_ops msix_ops = { .read = msix_read, .write = msix_write };

int pci_device_add_msix(struct pci_device *device, struct pci_bus *pci, unsigned bar, struct error *error)
{
	const struct pci_bar table = { .size = MSIX_BAR_SIZE, .ops = &msix_ops, .owner = device };
	struct {
		uint8_t control[2], table[4], pending[4];
	} body;
	unsigned vectors = device->identity.vectors;
	int offset;

	if (!pci->interrupts->has_msi || vectors == 0)
		return 0;
	if (vectors > PCI_MAX_VECTORS)
		return error_set(error, EINVAL, "%s wants %u vectors, the limit is %d", device->identity.name, vectors,
				 PCI_MAX_VECTORS);
	if (pci_device_add_bar(device, bar, &table, error) < 0)
		return -1;

	body.control[0] = (uint8_t)(vectors - 1);
	body.control[1] = 0;
	memcpy(body.table, (uint8_t[]){ (uint8_t)bar, 0, 0, 0 }, 4);
	memcpy(body.pending, (uint8_t[]){ (uint8_t)bar, MSIX_PENDING_OFFSET >> 8, 0, 0 }, 4);
	offset = pci_device_add_capability(device, PCI_CAP_ID_MSIX, &body, 2 + sizeof(body), error);
	if (offset < 0)
		return -1;
	device->msix_capability = (unsigned)offset;
	device->writable[offset + PCI_MSIX_FLAGS + 1] = (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) >> 8;

	for (; device->vector_count < vectors; device->vector_count++)
		if (msi_vector_open(&device->vectors[device->vector_count], error) < 0)
			return error_context(error, "an MSI-X vector of %s", device->identity.name);
	return 0;
}
