/* SPDX-License-Identifier: MIT */
/*
 * The guest's side of virtio, for tests: a machine of RAM, bus and PCI without vCPUs, a driver that finds a function in
 * config space and programs it by its registers, and the driver's half of a virtqueue. It takes the layouts from the
 * kernel's own headers, as Linux's drivers do, so that a wrong offset in virtio/ is seen.
 */
#ifndef TESTS_FAKE_DRIVER_H
#define TESTS_FAKE_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/pci.h"
#include "virtio/virtio.h"
#include "kvm/vm.h"

#define FAKE_RAM_BASE 0x80000000ull
#define FAKE_RAM_SIZE 0x400000ull

struct fake_machine {
	struct vm vm;
	struct pci_bus pci;
};

void fake_machine_open(struct fake_machine *machine, bool has_msi);
void fake_machine_close(struct fake_machine *machine);

/* The driver's half of a split virtqueue in RAM: descriptors, available and used ring one behind the other. */
struct fake_queue {
	const struct ram *ram;
	uint64_t descriptors, available, used; /* guest physical */
	uint16_t size;
	uint16_t offered; /* value of the available index */
	uint16_t seen;    /* used entries that were taken */
};

/* Lays the rings out from `address` on (less than 16 KiB at 256 entries) and clears them. */
void fake_queue_init(struct fake_queue *queue, const struct ram *ram, uint64_t address, uint16_t size);
void fake_descriptor(struct fake_queue *queue, uint16_t index, uint64_t address, uint32_t length, uint16_t flags,
		     uint16_t next);
/* Makes the chain that starts at `head` available; fake_offer_silently() does not move the index. */
void fake_offer_silently(struct fake_queue *queue, uint16_t head);
void fake_offer(struct fake_queue *queue, uint16_t head);
/* Takes a used entry, if there is one. */
bool fake_take(struct fake_queue *queue, uint16_t *head, uint32_t *written);
void fake_set_used_event(struct fake_queue *queue, uint16_t event);
uint16_t fake_avail_event(const struct fake_queue *queue);
void fake_set_avail_flags(struct fake_queue *queue, uint16_t flags);
uint16_t fake_used_flags(const struct fake_queue *queue);

/* A function as its driver sees it: where the structures are, by the capabilities. */
struct fake_function {
	struct fake_machine *machine;
	unsigned slot;
	uint64_t common, notify, isr, config; /* guest physical */
	uint32_t notify_multiplier;
	unsigned access; /* offset of the PCI configuration access capability */
	unsigned msix;   /* offset of the MSI-X capability, or 0 */
};

uint32_t fake_config_read(struct fake_function *function, unsigned reg, unsigned size);
void fake_config_write(struct fake_function *function, unsigned reg, unsigned size, uint32_t value);

/* Switches memory and bus mastering on and walks the capabilities. */
void fake_probe(struct fake_function *function, struct fake_machine *machine, unsigned slot);
void fake_enable_msix(struct fake_function *function);

/* What the data field of the PCI configuration access capability shows. */
void fake_set_window(struct fake_function *function, uint8_t bar, uint32_t offset, uint32_t size);

uint64_t fake_read(struct fake_function *function, uint64_t address, unsigned size);
void fake_write(struct fake_function *function, uint64_t address, unsigned size, uint64_t value);
/* Fields of the common structure, by VIRTIO_PCI_COMMON_*. */
uint32_t fake_common(struct fake_function *function, unsigned field, unsigned size);
void fake_set_common(struct fake_function *function, unsigned field, unsigned size, uint32_t value);

/* From reset to FEATURES_OK with all that is offered but `without`; and a queue's registers; and DRIVER_OK. */
void fake_negotiate(struct fake_function *function, uint64_t without);
void fake_set_queue(struct fake_function *function, uint16_t index, const struct fake_queue *queue, uint16_t vector);
void fake_driver_ok(struct fake_function *function);
uint8_t fake_status(struct fake_function *function);
void fake_notify(struct fake_function *function, uint16_t queue);

/* Waits, up to some seconds, until a used entry or a status bit is there. False when it does not come. */
bool fake_wait_used(struct fake_queue *queue);
bool fake_wait_status(struct fake_function *function, uint8_t bits);

#endif
