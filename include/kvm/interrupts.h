/* SPDX-License-Identifier: MIT */
/*
 * Interrupts from devices to the interrupt controller. Level-triggered lines (SPIs) use KVM_IRQ_LINE, or a GSI if the kernel
 * drives them. Messages (MSIs) use routes from a GSI to a doorbell write. KVM cannot report its routes, and each
 * KVM_SET_GSI_ROUTING replaces the whole table, so the table is kept here.
 * Kernel: Documentation/virt/kvm/api.rst, KVM_IRQ_LINE, KVM_SET_GSI_ROUTING, KVM_IRQFD, KVM_SIGNAL_MSI.
 */
#ifndef LKVM_KVM_INTERRUPTS_H
#define LKVM_KVM_INTERRUPTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

#define INTERRUPTS_MAX_ROUTES 1024 /* GSIs 0..1023; KVM allows 4096 */

/* An MSI: the PCI requester `device_id` writes `data` to `address`. */
struct msi_message {
	uint64_t address;
	uint32_t data;
	uint32_t device_id;
};

/* The target of a GSI. */
struct interrupt_route {
	bool is_line;
	unsigned spi; /* of a line */
	struct msi_message message;
};

struct interrupts {
	int vm_fd;     /* belongs to the VM */
	bool has_msi;  /* there is an ITS; set before the first route */
	pthread_mutex_t lock;
	uint64_t lines; /* current levels of SPIs 0..63 */
	bool used[INTERRUPTS_MAX_ROUTES];
	struct interrupt_route routes[INTERRUPTS_MAX_ROUTES];
};

int interrupts_open(struct interrupts *interrupts, int vm_fd, struct error *error);
void interrupts_close(struct interrupts *interrupts);

/* Sets the level of SPI `spi` (INTID 32 + spi; spi below 64). Any thread. Failures are ignored. */
void interrupts_set_line(struct interrupts *interrupts, unsigned spi, bool level);

/* Sets all lines low, as at power-on. */
void interrupts_reset_lines(struct interrupts *interrupts);

/*
 * Allocates a GSI and routes it to `message`. Returns the GSI, or -1: ENOSPC if none is free, or the kernel's error.
 * interrupts_route_change() changes the route of an allocated GSI; no irqfd should be attached to it.
 */
int interrupts_route_add(struct interrupts *interrupts, const struct msi_message *message,
			 struct error *error);
int interrupts_route_change(struct interrupts *interrupts, int gsi, const struct msi_message *message,
			    struct error *error);

/* Adds `count` routes with one KVM_SET_GSI_ROUTING: all of `gsis` or none. */
int interrupts_routes_add(struct interrupts *interrupts, const struct msi_message *messages, unsigned count, int *gsis,
			  struct error *error);

/* The same for a line: SPI `spi` (INTID 32 + spi). */
int interrupts_route_add_line(struct interrupts *interrupts, unsigned spi, struct error *error);

/* Frees the GSI. Its irqfd must be detached before. */
void interrupts_route_remove(struct interrupts *interrupts, int gsi);

/* Number of allocated GSIs. */
unsigned interrupts_route_count(struct interrupts *interrupts);

/* Attaches an eventfd to a GSI: each write injects the interrupt. An earlier write is delivered at once. */
int interrupts_irqfd_attach(struct interrupts *interrupts, int gsi, int event_fd, struct error *error);
void interrupts_irqfd_detach(struct interrupts *interrupts, int gsi, int event_fd);

/*
 * Attaches an eventfd to a GSI of a line. A write drives the line high until the guest has handled the interrupt. Then KVM
 * writes `resample_fd`, and the device raises the line again if it still has an interrupt.
 */
int interrupts_irqfd_attach_line(struct interrupts *interrupts, int gsi, int event_fd, int resample_fd, struct error *error);

/* Sends one message without a route (KVM_SIGNAL_MSI). Returns false if the ITS drops it, as hardware would. */
bool interrupts_signal_msi(struct interrupts *interrupts, const struct msi_message *message);

#endif
