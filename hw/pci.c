/* SPDX-License-Identifier: MIT */
/* The PCI host bridge with its ECAM, and the life of a PCI device: open, plug, reset, restore, close. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "bars.h"
#include "msix.h"
#include "util/bits.h"

#define FIRST_PORT 0x1000u /* ports below belong to a PC's own devices; Linux assigns none of them */

static const struct state_field pci_fields[] = {
	STATE_ARRAY(struct pci_state, config, STATE_RUNTIME, 0), /* pci_device_reset(): as it was plugged */
	STATE_ARRAY(struct pci_state, msix_address, STATE_RUNTIME, 0),
	STATE_ARRAY(struct pci_state, msix_data, STATE_RUNTIME, 0),
	STATE_ARRAY(struct pci_state, msix_control, STATE_RUNTIME, PCI_MSIX_ENTRY_CTRL_MASKBIT),
	STATE_FIELD(struct pci_state, msix_pending, STATE_RUNTIME, 0),
};

const struct state_table pci_state_table = STATE_TABLE(struct pci_state, "pci", 1, pci_fields);

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

/* Returns whether an address range became free. */
static bool config_write(struct pci_device *device, unsigned offset, unsigned size, uint64_t value)
{
	bool vacated = false;

	for (unsigned i = 0; i < size; i++) {
		uint8_t *at = &device->state.config[offset + i];
		uint8_t byte = (uint8_t)(value >> 8 * i), mask = device->writable[offset + i];
		uint8_t cleared = byte & device->cleared_by_ones[offset + i];

		__atomic_store_n(at, (uint8_t)((*at & ~mask & ~cleared) | (byte & mask)), __ATOMIC_RELEASE);
	}
	if (overlaps(offset, size, PCI_COMMAND, 2)) {
		pthread_mutex_lock(&device->line_lock);
		if (device->line)
			drive_line(device);
		pthread_mutex_unlock(&device->line_lock);
	}
	if (overlaps(offset, size, PCI_COMMAND, 1) || overlaps(offset, size, PCI_BASE_ADDRESS_0, 4 * PCI_BARS) ||
	    overlaps(offset, size, PCI_ROM_ADDRESS, 4))
		vacated = bars_move(device);
	if (overlaps(offset, size, PCI_COMMAND, 1) ||
	    (device->msix_capability && overlaps(offset, size, device->msix_capability + PCI_MSIX_FLAGS, 2)))
		msix_update(device);
	return vacated;
}

/* The device at an ECAM offset, and the register in it. NULL: no device. */
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
		bars_remap(owner);
	if (hooked(device, reg, size) && device->hook_write)
		device->hook_write(device->hook_owner, reg, size, value);
}

static const struct bus_ops ecam_ops = { .read = ecam_read, .write = ecam_write };

/*
 * Opening, plugging, closing
 */

int pci_bus_open(struct pci_bus *pci, struct bus *bus, struct interrupts *interrupts, const struct pci_layout *layout,
		 struct error *error)
{
	const struct bus_region ecam = { layout->ecam, PCI_ECAM_SIZE, &ecam_ops, pci };

	*pci = (struct pci_bus){
		.bus = bus,
		.interrupts = interrupts,
		.layout = *layout,
		.next_port = FIRST_PORT,
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

int pci_device_plug(struct pci_bus *pci, struct pci_device *device, int slot, struct error *error)
{
	if (slot < 0)
		for (slot = 0; slot < PCI_SLOTS && pci->devices[slot]; slot++)
			;
	if (slot >= PCI_SLOTS || pci->devices[slot])
		return error_set(error, ENOSPC, "no free PCI slot for %s", device->identity.name);
	if (bars_place(pci, device, error) < 0)
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
	bars_move(device);
	msix_reset(device);
	pthread_mutex_unlock(&device->lock);
	pci_device_set_line(device, false);
}

int pci_device_restored(struct pci_device *device, struct error *error)
{
	for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++)
		if ((device->state.config[i] ^ device->initial[i]) & ~(device->writable[i] | device->cleared_by_ones[i]))
			return error_set(error, EINVAL, "byte 0x%x of its configuration space is 0x%02x in the snapshot, but "
					 "0x%02x here: it is another kind of device", i, device->state.config[i],
					 device->initial[i]);
	pthread_mutex_lock(&device->lock);
	bars_move(device);
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
