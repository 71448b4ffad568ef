/* SPDX-License-Identifier: MIT */
/* Accesses to an entry of an MSI-X table, for the table of an emulated and of a passed-through device. */
#include "hw/msix_table.h"

#include <linux/pci_regs.h>

_Static_assert(sizeof(struct msix_entry) == PCI_MSIX_ENTRY_SIZE, "an entry has the size that the guest sees");

bool msix_is_access(uint64_t offset, unsigned size)
{
	return (size == 4 || size == 8) && offset % size == 0;
}

static uint32_t read_word(const struct msix_entry *entry, uint64_t offset)
{
	switch (offset % PCI_MSIX_ENTRY_SIZE) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		return (uint32_t)entry->address;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		return (uint32_t)(entry->address >> 32);
	case PCI_MSIX_ENTRY_DATA:
		return entry->data;
	default:
		return entry->control;
	}
}

static void write_word(struct msix_entry *entry, uint64_t offset, uint32_t value)
{
	switch (offset % PCI_MSIX_ENTRY_SIZE) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		entry->address = (entry->address & ~0xffffffffull) | (value & ~3u);
		break;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		entry->address = (entry->address & 0xffffffffull) | (uint64_t)value << 32;
		break;
	case PCI_MSIX_ENTRY_DATA:
		entry->data = value;
		break;
	default:
		entry->control = value & PCI_MSIX_ENTRY_CTRL_MASKBIT;
	}
}

uint64_t msix_entry_read(const struct msix_entry *entry, uint64_t offset, unsigned size)
{
	uint64_t value = read_word(entry, offset);

	return size == 8 ? value | (uint64_t)read_word(entry, offset + 4) << 32 : value;
}

void msix_entry_write(struct msix_entry *entry, uint64_t offset, unsigned size, uint64_t value)
{
	write_word(entry, offset, (uint32_t)value);
	if (size == 8)
		write_word(entry, offset + 4, (uint32_t)(value >> 32));
}
