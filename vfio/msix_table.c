/* SPDX-License-Identifier: MIT */
/*
 * The MSI-X table and its pending bits in a device's BARs. The guest programs a table in lkvm, and the kernel
 * the device's.
 */
#include <errno.h>
#include <linux/pci_regs.h>

#include "device.h"
#include "util/bits.h"

static bool touches(uint64_t offset, unsigned size, uint64_t start, uint64_t length)
{
	return offset < start + length && start < offset + size;
}

static bool in_table(const struct vfio_interrupts *interrupts, unsigned bar, uint64_t offset, unsigned size)
{
	return interrupts->msix_count && bar == interrupts->table_bar &&
	       touches(offset, size, interrupts->table_offset, interrupts->msix_count * (uint64_t)PCI_MSIX_ENTRY_SIZE);
}

static bool in_pending(const struct vfio_interrupts *interrupts, unsigned bar, uint64_t offset, unsigned size)
{
	return interrupts->msix_count && bar == interrupts->pending_bar &&
	       touches(offset, size, interrupts->pending_offset, (interrupts->msix_count + 63) / 64 * 8);
}

/* A masked vector's pending bit is in the device while it has no eventfd there; then it is the eventfd's count. */
static uint64_t read_pending(struct vfio_device *device, uint64_t offset, unsigned size)
{
	const struct vfio_interrupts *interrupts = &device->interrupts;
	uint64_t first = (offset - interrupts->pending_offset) * 8, value = 0;

	vfio_device_read(device, device->bars[interrupts->pending_bar].offset + offset, &value, size);
	for (unsigned i = 0; i < 8 * size && first + i < interrupts->active; i++)
		if (interrupts->mode == VFIO_MODE_MSIX && msi_vector_is_pending(&interrupts->vectors[first + i].msi))
			value |= 1ull << i;
	return value;
}

bool vfio_table_read(struct vfio_device *device, unsigned bar, uint64_t offset, unsigned size, uint64_t *value)
{
	const struct vfio_interrupts *interrupts = &device->interrupts;
	bool table = in_table(interrupts, bar, offset, size), pending = in_pending(interrupts, bar, offset, size);
	const struct msix_entry *entry;

	*value = 0;
	if (!table && !pending)
		return false;
	if (!msix_is_access(offset, size))
		return true;
	pthread_mutex_lock(&device->pci.lock);
	if (table) {
		offset -= interrupts->table_offset;
		entry = &interrupts->entries[offset / PCI_MSIX_ENTRY_SIZE];
		*value = msix_entry_read(entry, offset, size);
	} else if (offset >= interrupts->pending_offset) {
		*value = read_pending(device, offset, size);
	}
	pthread_mutex_unlock(&device->pci.lock);
	return true;
}

bool vfio_table_write(struct vfio_device *device, unsigned bar, uint64_t offset, unsigned size, uint64_t value)
{
	const struct vfio_interrupts *interrupts = &device->interrupts;
	struct msix_entry *entry;
	unsigned number;

	if (!in_table(interrupts, bar, offset, size))
		return in_pending(interrupts, bar, offset, size);
	if (!msix_is_access(offset, size))
		return true;
	offset -= interrupts->table_offset;
	number = (unsigned)(offset / PCI_MSIX_ENTRY_SIZE);
	pthread_mutex_lock(&device->pci.lock);
	entry = &interrupts->entries[number];
	msix_entry_write(entry, offset, size, value);
	vfio_interrupts_update_vector(device, number);
	pthread_mutex_unlock(&device->pci.lock);
	return true;
}

int vfio_table_find(struct vfio_device *device, struct error *error)
{
	struct vfio_interrupts *interrupts = &device->interrupts;
	const uint8_t *capability = device->pci.state.config + device->msix_capability;
	uint32_t table = get32(capability + PCI_MSIX_TABLE), pending = get32(capability + PCI_MSIX_PBA);
	unsigned entries = (get16(capability + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1u;

	if (!interrupts->msix_count)
		return 0;
	interrupts->table_bar = table & PCI_MSIX_TABLE_BIR;
	interrupts->table_offset = table & PCI_MSIX_TABLE_OFFSET;
	interrupts->pending_bar = pending & PCI_MSIX_PBA_BIR;
	interrupts->pending_offset = pending & PCI_MSIX_PBA_OFFSET;
	if (interrupts->table_bar >= PCI_BARS || interrupts->pending_bar >= PCI_BARS)
		return error_set(error, EBADMSG, "its MSI-X table is in BAR %u, its pending bits in BAR %u",
				 interrupts->table_bar, interrupts->pending_bar);
	if (entries != interrupts->msix_count)
		return error_set(error, EBADMSG, "its MSI-X table has %u entries, the kernel says %u",
				 entries, interrupts->msix_count);
	return 0;
}
