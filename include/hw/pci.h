/* SPDX-License-Identifier: MIT */
/*
 * PCI: one host bridge with one bus of 32 devices, found by ECAM; BARs that the guest may move; MSI-X.
 * PCI Local Bus Specification 3.0 chapter 6; PCI Express Base Specification 6.0 section 7.2.2 (ECAM).
 *
 * Interrupts: with an ITS, MSI-X; without, one level-triggered line (INTA) a device. Each MSI-X vector has an
 * eventfd. While the vector is unmasked, an irqfd attaches the eventfd to KVM, and a write injects the interrupt.
 * While it is masked, the irqfd is detached and the eventfd's count is the pending bit. KVM delivers that when the
 * irqfd is attached again. So a device, or vhost in the kernel, writes the same eventfd in both cases.
 */
#ifndef LKVM_HW_PCI_H
#define LKVM_HW_PCI_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "arm/fdt_writer.h"
#include "hw/msi_vector.h"
#include "kvm/bus.h"
#include "kvm/interrupts.h"
#include "state/state_table.h"
#include "util/err.h"

#define PCI_SLOTS 32
#define PCI_CONFIG_SIZE 4096u
#define PCI_ECAM_SIZE ((uint64_t)PCI_SLOTS * 8 * PCI_CONFIG_SIZE) /* one bus, eight functions a slot */
#define PCI_BARS 6
#define PCI_ROM 6u /* index of the expansion ROM among the BARs */
#define PCI_MAX_VECTORS 64

struct rcec;
struct pci_bus;
struct pci_device;

/* The windows of the host bridge: guest physical addresses and sizes in bytes. */
struct pci_layout {
	uint64_t ecam;       /* 1 MiB: bus 0 */
	uint64_t io;         /* of port 0 */
	uint64_t io_size;    /* 0: the bus has no ports */
	uint64_t window32;   /* non-prefetchable memory below 4 GiB */
	uint64_t window32_size;
	uint64_t window64;   /* 0 and size 0: none; 64-bit BARs are in window32 then */
	uint64_t window64_size;
	unsigned first_line; /* SPI of slot 0's INTA; slot n has first_line + n */
};

struct pci_bar {
	uint64_t size; /* a power of two, at least 16 (ports 4, a ROM 2048); 0: none, or the upper half of the one before */
	bool io;       /* ports; then not `wide` nor `prefetchable` */
	bool wide;     /* 64-bit; uses the next index, too */
	bool prefetchable;
	const struct bus_ops *ops;
	void *owner;
	/* The BAR was mapped at `address`, or with `mapped` false is unmapped from it. The device is locked. */
	void (*moved)(void *owner, uint64_t address, bool mapped);

	bool mapped;
	uint64_t address; /* where it is mapped */
};

/* All state of a function. The MSI-X table is as the guest programs it (PCI 3.0 section 6.8.2). */
struct pci_state {
	uint8_t config[PCI_CONFIG_SIZE];
	uint64_t msix_address[PCI_MAX_VECTORS];
	uint32_t msix_data[PCI_MAX_VECTORS];
	uint32_t msix_control[PCI_MAX_VECTORS]; /* bit 0: masked */
	uint64_t msix_pending; /* only during a save or restore; otherwise the vectors' eventfds have these bits */
};

extern const struct state_table pci_state_table;

/* A device's identification registers. */
struct pci_identity {
	const char *name; /* "virtio-blk0": for messages, stat and inspect */
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint32_t class_code; /* 24 bits: base class, subclass, interface */
	uint8_t revision;
	unsigned vectors; /* MSI-X vectors, 0..PCI_MAX_VECTORS */
};

struct pci_device {
	struct pci_bus *bus;
	struct pci_identity identity;
	unsigned slot;
	pthread_mutex_t lock; /* config space, MSI-X table, BARs */
	pthread_mutex_t line_lock; /* INTA; only the lock of the interrupts nests in it */
	bool line;

	struct pci_state state;
	uint8_t writable[PCI_CONFIG_SIZE]; /* bits that a guest's write changes */
	uint8_t cleared_by_ones[PCI_CONFIG_SIZE]; /* bits that the device sets and the guest clears by writing ones */
	uint8_t initial[PCI_CONFIG_SIZE];  /* values after reset: a copy from when the device was plugged */
	struct pci_bar bars[PCI_BARS + 1];
	unsigned next_capability; /* offset of the next free byte for capabilities */
	unsigned last_capability; /* the last in the list; 0: no capability yet */

	unsigned msix_capability; /* offset in config space, 0: none */
	unsigned vector_count;    /* 0 where the bus has no MSI */
	struct msi_vector vectors[PCI_MAX_VECTORS];

	/*
	 * A range of config space that the device handles itself: virtio's PCI configuration access, registers that a
	 * passed-through device has in hardware. Called with the device unlocked.
	 */
	unsigned hook_offset, hook_size;
	void (*hook_read)(void *owner, unsigned offset, unsigned size); /* before a read: fills in config */
	void (*hook_write)(void *owner, unsigned offset, unsigned size, uint64_t value); /* after a write */
	void *hook_owner;
};

struct pci_bus {
	struct bus *bus;
	struct interrupts *interrupts;
	struct pci_layout layout;
	struct pci_device *devices[PCI_SLOTS];
	struct rcec *rcec; /* receives the errors of functions; NULL: none */
	uint64_t next_port, next32, next64; /* the first free addresses for BARs */
};

/* Maps the ECAM. `interrupts->has_msi` is valid. */
int pci_bus_open(struct pci_bus *pci, struct bus *bus, struct interrupts *interrupts,
		 const struct pci_layout *layout, struct error *error);
void pci_bus_close(struct pci_bus *pci);

/* Writes the host bridge's node of the device tree. */
void pci_bus_fdt(const struct pci_bus *pci, struct fdt_writer *writer);

/*
 * To make a device, call pci_device_open(), add BARs and capabilities, then call pci_device_plug(). That assigns the
 * next free slot (or `slot`, if it is >= 0) and the first addresses of BARs, and makes the device visible to the guest.
 */
int pci_device_open(struct pci_device *device, const struct pci_identity *identity, struct error *error);
int pci_device_add_bar(struct pci_device *device, unsigned index, const struct pci_bar *bar,
		       struct error *error);

/*
 * Adds a vendor or standard capability of `size` bytes. `body` has no header bytes (ID, next), so size - 2 bytes.
 * Returns the offset in config space, or -1 with the error set if there is no space.
 */
int pci_device_add_capability(struct pci_device *device, uint8_t id, const void *body, unsigned size,
			      struct error *error);

/* Adds MSI-X, with table and pending bits in 32-bit BAR `bar`. Does nothing if the bus has no MSI. */
int pci_device_add_msix(struct pci_device *device, struct pci_bus *pci, unsigned bar, struct error *error);
int pci_device_plug(struct pci_bus *pci, struct pci_device *device, int slot, struct error *error);

/* Back to power-on: config space, BARs at their first addresses, MSI-X table masked and cleared, routes given back. */
void pci_device_reset(struct pci_device *device);

/*
 * Saving. Quiescing ensures that what the device signalled has reached the interrupt controller: an irqfd may inject
 * from a work queue of the kernel. Later signals stay pending. It fills in state.msix_pending. Call it with the machine
 * paused, and once before the pause to shorten that. Resuming undoes it.
 */
void pci_device_quiesce(struct pci_device *device);
void pci_device_resume(struct pci_device *device);

/*
 * After `state` was loaded into a device that was just plugged, with the ITS restored: maps its BARs, sets up its
 * vectors, drives its line. Fails if the state belongs to another kind of device.
 */
int pci_device_restored(struct pci_device *device, struct error *error);

/* Unplugs the device and frees what pci_device_open() made. Works after a failed open. */
void pci_device_close(struct pci_device *device);

/* The requester ID, which is the device ID in the ITS. */
static inline uint32_t pci_device_id(const struct pci_device *device)
{
	return device->slot << 3;
}

/* Whether the guest has MSI-X on. Any thread. */
bool pci_device_msix_enabled(struct pci_device *device);

/* The eventfd of a vector, for vhost to signal it. -1: no such vector. */
int pci_device_vector_fd(struct pci_device *device, unsigned vector);

/* Sends MSI-X vector `vector`, or makes it pending while it is masked. Nothing if out of range. Any thread. */
void pci_device_signal(struct pci_device *device, unsigned vector);

/* Drives INTA, unless the guest disabled it. Any thread, with or without the device's lock. */
void pci_device_set_line(struct pci_device *device, bool level);

#endif
