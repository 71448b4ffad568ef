/* SPDX-License-Identifier: MIT */
/* Base address registers, and where they are on the bus (PCI Local Bus Specification 3.0, section 6.2.5). */
#include "bars.h"

#include <errno.h>
#include <linux/pci_regs.h>

#include "util/bits.h"

static unsigned bar_offset(unsigned index)
{
	return index == PCI_ROM ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * index;
}

/* The address bits of its first register. */
static uint32_t address_bits(const struct pci_device *device, unsigned index)
{
	if (device->bars[index].io)
		return (uint32_t)PCI_BASE_ADDRESS_IO_MASK;
	return index == PCI_ROM ? (uint32_t)PCI_ROM_ADDRESS_MASK : (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;
}

static uint64_t bar_address(const struct pci_device *device, unsigned index)
{
	const uint8_t *bar = device->state.config + bar_offset(index);
	uint64_t address = get32(bar) & address_bits(device, index);

	if (device->bars[index].wide)
		address |= (uint64_t)get32(bar + 4) << 32;
	return address;
}

static bool inside(uint64_t address, uint64_t size, uint64_t window, uint64_t window_size)
{
	return address >= window && size <= window_size && address - window <= window_size - size;
}

/* A BAR outside the host bridge's windows is not reachable, as on hardware. */
static bool bar_reachable(const struct pci_device *device, unsigned index, uint64_t address)
{
	const struct pci_layout *layout = &device->bus->layout;
	uint64_t size = device->bars[index].size;

	if (device->bars[index].io)
		return inside(address, size, 0, layout->io_size);
	return inside(address, size, layout->window32, layout->window32_size) ||
	       inside(address, size, layout->window64, layout->window64_size);
}

/* A ROM has an enable bit of its own, in addition to that for all memory. */
static bool bar_is_on(const struct pci_device *device, unsigned index)
{
	if (device->bars[index].io)
		return device->state.config[PCI_COMMAND] & PCI_COMMAND_IO;
	return device->state.config[PCI_COMMAND] & PCI_COMMAND_MEMORY &&
	       (index != PCI_ROM || device->state.config[PCI_ROM_ADDRESS] & PCI_ROM_ADDRESS_ENABLE);
}

/* Maps, moves or unmaps a BAR according to config space. Returns whether an address range became free. */
static bool move_bar(struct pci_device *device, unsigned index)
{
	struct pci_bar *bar = &device->bars[index];
	uint64_t address = bar_address(device, index);
	bool wanted = bar_is_on(device, index) && bar_reachable(device, index, address);
	struct error ignored;
	bool vacated;

	if (bar->io)
		address += device->bus->layout.io;
	vacated = bar->mapped && (!wanted || address != bar->address);
	if (vacated) {
		if (bar->moved)
			bar->moved(bar->owner, bar->address, false);
		bus_unmap(device->bus->bus, bar->address, bar->owner);
		bar->mapped = false;
	}
	if (!wanted || bar->mapped)
		return vacated;

	const struct bus_region region = { address, bar->size, bar->ops, bar->owner };

	/* Of overlapping BARs, the first keeps the address until it moves. The others are not mapped. */
	if (bus_map(device->bus->bus, &region, &ignored) < 0)
		return vacated;
	bar->mapped = true;
	bar->address = address;
	if (bar->moved)
		bar->moved(bar->owner, address, true);
	return vacated;
}

bool bars_move(struct pci_device *device)
{
	bool vacated = false;

	for (unsigned i = 0; i <= PCI_ROM; i++)
		if (device->bars[i].size)
			vacated |= move_bar(device, i);
	return vacated;
}

void bars_remap(struct pci_bus *pci)
{
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		struct pci_device *device = pci->devices[slot];

		if (!device)
			continue;
		pthread_mutex_lock(&device->lock);
		bars_move(device);
		pthread_mutex_unlock(&device->lock);
	}
}

int pci_device_add_bar(struct pci_device *device, unsigned index, const struct pci_bar *bar, struct error *error)
{
	uint8_t *config = device->state.config + bar_offset(index);
	uint8_t *writable = device->writable + bar_offset(index);
	uint64_t mask = ~(bar->size - 1), smallest = index == PCI_ROM ? 2048 : bar->io ? 4 : 16;

	if (index > PCI_ROM || (bar->wide && index + 1 >= PCI_BARS) || device->bars[index].size || bar->size < smallest ||
	    bar->size & (bar->size - 1))
		return error_set(error, EINVAL, "BAR %u of %s", index, device->identity.name);
	device->bars[index] = *bar;
	device->bars[index].mapped = false;
	put32(writable, (uint32_t)mask & address_bits(device, index));
	if (index == PCI_ROM) {
		*writable |= PCI_ROM_ADDRESS_ENABLE;
		return 0;
	}
	if (bar->io) {
		put32(config, PCI_BASE_ADDRESS_SPACE_IO);
		device->writable[PCI_COMMAND] |= PCI_COMMAND_IO;
		return 0;
	}
	put32(config, (bar->wide ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0u) |
		      (bar->prefetchable ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0u));
	if (bar->wide)
		put32(writable + 4, (uint32_t)(mask >> 32));
	return 0;
}

struct window {
	uint64_t *next, base, size;
};

static struct window window_of(struct pci_bus *pci, const struct pci_bar *bar)
{
	const struct pci_layout *layout = &pci->layout;

	if (bar->io)
		return (struct window){ &pci->next_port, 0, layout->io_size };
	if (bar->wide && layout->window64_size)
		return (struct window){ &pci->next64, layout->window64, layout->window64_size };
	return (struct window){ &pci->next32, layout->window32, layout->window32_size };
}

/* Assigns a BAR its first address, in the window that fits it. */
static int place_bar(struct pci_bus *pci, struct pci_device *device, unsigned index, struct error *error)
{
	struct pci_bar *bar = &device->bars[index];
	uint8_t *config = device->state.config + bar_offset(index);
	struct window window = window_of(pci, bar);
	uint64_t address = (*window.next + bar->size - 1) & ~(bar->size - 1);

	if (!inside(address, bar->size, window.base, window.size))
		return error_set(error, ENOSPC, "no room for BAR %u of %s", index, device->identity.name);
	*window.next = address + bar->size;
	put32(config, (uint32_t)address | (get32(config) & ~address_bits(device, index)));
	if (bar->wide)
		put32(config + 4, (uint32_t)(address >> 32));
	return 0;
}

int bars_place(struct pci_bus *pci, struct pci_device *device, struct error *error)
{
	for (unsigned i = 0; i <= PCI_ROM; i++)
		if (device->bars[i].size && place_bar(pci, device, i, error) < 0)
			return -1;
	return 0;
}
