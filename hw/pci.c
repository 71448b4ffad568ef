/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "msix.h"

#define ECAM_SIZE ((uint64_t)PCI_SLOTS * 8 * PCI_CONFIG_SIZE) /* one bus, eight functions a slot */

static uint32_t get32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void put16(uint8_t *bytes, uint16_t value)
{
	bytes[0] = (uint8_t)value;
	bytes[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *bytes, uint32_t value)
{
	put16(bytes, (uint16_t)value);
	put16(bytes + 2, (uint16_t)(value >> 16));
}

static const struct state_field pci_fields[] = {
	STATE_ARRAY(struct pci_state, config, STATE_RUNTIME, 0), /* pci_device_reset(): as it was plugged */
	STATE_ARRAY(struct pci_state, msix_address, STATE_RUNTIME, 0),
	STATE_ARRAY(struct pci_state, msix_data, STATE_RUNTIME, 0),
	STATE_ARRAY(struct pci_state, msix_control, STATE_RUNTIME, PCI_MSIX_ENTRY_CTRL_MASKBIT),
	STATE_FIELD(struct pci_state, msix_pending, STATE_RUNTIME, 0),
};

const struct state_table pci_state_table = STATE_TABLE(struct pci_state, "pci", 1, pci_fields);

/*
 * BARs
 */

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

static bool move_bars(struct pci_device *device)
{
	bool vacated = false;

	for (unsigned i = 0; i <= PCI_ROM; i++)
		if (device->bars[i].size)
			vacated |= move_bar(device, i);
	return vacated;
}

/* A place became free: whoever was put there too, and answered nowhere, may have it now. No device is locked. */
static void settle_bars(struct pci_bus *pci)
{
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		struct pci_device *device = pci->devices[slot];

		if (!device)
			continue;
		pthread_mutex_lock(&device->lock);
		move_bars(device);
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

/*
 * Config space
 */

static bool overlaps(unsigned offset, unsigned size, unsigned start, unsigned length)
{
	return offset < start + length && start < offset + size;
}

static void drive_line(struct pci_device *device)
{
	uint8_t command = __atomic_load_n(&device->state.config[PCI_COMMAND + 1], __ATOMIC_ACQUIRE);
	bool level = device->line && !(command & PCI_COMMAND_INTX_DISABLE >> 8);

	interrupts_set_line(device->bus->interrupts, device->bus->layout.first_line + device->slot, level);
}

void pci_device_set_line(struct pci_device *device, bool level)
{
	pthread_mutex_lock(&device->line_lock);
	if (device->line != level) {
		device->line = level;
		drive_line(device);
	}
	pthread_mutex_unlock(&device->line_lock);
}

/* Whether an address range became free. */
static bool config_write(struct pci_device *device, unsigned offset, unsigned size, uint64_t value)
{
	bool vacated = false;

	for (unsigned i = 0; i < size; i++) {
		uint8_t mask = device->writable[offset + i];
		uint8_t byte = (uint8_t)(value >> 8 * i);

		__atomic_store_n(&device->state.config[offset + i], (uint8_t)((device->state.config[offset + i] & ~mask) | (byte & mask)),
				 __ATOMIC_RELEASE);
	}
	if (overlaps(offset, size, PCI_COMMAND, 2)) {
		pthread_mutex_lock(&device->line_lock);
		if (device->line)
			drive_line(device);
		pthread_mutex_unlock(&device->line_lock);
	}
	if (overlaps(offset, size, PCI_COMMAND, 1) || overlaps(offset, size, PCI_BASE_ADDRESS_0, 4 * PCI_BARS) ||
	    overlaps(offset, size, PCI_ROM_ADDRESS, 4))
		vacated = move_bars(device);
	if (overlaps(offset, size, PCI_COMMAND, 1) ||
	    (device->msix_capability && overlaps(offset, size, device->msix_capability + PCI_MSIX_FLAGS, 2)))
		msix_update(device);
	return vacated;
}

/* The device behind an ECAM offset, and the register in it; NULL: nobody is there. */
static struct pci_device *ecam_find(struct pci_bus *pci, uint64_t offset, unsigned *reg)
{
	unsigned function = (unsigned)(offset >> 12) & 7;

	*reg = (unsigned)offset & (PCI_CONFIG_SIZE - 1);
	return function ? NULL : pci->devices[offset >> 15 & (PCI_SLOTS - 1)];
}

static bool hooked(const struct pci_device *device, unsigned reg, unsigned size)
{
	return device->hook_size && overlaps(reg, size, device->hook_offset, device->hook_size);
}

static uint64_t ecam_read(void *owner, uint64_t offset, unsigned size)
{
	unsigned reg;
	struct pci_device *device = ecam_find(owner, offset, &reg);
	uint64_t value = 0;

	if (!device || reg + size > PCI_CONFIG_SIZE)
		return ~0ull >> (64 - 8 * size);
	if (hooked(device, reg, size) && device->hook_read)
		device->hook_read(device->hook_owner, reg, size);
	pthread_mutex_lock(&device->lock);
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)device->state.config[reg + i] << 8 * i;
	if (overlaps(reg, size, PCI_STATUS, 1)) {
		pthread_mutex_lock(&device->line_lock);
		if (device->line)
			value |= (uint64_t)PCI_STATUS_INTERRUPT << 8 * (PCI_STATUS - reg);
		pthread_mutex_unlock(&device->line_lock);
	}
	pthread_mutex_unlock(&device->lock);
	return value;
}

static void ecam_write(void *owner, uint64_t offset, unsigned size, uint64_t value)
{
	unsigned reg;
	struct pci_device *device = ecam_find(owner, offset, &reg);
	bool vacated;

	if (!device || reg + size > PCI_CONFIG_SIZE)
		return;
	pthread_mutex_lock(&device->lock);
	vacated = config_write(device, reg, size, value);
	pthread_mutex_unlock(&device->lock);
	if (vacated)
		settle_bars(owner);
	if (hooked(device, reg, size) && device->hook_write)
		device->hook_write(device->hook_owner, reg, size, value);
}

static const struct bus_ops ecam_ops = { .read = ecam_read, .write = ecam_write };

bool pci_device_bus_master(struct pci_device *device)
{
	return __atomic_load_n(&device->state.config[PCI_COMMAND], __ATOMIC_ACQUIRE) & PCI_COMMAND_MASTER;
}

/*
 * Making and unmaking
 */

int pci_bus_open(struct pci_bus *pci, struct bus *bus, struct interrupts *interrupts, const struct pci_layout *layout,
		 struct error *error)
{
	const struct bus_region ecam = { layout->ecam, ECAM_SIZE, &ecam_ops, pci };

	*pci = (struct pci_bus){
		.bus = bus,
		.interrupts = interrupts,
		.layout = *layout,
		.next32 = layout->window32,
		.next64 = layout->window64,
	};
	return bus_map(bus, &ecam, error);
}

void pci_bus_close(struct pci_bus *pci)
{
	if (pci->bus)
		bus_unmap(pci->bus, pci->layout.ecam, pci);
	pci->bus = NULL;
}

int pci_device_open(struct pci_device *device, const struct pci_identity *identity, struct error *error)
{
	uint8_t *config = device->state.config;

	*device = (struct pci_device){ .identity = *identity, .next_capability = 0x40 };
	for (unsigned i = 0; i < PCI_MAX_VECTORS; i++)
		device->vectors[i] = MSI_VECTOR_NONE;
	if (pthread_mutex_init(&device->lock, NULL) || pthread_mutex_init(&device->line_lock, NULL))
		return error_set(error, ENOMEM, "locks for %s", identity->name);

	put16(config + PCI_VENDOR_ID, identity->vendor);
	put16(config + PCI_DEVICE_ID, identity->device);
	put32(config + PCI_CLASS_REVISION, identity->class_code << 8 | identity->revision);
	put16(config + PCI_SUBSYSTEM_VENDOR_ID, identity->subsystem_vendor);
	put16(config + PCI_SUBSYSTEM_ID, identity->subsystem);
	config[PCI_INTERRUPT_PIN] = 1;
	put16(device->writable + PCI_COMMAND,
	      PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	device->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	device->writable[PCI_INTERRUPT_LINE] = 0xff;
	return 0;
}

int pci_device_add_capability(struct pci_device *device, uint8_t id, const void *body, unsigned size,
			      struct error *error)
{
	unsigned offset = device->next_capability;

	/* Capabilities live in the first 256 bytes, each at a multiple of four. */
	if (size < 2 || offset + size > 256)
		return error_set(error, ENOSPC, "no room for capability 0x%x of %s", id, device->identity.name);
	device->state.config[offset] = id;
	memcpy(device->state.config + offset + 2, body, size - 2);
	device->state.config[device->last_capability ? device->last_capability + 1 : PCI_CAPABILITY_LIST] = (uint8_t)offset;
	device->state.config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	device->last_capability = offset;
	device->next_capability = (offset + size + 3) & ~3u;
	return (int)offset;
}

int pci_device_plug(struct pci_bus *pci, struct pci_device *device, int slot, struct error *error)
{
	if (slot < 0)
		for (slot = 0; slot < PCI_SLOTS && pci->devices[slot]; slot++)
			;
	if (slot >= PCI_SLOTS || pci->devices[slot])
		return error_set(error, ENOSPC, "no free PCI slot for %s", device->identity.name);
	for (unsigned i = 0; i <= PCI_ROM; i++)
		if (device->bars[i].size && place_bar(pci, device, i, error) < 0)
			return -1;
	device->bus = pci;
	device->slot = (unsigned)slot;
	msix_reset(device);
	memcpy(device->initial, device->state.config, sizeof(device->initial));
	pci->devices[slot] = device;
	return 0;
}

void pci_device_reset(struct pci_device *device)
{
	pthread_mutex_lock(&device->lock);
	memcpy(device->state.config, device->initial, sizeof(device->state.config));
	move_bars(device);
	msix_reset(device);
	pthread_mutex_unlock(&device->lock);
	pci_device_set_line(device, false);
}

int pci_device_restored(struct pci_device *device, struct error *error)
{
	for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++)
		if ((device->state.config[i] ^ device->initial[i]) & (uint8_t)~device->writable[i])
			return error_set(error, EINVAL, "byte 0x%x of its configuration space is 0x%02x in the snapshot, but "
					 "0x%02x here: it is another kind of device", i, device->state.config[i],
					 device->initial[i]);
	pthread_mutex_lock(&device->lock);
	move_bars(device);
	msix_restored(device);
	pthread_mutex_lock(&device->line_lock);
	drive_line(device);
	pthread_mutex_unlock(&device->line_lock);
	pthread_mutex_unlock(&device->lock);
	return 0;
}

void pci_device_close(struct pci_device *device)
{
	if (device->bus) {
		pci_device_reset(device);
		device->bus->devices[device->slot] = NULL;
	}
	msix_close(device);
	device->bus = NULL;
	pthread_mutex_destroy(&device->lock);
	pthread_mutex_destroy(&device->line_lock);
}
