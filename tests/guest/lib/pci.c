/* SPDX-License-Identifier: MIT */
/* PCI configuration, BARs and MSI-X. PCI Local Bus Specification 3.0, chapter 6. */
#include "lib/pci.h"

#include "lib/mmu.h"

#define MSIX_CONTROL 2u
#define MSIX_TABLE 4u
#define MSIX_PENDING 8u
#define MSIX_ENABLE 0x8000u
#define MSIX_COUNT 0x7ffu

unsigned pci_capability(const struct pci_function *function, unsigned id, unsigned after)
{
	unsigned offset = read8(function->config + (after ? after + 1 : PCI_CAPABILITIES));

	for (unsigned i = 0; offset && i < 48; i++) {
		if (read8(function->config + offset) == id)
			return offset;
		offset = read8(function->config + offset + 1);
	}
	return 0;
}

void pci_command(const struct pci_function *function, uint16_t bits)
{
	write16(function->config + PCI_COMMAND, bits);
}

void pci_move_bar(struct pci_function *function, unsigned bar, uint64_t address)
{
	uint64_t reg = function->config + PCI_BAR0 + 4 * bar;

	write32(reg, (uint32_t)address - (function->bars[bar].io ? (uint32_t)BOARD_IO : 0));
	if (function->bars[bar].wide)
		write32(reg + 4, (uint32_t)(address >> 32));
	function->bars[bar].address = address;
	mmu_map(address);
}

/* Sizes a BAR by the bits that cannot be set. Decoding is disabled meanwhile, as the specification demands. */
static void find_bar(struct pci_function *function, unsigned index)
{
	struct pci_bar *bar = &function->bars[index];
	uint64_t reg = function->config + PCI_BAR0 + 4 * index;
	uint32_t low = read32(reg), high = 0;
	uint32_t bits = low & 1 ? ~3u : ~0xfu;
	uint64_t mask;

	bar->io = low & 1;
	bar->wide = !bar->io && (low & 6) == 4;
	write32(reg, ~0u);
	mask = read32(reg) & bits;
	write32(reg, low);
	if (bar->wide) {
		high = read32(reg + 4);
		write32(reg + 4, ~0u);
		mask |= (uint64_t)read32(reg + 4) << 32;
		write32(reg + 4, high);
	} else if (mask) {
		mask |= 0xffffffffull << 32;
	}
	bar->address = ((uint64_t)high << 32 | (low & bits)) + (bar->io ? BOARD_IO : 0);
	bar->size = mask ? ~mask + 1 : 0;
	mmu_map(bar->address);
}

static uint64_t msix_address(const struct pci_function *function, unsigned offset)
{
	uint32_t where = read32(function->config + function->msix + offset);

	return (where & 7) < PCI_BARS ? function->bars[where & 7].address + (where & ~7u) : 0;
}

bool pci_find(struct pci_function *function, unsigned slot)
{
	uint16_t command;

	*function = (struct pci_function){ .slot = slot, .config = pci_config(slot, 0) };
	function->vendor = read16(function->config);
	function->device = read16(function->config + 2);
	if (function->vendor == 0xffff)
		return false;

	command = read16(function->config + PCI_COMMAND);
	pci_command(function, command & (uint16_t)~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
	for (unsigned i = 0; i < PCI_BARS; i++) {
		find_bar(function, i);
		i += function->bars[i].wide;
	}
	pci_command(function, command);

	function->msix = pci_capability(function, PCI_CAPABILITY_MSIX, 0);
	if (function->msix) {
		function->vectors =
			(read16(function->config + function->msix + MSIX_CONTROL) & MSIX_COUNT) + 1;
		function->table = msix_address(function, MSIX_TABLE);
		function->pending = msix_address(function, MSIX_PENDING);
	}
	return true;
}

void msix_set(const struct pci_function *function, unsigned vector, uint64_t address, uint32_t data,
	      bool masked)
{
	uint64_t entry = function->table + 16 * (uint64_t)vector;

	write32(entry + 12, 1);
	write32(entry, (uint32_t)address);
	write32(entry + 4, (uint32_t)(address >> 32));
	write32(entry + 8, data);
	if (!masked)
		write32(entry + 12, 0);
}

void msix_enable(const struct pci_function *function, bool enable)
{
	write16(function->config + function->msix + MSIX_CONTROL, enable ? MSIX_ENABLE : 0);
}

bool msix_pending(const struct pci_function *function, unsigned vector)
{
	return read32(function->pending + 4 * (vector / 32)) >> vector % 32 & 1;
}
