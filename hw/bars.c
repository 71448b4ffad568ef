/* SPDX-License-Identifier: MIT */
/* Base address registers, and where they are on the bus (PCI Local Bus Specification 3.0, section 6.2.5). */
#include "bars.h"

#include <errno.h>
#include <linux/pci_regs.h>

static unsigned bar_offset(unsigned index)
{
	return index == PCI_ROM ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * index;
}

/* Of its first register. */
static uint32_t address_bits(unsigned index)
{
	return index == PCI_ROM ? (uint32_t)PCI_ROM_ADDRESS_MASK : (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;
}

static uint64_t bar_address(const struct pci_device *device, unsigned index)
{
	const uint8_t *bar = device->state.config + bar_offset(index);
	uint64_t address = get32(bar) & address_bits(index);

	if (device->bars[index].wide)
		address |= (uint64_t)get32(bar + 4) << 32;
	return address;
}

static bool inside(uint64_t address, uint64_t size, uint64_t window, uint64_t window_size)
{
	return address >= window && size <= window_size && address - window <= window_size - size;
}

/* A BAR that the guest puts outside the host bridge's windows answers nowhere, as on hardware. */
static bool bar_reachable(const struct pci_device *device, uint64_t address, uint64_t size)
{
	const struct pci_layout *layout = &device->bus->layout;

	return inside(address, size, layout->window32, layout->window32_size) ||
	       inside(address, size, layout->window64, layout->window64_size);
}

/* A ROM has a switch of its own, beside that for all memory. */
static bool bar_is_on(const struct pci_device *device, unsigned index)
{
	return device->state.config[PCI_COMMAND] & PCI_COMMAND_MEMORY &&
	       (index != PCI_ROM || device->state.config[PCI_ROM_ADDRESS] & PCI_ROM_ADDRESS_ENABLE);
}

/* Maps, moves or unmaps a BAR as config space says. Whether an address range became free. */
static bool move_bar(struct pci_device *device, unsigned index)
{
	struct pci_bar *bar = &device->bars[index];
	uint64_t address = bar_address(device, index);
	bool wanted = bar_is_on(device, index) && bar_reachable(device, address, bar->size);
	bool vacated = bar->mapped && (!wanted || address != bar->address);
	struct error ignored;

	if (vacated) {
		if (bar->moved)
			bar->moved(bar->owner, bar->address, false);
		bus_unmap(device->bus->bus, bar->address, bar->owner);
		bar->mapped = false;
	}
	if (!wanted || bar->mapped)
		return vacated;

	const struct bus_region region = { address, bar->size, bar->ops, bar->owner };

	/* Where another BAR is already, this one is not: the first keeps the place until it moves. */
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

void bars_settle(struct pci_bus *pci)
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
	uint64_t mask = ~(bar->size - 1), smallest = index == PCI_ROM ? 2048 : 16;

	if (index > PCI_ROM || (bar->wide && index + 1 >= PCI_BARS) || device->bars[index].size || bar->size < smallest ||
	    bar->size & (bar->size - 1))
		return error_set(error, EINVAL, "BAR %u of %s", index, device->identity.name);
	device->bars[index] = *bar;
	device->bars[index].mapped = false;
	put32(writable, (uint32_t)mask & address_bits(index));
	if (index == PCI_ROM) {
		*writable |= PCI_ROM_ADDRESS_ENABLE;
		return 0;
	}
	put32(config, (bar->wide ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0u) |
		      (bar->prefetchable ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0u));
	if (bar->wide)
		put32(writable + 4, (uint32_t)(mask >> 32));
	return 0;
}

/* The first address of a BAR, from the window that fits it. */
static int place_bar(struct pci_bus *pci, struct pci_device *device, unsigned index, struct error *error)
{
	struct pci_bar *bar = &device->bars[index];
	uint8_t *config = device->state.config + bar_offset(index);
	bool high = bar->wide && pci->layout.window64_size;
	uint64_t *next = high ? &pci->next64 : &pci->next32;
	uint64_t window = high ? pci->layout.window64 : pci->layout.window32;
	uint64_t window_size = high ? pci->layout.window64_size : pci->layout.window32_size;
	uint64_t address = (*next + bar->size - 1) & ~(bar->size - 1);

	if (!inside(address, bar->size, window, window_size))
		return error_set(error, ENOSPC, "no room for BAR %u of %s", index, device->identity.name);
	*next = address + bar->size;
	put32(config, (uint32_t)address | (get32(config) & ~address_bits(index)));
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
