/* SPDX-License-Identifier: MIT */
/*
 * The guest's side of virtio, for tests.
 *
 * It has a machine of RAM, bus and PCI without vCPUs. Its driver finds a function in config space, programs its registers, and
 * uses its virtqueues. The layouts come from the kernel's headers, as in Linux's drivers, so a wrong offset in virtio/ fails.
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

/* The driver's half of a split virtqueue in RAM: descriptors, available ring and used ring, in this order. */
struct fake_queue {
	const struct ram *ram;
	uint64_t descriptors, available, used; /* guest physical */
	uint16_t size;
	uint16_t offered; /* value of the available index */
	uint16_t seen;    /* used entries that fake_take() returned */
};

/* Places the rings at `address` (less than 16 KiB for 256 entries) and clears them. */
void fake_queue_init(struct fake_queue *queue, const struct ram *ram, uint64_t address, uint16_t size);
void fake_descriptor(struct fake_queue *queue, uint16_t index, uint64_t address, uint32_t length, uint16_t flags,
		     uint16_t next);
/* fake_offer() makes the chain at `head` available. fake_offer_silently() adds it to the ring, but leaves the index. */
void fake_offer_silently(struct fake_queue *queue, uint16_t head);
void fake_offer(struct fake_queue *queue, uint16_t head);
/* Takes the next used entry. Returns false if there is none. `head` and `written` (bytes) may be NULL. */
bool fake_take(struct fake_queue *queue, uint16_t *head, uint32_t *written);
void fake_set_used_event(struct fake_queue *queue, uint16_t event);
uint16_t fake_avail_event(const struct fake_queue *queue);
void fake_set_avail_flags(struct fake_queue *queue, uint16_t flags);
uint16_t fake_used_flags(const struct fake_queue *queue);

/* A function with the addresses of its structures, which fake_probe() takes from the capabilities. */
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

/* Enables memory and bus mastering, and walks the capabilities. */
void fake_probe(struct fake_function *function, struct fake_machine *machine, unsigned slot);
void fake_enable_msix(struct fake_function *function);

/* Sets the BAR, offset and length that the data field of the PCI configuration access capability refers to. */
void fake_set_window(struct fake_function *function, uint8_t bar, uint32_t offset, uint32_t size);

uint64_t fake_read(struct fake_function *function, uint64_t address, unsigned size);
void fake_write(struct fake_function *function, uint64_t address, unsigned size, uint64_t value);
/* Fields of the common structure, by VIRTIO_PCI_COMMON_*. */
uint32_t fake_common(struct fake_function *function, unsigned field, unsigned size);
void fake_set_common(struct fake_function *function, unsigned field, unsigned size, uint32_t value);

/*
 * fake_negotiate() goes from reset to FEATURES_OK, and accepts all offered features except `without`. fake_set_queue()
 * programs and enables a queue. fake_driver_ok() sets DRIVER_OK.
 */
void fake_negotiate(struct fake_function *function, uint64_t without);
void fake_set_queue(struct fake_function *function, uint16_t index, const struct fake_queue *queue, uint16_t vector);
void fake_driver_ok(struct fake_function *function);
uint8_t fake_status(struct fake_function *function);
void fake_notify(struct fake_function *function, uint16_t queue);

/* Wait for a used entry, or for status bits. Return false after some seconds. */
bool fake_wait_used(struct fake_queue *queue);
bool fake_wait_status(struct fake_function *function, uint8_t bits);

#endif
